import { timingSafeEqual } from 'node:crypto';
import { idBytes, requireBytes } from './checks.ts';
import { hmacSha256 } from './primitives.ts';

/** Bytes of the random value that hides a payload behind its commitment. */
export const commitmentKeyBytes = 32;

const label = Buffer.from('trialkeep/payload/v1\0');

/**
 * Commits a ledger entry to its payload: HMAC-SHA-256(r, "trialkeep/payload/v1\0" ‖ entry id ‖ payload).
 *
 * @param r 32 random bytes, fresh for each payload and kept only inside the payload's ciphertext; the caller
 *   zeroes it
 * @param entryId 16 bytes
 * @returns 32 bytes, not secret
 * @throws CryptoError `crypto.argument_invalid`
 */
export function commitPayload(r: Uint8Array, entryId: Uint8Array, payload: Uint8Array): Buffer {
  requireBytes(r, commitmentKeyBytes, 'r');
  requireBytes(entryId, idBytes, 'entryId');
  return hmacSha256(r, label, entryId, payload);
}

/** Whether `commitment` (any bytes) is that of the payload; compared in constant time. */
export function verifyPayload(
  commitment: Uint8Array,
  r: Uint8Array,
  entryId: Uint8Array,
  payload: Uint8Array,
): boolean {
  const expected = commitPayload(r, entryId, payload);
  return commitment.length === expected.length && timingSafeEqual(commitment, expected);
}
