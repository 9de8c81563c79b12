import { hash } from 'node:crypto';
import { verifyEd25519 } from '@trialkeep/crypto';
import { parseVerifierKey } from '@trialkeep/ledger';
import type { Sha256, Verifier } from '@trialkeep/ledger';
import { sdkError } from '../errors.ts';

/** The signature type byte of Ed25519 (C2SP signed-note). */
const ed25519Type = 0x01;

export const sha256: Sha256 = (data) => hash('sha256', data, 'buffer');

/** SHA-256 of a text in UTF-8, in hexadecimal. */
export const sha256Hex = (text: string): string => hash('sha256', text, 'hex');

/**
 * The verifier of signed notes that a vkey line (C2SP signed-note) stands for.
 *
 * @throws LedgerError `ledger.key_malformed`; TrialkeepError `verify.key_unsupported` for another algorithm than Ed25519
 */
export function verifierOf(verifierKey: string): Verifier {
  const { name, keyId, type, publicKey } = parseVerifierKey(sha256, verifierKey);
  if (type !== ed25519Type) throw sdkError('verify.key_unsupported', { detail: `signature type ${type}` });
  return { name, keyId, verify: (text, signature) => verifyEd25519(publicKey, text, signature) };
}
