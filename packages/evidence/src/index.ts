export { EvidenceError, evidenceErrors, type ErrorText, type EvidenceErrorCode } from './errors.ts';
export { utc, type Block, type Column, type Fact } from './blocks.ts';
export {
  checkEvidence,
  evidenceFindingTexts,
  type CheckOptions,
  type EvidenceFinding,
  type EvidenceFindingCode,
  type EvidenceResult,
  type EvidenceTimestamp,
} from './check.ts';
export {
  documentHash,
  formatDocument,
  kinds,
  listedEntries,
  maxContentBytes,
  parseDocument,
  type Bodies,
  type EvidenceDocument,
  type KindId,
} from './document.ts';
export { makeEntriesProof, maxEntriesProofBytes, rootOfEntries } from './entries-proof.ts';
export { entryBytes, maxListedEntries, type EntryMembers, type ListedEntry } from './listed.ts';
export { overviewOf, renderer, type Overview } from './overview.ts';
export { attachments, readEvidence, type EvidenceFileName, type EvidenceFiles } from './pdf/files.ts';
export { maxFileBytes } from './pdf/file.ts';
export type { AnswerBody, Question, UseKind } from './kinds/answer.ts';
export { formatMinutes, parseMinutes, type CeremonyBody, type CeremonyMinutes } from './kinds/ceremony.ts';
export { maxInventoryKeys } from './kinds/inventory.ts';
export type { InventoryBody, InventoryRow } from './kinds/inventory.ts';
export type { DestructionBody } from './kinds/destruction.ts';
export type { ErasureBody } from './kinds/erasure.ts';
export type { ReviewBody } from './kinds/review.ts';
