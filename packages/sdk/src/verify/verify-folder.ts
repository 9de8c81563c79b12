import { stat } from 'node:fs/promises';
import { verifyLog } from '@trialkeep/ledger';
import type { VerifyOptions, VerifyResult } from '@trialkeep/ledger';
import { systemCode } from '../files.ts';
import { sdkError } from '../errors.ts';
import { folderSource } from './folder.ts';
import { sha256, verifierOf } from './primitives.ts';

export interface VerifyFolderOptions extends Pick<VerifyOptions, 'onEntry' | 'onProgress'> {
  /** The folder that holds `checkpoint` and `tile/…`. */
  readonly folder: string;
  /** The log's own key as a vkey line, from a trusted place. */
  readonly verifierKey: string;
  /** A checkpoint of the same log that was kept earlier, out of reach of whoever could alter the folder. */
  readonly keptCheckpoint?: Uint8Array;
}

/**
 * Verifies an exported ledger, offline. What is wrong with it is in the result's findings.
 *
 * @throws TrialkeepError `verify.folder_unreadable`, `verify.key_unsupported`; LedgerError `ledger.key_malformed`
 */
export async function verifyFolder(options: VerifyFolderOptions): Promise<VerifyResult> {
  const { folder, verifierKey, keptCheckpoint, onEntry, onProgress } = options;
  const verifiers = [verifierOf(verifierKey)];
  try {
    if (!(await stat(folder)).isDirectory())
      throw sdkError('verify.folder_unreadable', { detail: 'not a folder' });
    return await verifyLog({
      sha256,
      verifiers,
      source: folderSource(folder),
      ...(keptCheckpoint !== undefined && { kept: keptCheckpoint }),
      ...(onEntry !== undefined && { onEntry }),
      ...(onProgress !== undefined && { onProgress }),
    });
  } catch (error) {
    const detail = systemCode(error);
    if (!/^E[A-Z]+$/.test(detail)) throw error;
    throw sdkError('verify.folder_unreadable', { detail, cause: error });
  }
}
