import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { requireBytes } from './checks.ts';
import { CryptoError } from './errors.ts';

/** Bytes of an Ed25519 seed, public key and signature (RFC 8032 section 5.1). */
export const ed25519SeedBytes = 32;
export const ed25519PublicKeyBytes = 32;
export const ed25519SignatureBytes = 64;

// SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410 section 4).
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');
// PrivateKeyInfo of an Ed25519 key up to its seed (RFC 8410 section 7).
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * Signs with Ed25519 (RFC 8032 section 5.1.6).
 *
 * @returns 64 bytes
 * @throws CryptoError `crypto.key_unsuitable`
 */
export function signEd25519(privateKey: KeyObject, message: Uint8Array): Buffer {
  requireEd25519PrivateKey(privateKey);
  return sign(null, message, privateKey);
}

/**
 * Whether `signature` is that of `message`. Anything that is not a key of 32 and a signature of 64 bytes is
 * not.
 */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== ed25519PublicKeyBytes || signature.length !== ed25519SignatureBytes) return false;
  const key = createPublicKey({
    key: Buffer.concat([spkiPrefix, publicKey]),
    format: 'der',
    type: 'spki',
  });
  return verify(null, message, key, signature);
}

/** The public key of an Ed25519 private (or public) key, 32 bytes. */
export function ed25519PublicKey(key: KeyObject): Buffer {
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new CryptoError('crypto.key_unsuitable', 'an Ed25519 key is needed');
  }
  const publicKey = key.type === 'public' ? key : createPublicKey(key);
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length);
}

/** The private key that follows from a seed of 32 bytes (RFC 8032 section 5.1.5), which stays the caller's. */
export function ed25519PrivateKey(seed: Uint8Array): KeyObject {
  requireBytes(seed, ed25519SeedBytes, 'seed');
  const encoded = Buffer.concat([pkcs8Prefix, seed]);
  try {
    return createPrivateKey({ key: encoded, format: 'der', type: 'pkcs8' });
  } finally {
    encoded.fill(0);
  }
}

/**
 * The seed of an Ed25519 private key, 32 bytes, owned by the caller, who zeroes it.
 *
 * @throws CryptoError `crypto.key_unsuitable`
 */
export function ed25519Seed(privateKey: KeyObject): Buffer {
  requireEd25519PrivateKey(privateKey);
  // As bytes, not as JWK: a string cannot be zeroed.
  const encoded = privateKey.export({ format: 'der', type: 'pkcs8' });
  const seed = Buffer.from(encoded.subarray(pkcs8Prefix.length));
  encoded.fill(0);
  return seed;
}

function requireEd25519PrivateKey(key: KeyObject): void {
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') {
    throw new CryptoError('crypto.key_unsuitable', 'an Ed25519 private key is needed');
  }
}
