import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { CryptoError } from './errors.ts';

/** Bytes of an Ed25519 public key and signature (RFC 8032 section 5.1). */
export const ed25519PublicKeyBytes = 32;
export const ed25519SignatureBytes = 64;

// SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410 section 4).
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * Signs with Ed25519 (RFC 8032 section 5.1.6).
 *
 * @returns 64 bytes
 * @throws CryptoError `crypto.key_unsuitable`
 */
export function signEd25519(privateKey: KeyObject, message: Uint8Array): Buffer {
  if (privateKey.type !== 'private' || privateKey.asymmetricKeyType !== 'ed25519') {
    throw new CryptoError('crypto.key_unsuitable', 'an Ed25519 private key is needed');
  }
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
