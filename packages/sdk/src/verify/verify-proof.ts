import { checkProof, parseProof } from '@trialkeep/ledger';
import type { CheckedProof, Policy } from '@trialkeep/ledger';
import { sha256, trustOf } from './primitives.ts';
import type { VerifierKeys } from './primitives.ts';

export interface VerifyProofOptions {
  /** The proof (C2SP tlog-proof). */
  readonly proof: Uint8Array;
  /** The entry that it is to be of, byte for byte. */
  readonly entry: Uint8Array;
  /** The log's own keys as vkey lines, from a trusted place; without them the logs of the policy. */
  readonly verifierKey?: VerifierKeys;
  /** Which logs are known and which witnesses must have cosigned (C2SP tlog-policy), from a trusted place. */
  readonly policy?: Policy;
}

/**
 * Verifies offline that an entry stands in a log, by a proof.
 *
 * @throws LedgerError where it does not; TrialkeepError `verify.key_missing`, `verify.key_unsupported`
 */
export async function verifyProof(options: VerifyProofOptions): Promise<CheckedProof> {
  const { proof, entry, verifierKey, policy } = options;
  return checkProof(sha256, parseProof(proof), entry, trustOf(verifierKey, policy));
}
