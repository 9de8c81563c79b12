import { stat } from 'node:fs/promises';
import { verifyLog } from '@trialkeep/ledger';
import type { VerifyOptions, VerifyResult } from '@trialkeep/ledger';
import { systemCode } from '../files.ts';
import { sdkError } from '../errors.ts';
import { folderSource } from './folder.ts';
import { sha256, verifierOf } from './primitives.ts';
import { SignatureChecker } from './signatures.ts';
import type { SignaturesResult } from './signatures.ts';

export interface VerifyFolderOptions extends Pick<VerifyOptions, 'onEntry' | 'onProgress'> {
  /** The folder that holds `checkpoint` and `tile/…`. */
  readonly folder: string;
  /** The log's own key as a vkey line, from a trusted place. */
  readonly verifierKey: string;
  /** A checkpoint of the same log that was kept earlier, out of reach of whoever could alter the folder. */
  readonly keptCheckpoint?: Uint8Array;
}

export interface VerifyFolderResult extends VerifyResult {
  /** The electronic signatures. What is false about them makes the verdict `failed`; `findings` are about the log alone. */
  readonly signatures: SignaturesResult;
}

/**
 * Verifies an exported ledger and the electronic signatures beside it, offline. What is wrong with them is in the findings.
 *
 * @throws TrialkeepError `verify.folder_unreadable`, `verify.key_unsupported`; LedgerError `ledger.key_malformed`
 */
export async function verifyFolder(options: VerifyFolderOptions): Promise<VerifyFolderResult> {
  const { log, signatures } = await verifyParts(options);
  return resultOf(log, signatures);
}

/** What was found about the log, and what about the signatures. */
interface VerifiedParts {
  readonly log: VerifyResult;
  readonly signatures: SignaturesResult;
}

export function resultOf(log: VerifyResult, signatures: SignaturesResult): VerifyFolderResult {
  return { ...log, verdict: signatures.failed ? 'failed' : log.verdict, signatures };
}

/** Verifies as `verifyFolder`, and keeps what was found about the log apart from what was found about the signatures. */
export async function verifyParts(options: VerifyFolderOptions): Promise<VerifiedParts> {
  const { folder, verifierKey, keptCheckpoint, onEntry, onProgress } = options;
  const verifiers = [verifierOf(verifierKey)];
  const checker = new SignatureChecker();
  try {
    if (!(await stat(folder)).isDirectory())
      throw sdkError('verify.folder_unreadable', { detail: 'not a folder' });
    const log = await verifyLog({
      sha256,
      verifiers,
      source: folderSource(folder),
      ...(keptCheckpoint !== undefined && { kept: keptCheckpoint }),
      onEntry: async (index, entry) => {
        checker.addEntry(index, entry);
        await onEntry?.(index, entry);
      },
      ...(onProgress !== undefined && { onProgress }),
    });
    const signatures = await checker.checkFolder(folder, log.origin);
    return { log, signatures };
  } catch (error) {
    const detail = systemCode(error);
    if (!/^E[A-Z]+$/.test(detail)) throw error;
    throw sdkError('verify.folder_unreadable', { detail, cause: error });
  }
}
