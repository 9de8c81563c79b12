import { randomFillSync } from 'node:crypto';
import { aes256Gcm } from '../registry.ts';

/** A draw from the system's generator costs 2 µs whatever its size; a field has 10 µs in all. */
const drawn = Buffer.alloc(aes256Gcm.nonceBytes * 256);
let used = drawn.length;

/**
 * 12 random bytes that were never given before; a view that stays as it is for the next 255 draws. They are drawn ahead, which a
 * nonce can stand: it travels in clear.
 */
export function drawNonce(): Buffer {
  if (used === drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  used += aes256Gcm.nonceBytes;
  return drawn.subarray(used - aes256Gcm.nonceBytes, used);
}
