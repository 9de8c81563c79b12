import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { aes256Gcm, kdfHash } from './registry.ts';

/** The primitives as every format of this package uses them, each in one place. */

/**
 * The nonce of every key that encrypts exactly once. Keys are derived per ciphertext from a random salt, so
 * no pair of key and nonce repeats (NIST SP 800-38D section 8).
 */
export const zeroNonce = Buffer.alloc(aes256Gcm.nonceBytes);

const options = { authTagLength: aes256Gcm.tagBytes };
const firstBlock = Buffer.of(1);

/** AES-256-GCM. Takes a KeyObject because OpenSSL sets the cipher up several times faster from one. */
export function encrypt(
  key: KeyObject,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): { ciphertext: Buffer; tag: Buffer } {
  const cipher = createCipheriv(aes256Gcm.cipher, key, nonce, options);
  cipher.setAAD(aad);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return { ciphertext, tag: cipher.getAuthTag() };
}

/**
 * AES-256-GCM. The plaintext, which the caller owns and must zero when it is secret, is returned only once
 * the tag has been verified; where it does not verify the result is `undefined` and what was decrypted is
 * zeroed.
 */
export function decrypt(
  key: KeyObject,
  nonce: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array,
  tag: Uint8Array,
): Buffer | undefined {
  const decipher = createDecipheriv(aes256Gcm.cipher, key, nonce, options);
  decipher.setAAD(aad);
  decipher.setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    return undefined;
  }
  return plaintext;
}

/** HKDF with HMAC-SHA-512 (RFC 5869). The output has `bytes` bytes; the caller zeroes it. */
export function hkdf(input: KeyObject, salt: Uint8Array, info: Uint8Array, bytes: number): Buffer {
  return Buffer.from(hkdfSync(kdfHash, input, salt, info, bytes));
}

/**
 * One block, 64 bytes, of HKDF-Expand with HMAC-SHA-512 (RFC 5869 section 2.3), `key` being the pseudorandom
 * key: 32 bytes, where the RFC asks for 64 (docs/formats/compact.md says why that is sound). The caller zeroes
 * the result.
 */
export function hkdfExpand(key: KeyObject, info: Uint8Array): Buffer {
  return createHmac(kdfHash, key).update(info).update(firstBlock).digest();
}

/** HMAC-SHA-256 (FIPS 198-1) of the parts, one after the other: 32 bytes. OpenSSL sets it up several times faster from a KeyObject. */
export function hmacSha256(key: KeyObject | Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key instanceof Uint8Array ? createSecretKey(key) : key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}
