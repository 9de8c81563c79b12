import { createSecretKey, hash, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto';
import { idBytes, requireBytes, requireSymmetricKey } from './checks.ts';
import { encodeContext, type EncryptionContext } from './context.ts';
import { CryptoError } from './errors.ts';
import { decrypt, encrypt, hkdfExpand, zeroNonce } from './primitives.ts';
import { aes256Gcm, compactSuites, requireSuite } from './registry.ts';

/** The longest plaintext of the compact form, in bytes. */
export const maximumCompactPlaintextBytes = 65_536;

/** How much longer a compact ciphertext is than its plaintext, in bytes. */
export const compactOverheadBytes = 98;

const version = 1;
const suite = 1;
const saltBytes = 32;
const commitmentOffset = 50;
const ciphertextOffset = 82;
const label = Buffer.from('trialkeep/compact/v1\0');

/** A key version and its place: what the compact form binds a ciphertext to. Identifiers have 16 bytes. */
export type CompactKey = Readonly<{
  /** 256-bit symmetric key of this version; stays the caller's */
  key: KeyObject;
  keyVersionId: Uint8Array;
  tenantId: Uint8Array;
  keyId: Uint8Array;
}>;

/**
 * Encrypts in the compact form (docs/formats/compact.md).
 *
 * @param o.plaintext 0 to 65,536 bytes; stays the caller's, who zeroes it
 * @returns the ciphertext, 98 bytes longer than the plaintext
 * @throws CryptoError `crypto.plaintext_too_long`, `crypto.context_invalid`, `crypto.key_unsuitable`,
 *   `crypto.argument_invalid`
 */
export function sealCompact(
  o: CompactKey & { readonly context: EncryptionContext; readonly plaintext: Uint8Array },
): Buffer {
  return sealCompactWithSalt(o, randomBytes(saltBytes));
}

/**
 * `sealCompact` with a chosen salt: only for test vectors. A salt used twice under one key breaks both
 * ciphertexts.
 */
export function sealCompactWithSalt(
  o: CompactKey & { readonly context: EncryptionContext; readonly plaintext: Uint8Array },
  salt: Uint8Array,
): Buffer {
  requireBytes(o.keyVersionId, idBytes, 'keyVersionId');
  if (o.plaintext.length > maximumCompactPlaintextBytes) throw new CryptoError('crypto.plaintext_too_long');

  const sealed = Buffer.alloc(compactOverheadBytes + o.plaintext.length);
  sealed[0] = version;
  sealed[1] = suite;
  sealed.set(o.keyVersionId, 2);
  sealed.set(salt, 2 + idBytes);
  const derived = derive(o, sealed.subarray(0, commitmentOffset));
  sealed.set(derived.commitment, commitmentOffset);
  const { ciphertext, tag } = encrypt(
    derived.key,
    zeroNonce,
    sealed.subarray(0, ciphertextOffset),
    o.plaintext,
  );
  sealed.set(ciphertext, ciphertextOffset);
  sealed.set(tag, ciphertextOffset + ciphertext.length);
  return sealed;
}

/**
 * Decrypts the compact form. Whatever is wrong with key, tenant, context or bytes gives the same error.
 *
 * @returns the plaintext, owned by the caller, who zeroes it when it is secret
 * @throws CryptoError `crypto.ciphertext_invalid`, and for bytes that are not of the form
 *   `crypto.ciphertext_truncated`, `crypto.ciphertext_malformed`, `crypto.version_unknown`,
 *   `crypto.suite_unknown`
 */
export function openCompact(
  o: Omit<CompactKey, 'keyVersionId'> & {
    readonly context: EncryptionContext;
    readonly ciphertext: Uint8Array;
  },
): Buffer {
  requireCompact(o.ciphertext);
  const tagOffset = o.ciphertext.length - aes256Gcm.tagBytes;
  const derived = derive(o, o.ciphertext.subarray(0, commitmentOffset));
  // The commitment first: without it a ciphertext could be made that opens under two keys.
  if (!timingSafeEqual(derived.commitment, o.ciphertext.subarray(commitmentOffset, ciphertextOffset))) {
    throw new CryptoError('crypto.ciphertext_invalid');
  }
  const plaintext = decrypt(
    derived.key,
    zeroNonce,
    o.ciphertext.subarray(0, ciphertextOffset),
    o.ciphertext.subarray(ciphertextOffset, tagOffset),
    o.ciphertext.subarray(tagOffset),
  );
  if (plaintext === undefined) throw new CryptoError('crypto.ciphertext_invalid');
  return plaintext;
}

/**
 * The id of the key version that a compact ciphertext names, 16 bytes. Nothing is authenticated yet: use it
 * only to look the key up.
 *
 * @throws CryptoError as `openCompact` for bytes that are not of the form
 */
export function compactKeyVersionId(ciphertext: Uint8Array): Buffer {
  requireCompact(ciphertext);
  return Buffer.from(ciphertext.subarray(2, 2 + idBytes));
}

/** Attacker-controlled input: version, suite and length are checked before anything is derived from it. */
function requireCompact(ciphertext: Uint8Array): void {
  const [versionByte, suiteByte] = ciphertext;
  if (versionByte !== undefined && versionByte !== version) {
    throw new CryptoError('crypto.version_unknown', `compact form ${versionByte}`);
  }
  if (suiteByte !== undefined) requireSuite(compactSuites, suiteByte, 2);
  if (ciphertext.length < compactOverheadBytes) throw new CryptoError('crypto.ciphertext_truncated');
  if (ciphertext.length > compactOverheadBytes + maximumCompactPlaintextBytes) {
    throw new CryptoError('crypto.ciphertext_malformed', 'longer than the compact form allows');
  }
}

function derive(
  o: Omit<CompactKey, 'keyVersionId'> & { readonly context: EncryptionContext },
  head: Uint8Array,
): { key: KeyObject; commitment: Buffer } {
  requireSymmetricKey(o.key);
  requireBytes(o.tenantId, idBytes, 'tenantId');
  requireBytes(o.keyId, idBytes, 'keyId');
  const contextDigest = hash('sha256', encodeContext(o.context), 'buffer');
  const okm = hkdfExpand(o.key, Buffer.concat([label, head, o.tenantId, o.keyId, contextDigest]));
  const key = createSecretKey(okm.subarray(0, aes256Gcm.keyBytes));
  okm.fill(0, 0, aes256Gcm.keyBytes);
  return { key, commitment: okm.subarray(aes256Gcm.keyBytes) };
}
