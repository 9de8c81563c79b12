export { exitImplementations } from './operations.ts';
export { recoverExit } from './recover.ts';
export { refuseLeaving } from './refuse.ts';
export { shreddingTask } from './schedule.ts';
export { shreddingHandler } from './shredding.ts';
export { find as findExit, studiesOf } from './store.ts';
export { sealedTables as tenantExitTables } from './store.ts';
