export { useImplementations } from './operations.ts';
export type { UseOperationId } from './operations.ts';
export { recoverReporters } from './recover.ts';
export { listReporters } from './store.ts';
export { sealedTables as useTables } from './store.ts';
