export { exportLedger } from './export.ts';
export type { ExportOptions, ExportResult } from './export.ts';
export { folderSource } from './folder.ts';
export { sha256, verifierOf } from './primitives.ts';
export { verifyFolder } from './verify-folder.ts';
export type { VerifyFolderOptions } from './verify-folder.ts';
export { SealError, TrialkeepError } from '../errors.ts';
export type { Finding, VerifyResult } from '@trialkeep/ledger';
