export { drillHandlers } from './drill-run.ts';
export { endedDrill } from './evidence.ts';
export { revocationImplementations } from './operations.ts';
export type { RevocationOperationId } from './operations.ts';
export { recoverClosures } from './recover.ts';
export { overdueDrills } from './status.ts';
export { sealedTables as drillTables } from './store.ts';
