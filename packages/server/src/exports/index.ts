export { exportEndHandler, exportEndTask } from './export.ts';
export { exportImplementations } from './operations.ts';
export type { ExportOperationId } from './operations.ts';
export { recoverDestinations } from './recover.ts';
export { exportTables, listDestinations } from './store.ts';
