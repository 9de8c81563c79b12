import { readFile } from 'node:fs/promises';
import { verifyTimestamp } from '@trialkeep/crypto';
import type { Certificate } from '@trialkeep/crypto';
import { checkEvidence } from '@trialkeep/evidence';
import type { EvidenceResult } from '@trialkeep/evidence';
import { makeEvidence } from '@trialkeep/evidence/make';
import { stampedNote } from '@trialkeep/ledger';
import type { Policy } from '@trialkeep/ledger';
import { sha256, trustOf } from '../verify/primitives.ts';
import type { VerifierKeys } from '../verify/primitives.ts';

export { evidenceFindingTexts, maxFileBytes, readEvidence } from '@trialkeep/evidence';
export type {
  Block,
  EvidenceDocument,
  EvidenceFinding,
  EvidenceFindingCode,
  EvidenceResult,
} from '@trialkeep/evidence';

export interface VerifyEvidenceOptions {
  /** The evidence document, as it was handed over. */
  readonly pdf: Uint8Array;
  /** The log's own keys as vkey lines, from a trusted place; without them the logs of the policy. */
  readonly verifierKey?: VerifierKeys;
  /** Which logs are known and which witnesses must have cosigned (C2SP tlog-policy), from a trusted place. */
  readonly policy?: Policy;
  /** The certificates of timestamp authorities, from a trusted place; without them a timestamp stays unchecked. */
  readonly timestampRoots?: readonly Certificate[];
}

/**
 * Verifies an evidence document offline, its pages included (docs/formats/evidence-document.md). Whatever is wrong with it is in the
 * findings.
 *
 * @throws TrialkeepError `verify.key_missing`, `verify.key_unsupported`; LedgerError `ledger.key_malformed`
 */
export async function verifyEvidence({
  pdf,
  verifierKey,
  policy,
  timestampRoots: roots,
}: VerifyEvidenceOptions): Promise<EvidenceResult> {
  return checkEvidence(pdf, {
    sha256,
    trust: trustOf(verifierKey, policy),
    render: makeEvidence,
    ...(roots !== undefined && {
      timestamp: (token, checkpoint) => verifyTimestamp(token, { data: stampedNote(checkpoint), roots }),
    }),
  });
}

/** The page that verifies evidence documents in a browser, offline: one HTML file. */
export async function evidencePage(): Promise<Uint8Array> {
  return readFile(new URL(import.meta.resolve('@trialkeep/evidence/verify.html')));
}
