import { hash } from 'node:crypto';
import { verifyEd25519, verifyMlDsa44 } from '@trialkeep/crypto';
import { LedgerError, trustOf as ledgerTrustOf, verifierOf as ledgerVerifierOf } from '@trialkeep/ledger';
import type { KeyVerifier, Policy, Sha256, SignaturePrimitives, Trust } from '@trialkeep/ledger';
import { sdkError } from '../errors.ts';

export const sha256: Sha256 = (data) => hash('sha256', data, 'buffer');

/** SHA-256 of a text in UTF-8, in hexadecimal. */
export const sha256Hex = (text: string): string => hash('sha256', text, 'hex');

/** The signatures of C2SP signed-note and tlog-cosignature. */
export const signaturePrimitives: SignaturePrimitives = { ed25519: verifyEd25519, mlDsa44: verifyMlDsa44 };

/** Verifier keys (vkey lines of C2SP signed-note), one or several: any one of them is enough. */
export type VerifierKeys = string | readonly string[];

/**
 * The verifier of signed notes that a vkey line stands for.
 *
 * @throws LedgerError `ledger.key_malformed`; TrialkeepError `verify.key_unsupported` for another algorithm than Ed25519 and ML-DSA-44
 */
export function verifierOf(verifierKey: string): KeyVerifier {
  return withSupportedKeys(() => ledgerVerifierOf(sha256, signaturePrimitives, verifierKey));
}

/**
 * Trust in the log's keys and in a policy, each from a trusted place. Where there are keys, they alone are the log's; the logs of the
 * policy are believed only without.
 *
 * @throws as `verifierOf`; TrialkeepError `verify.key_missing` where neither names a log
 */
export function trustOf(verifierKeys: VerifierKeys = [], policy?: Policy): Trust {
  const keys = typeof verifierKeys === 'string' ? [verifierKeys] : verifierKeys;
  const trust = withSupportedKeys(() =>
    ledgerTrustOf(sha256, signaturePrimitives, {
      verifierKeys: keys,
      ...(policy !== undefined && { policy }),
    }),
  );
  if (trust.logs.length === 0) throw sdkError('verify.key_missing');
  return trust;
}

function withSupportedKeys<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof LedgerError) || error.code !== 'ledger.key_unsupported') throw error;
    throw sdkError('verify.key_unsupported', { cause: error });
  }
}
