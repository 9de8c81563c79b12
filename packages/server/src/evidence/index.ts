export { evidenceImplementations } from './operations.ts';
export type { EvidenceOperationId } from './operations.ts';
export { sealedTables as evidenceTables } from './store.ts';
