export { Hierarchy } from './hierarchy.ts';
export type { NewKey } from './hierarchy.ts';
export { keyImplementations } from './operations.ts';
export type { KeyOperationId } from './operations.ts';
export { rotationHandler, rotationTask } from './rotation.ts';
export { checkRow, deriveRowKey, isSealed, sealRow } from './row-seal.ts';
export { stateAt } from './states.ts';
export { keysKnown, listKeys, systemExists } from './store.ts';
export type { KeyNaming } from './view.ts';
