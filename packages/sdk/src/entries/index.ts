export { AnswerFile, answerText } from './answer.ts';
export type { AnswerHead, ListedEntry } from './answer.ts';
export { csvField } from './csv.ts';
export { parseEntry } from './entry.ts';
export type { Attested, LedgerEntry, PlacedEntry } from './entry.ts';
export { fhirAuditEvent } from './fhir.ts';
export { entryFormats, entryWriter } from './formats.ts';
export type { EntryFormat, EntryWriter } from './formats.ts';
export { inventoryOfExport } from './inventory.ts';
export type { ExportInventory, InventoryOfExportOptions } from './inventory.ts';
export { ocsfEvent, ocsfVersion } from './ocsf.ts';
export { meets } from './question.ts';
export { recomputeAnswer, recomputeFindingTexts } from './recompute.ts';
export type {
  RecomputeFinding,
  RecomputeFindingCode,
  RecomputeOptions,
  RecomputeResult,
} from './recompute.ts';
export { answerStatement, entryKinds, kindOfEntry, periods } from '@trialkeep/contract';
export type { KeyAsOf } from '@trialkeep/contract';
export type { Conditions, EntryKind, Period, Question } from '@trialkeep/contract';
