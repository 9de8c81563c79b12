import { stat } from 'node:fs/promises';
import type { Certificate } from '@trialkeep/crypto';
import { verifyLog } from '@trialkeep/ledger';
import type { Policy, VerifyOptions, VerifyResult } from '@trialkeep/ledger';
import { systemCode } from '../files.ts';
import { sdkError } from '../errors.ts';
import { folderSource } from './folder.ts';
import { PayloadChecker } from './payloads.ts';
import type { PayloadsResult } from './payloads.ts';
import { sha256, trustOf } from './primitives.ts';
import type { VerifierKeys } from './primitives.ts';
import { SignatureChecker } from './signatures.ts';
import type { SignaturesResult } from './signatures.ts';
import { checkTimestamps } from './timestamps.ts';
import type { TimestampsResult } from './timestamps.ts';

export interface VerifyFolderOptions extends Pick<VerifyOptions, 'onEntry' | 'onProgress' | 'prunedBelow'> {
  /** The folder that holds `checkpoint` and `tile/…`. */
  readonly folder: string;
  /** The log's own keys as vkey lines, from a trusted place; without them the logs of the policy. */
  readonly verifierKey?: VerifierKeys;
  /** Which logs are known and which witnesses must have cosigned (C2SP tlog-policy), from a trusted place. */
  readonly policy?: Policy;
  /** A checkpoint of the same log that was kept earlier, out of reach of whoever could alter the folder. */
  readonly keptCheckpoint?: Uint8Array;
  /** Root certificates of time-stamping authorities, from a trusted place; without them no timestamp is believed. */
  readonly timestampRoots?: readonly Certificate[];
}

export interface VerifyFolderResult extends VerifyResult {
  /** The electronic signatures. What is false about them makes the verdict `failed`; `findings` are about the log alone. */
  readonly signatures: SignaturesResult;
  /** The payloads, where the export has them; what is false about them makes the verdict `failed` too. */
  readonly payloads: PayloadsResult;
  /** The timestamps under checkpoints of the log; one that does not verify makes the verdict `failed` too. */
  readonly timestamps: TimestampsResult;
}

/**
 * Verifies an exported ledger with the electronic signatures and payloads beside it, offline. What is wrong with them is in the findings.
 *
 * @throws TrialkeepError `verify.folder_unreadable`, `verify.key_missing`, `verify.key_unsupported`; LedgerError `ledger.key_malformed`
 */
export async function verifyFolder(options: VerifyFolderOptions): Promise<VerifyFolderResult> {
  return resultOf(await verifyParts(options));
}

/** What was found about the log, and what about the files beside it. */
interface VerifiedParts {
  readonly log: VerifyResult;
  readonly signatures: SignaturesResult;
  readonly payloads: PayloadsResult;
  readonly timestamps: TimestampsResult;
}

export function resultOf({ log, signatures, payloads, timestamps }: VerifiedParts): VerifyFolderResult {
  const isFalse = signatures.failed || payloads.failed || timestamps.failed;
  return { ...log, verdict: isFalse ? 'failed' : log.verdict, signatures, payloads, timestamps };
}

/** Verifies as `verifyFolder`, and keeps what was found about the log apart from what was found about the files beside it. */
export async function verifyParts(options: VerifyFolderOptions): Promise<VerifiedParts> {
  const { folder, verifierKey, policy, keptCheckpoint, prunedBelow, onEntry, onProgress } = options;
  const { logs, witnesses } = trustOf(verifierKey, policy);
  const checker = new SignatureChecker();
  let payloadChecker: PayloadChecker | undefined;
  try {
    if (!(await stat(folder)).isDirectory())
      throw sdkError('verify.folder_unreadable', { detail: 'not a folder' });
    const opened = (payloadChecker = await PayloadChecker.open(folder));
    const log = await verifyLog({
      sha256,
      verifiers: logs,
      witnesses,
      ...(policy !== undefined && { policy }),
      ...(prunedBelow !== undefined && { prunedBelow }),
      source: folderSource(folder),
      ...(keptCheckpoint !== undefined && { kept: keptCheckpoint }),
      onEntry: async (index, entry) => {
        checker.addEntry(index, entry);
        await opened.addEntry(index, entry);
        await onEntry?.(index, entry);
      },
      ...(onProgress !== undefined && { onProgress }),
    });
    const signatures = await checker.checkFolder(folder, log.origin);
    const payloads = await opened.finish();
    const timestamps = await checkTimestamps(folder, log, options.timestampRoots);
    return { log, signatures, payloads, timestamps };
  } catch (error) {
    const detail = systemCode(error);
    if (!/^E[A-Z]+$/.test(detail)) throw error;
    throw sdkError('verify.folder_unreadable', { detail, cause: error });
  } finally {
    await payloadChecker?.close();
  }
}
