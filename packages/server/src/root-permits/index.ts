export { rootPermitImplementations } from './operations.ts';
export type { RootPermitOperationId } from './operations.ts';
export {
  assertPermitted,
  compareRootPermits,
  needsPermit,
  recoverRootPermits,
  takePermit,
} from './permits.ts';
export type { PermitUse, Wanted } from './permits.ts';
export { sealedTables as rootPermitTables } from './store.ts';
