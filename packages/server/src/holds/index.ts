export { HoldCheck } from './check.ts';
export type { HeldIn } from './check.ts';
export { holdImplementations } from './operations.ts';
export { recoverHolds } from './recover.ts';
export { list as listHolds } from './store.ts';
export { requireThing, thingOf } from './thing.ts';
export type { Thing } from './thing.ts';
export { sealedTables as holdTables } from './store.ts';
