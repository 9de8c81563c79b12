export { evidenceImplementations } from './operations.ts';
export type { EvidenceOperationId } from './operations.ts';
