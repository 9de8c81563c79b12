import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { requireBytes } from './checks.ts';
import { CryptoError } from './errors.ts';
import { mlDsa44 } from './registry.ts';

const keyType = 'ml-dsa-44';

/**
 * Signs with ML-DSA-44 (FIPS 204 section 5.2), hedged, with the empty context.
 *
 * @returns 2,420 bytes, other ones each time
 * @throws CryptoError `crypto.key_unsuitable`
 */
export function signMlDsa44(privateKey: KeyObject, message: Uint8Array): Buffer {
  requireMlDsa44PrivateKey(privateKey);
  return sign(null, message, privateKey);
}

/**
 * Whether `signature` is one of `message` (FIPS 204 section 5.3, empty context). Anything that is not a key of 1,312 and
 * a signature of 2,420 bytes is not.
 */
export function verifyMlDsa44(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== mlDsa44.publicKeyBytes || signature.length !== mlDsa44.signatureBytes)
    return false;
  const key = createPublicKey({ key: viewOf(publicKey), format: 'raw-public', asymmetricKeyType: keyType });
  return verify(null, message, key, signature);
}

/**
 * The public key of an ML-DSA-44 private (or public) key, 1,312 bytes (FIPS 204 section 7.2).
 *
 * @throws CryptoError `crypto.key_unsuitable`
 */
export function mlDsa44PublicKey(key: KeyObject): Buffer {
  if (key.asymmetricKeyType !== keyType) {
    throw new CryptoError('crypto.key_unsuitable', 'an ML-DSA-44 key is needed');
  }
  const publicKey = key.type === 'public' ? key : createPublicKey(key);
  return publicKey.export({ format: 'raw-public' });
}

/** The private key that follows from a seed of 32 bytes (FIPS 204 section 6.1), which stays the caller's. */
export function mlDsa44PrivateKey(seed: Uint8Array): KeyObject {
  requireBytes(seed, mlDsa44.seedBytes, 'seed');
  return createPrivateKey({ key: viewOf(seed), format: 'raw-seed', asymmetricKeyType: keyType });
}

/**
 * The seed of an ML-DSA-44 private key, 32 bytes, owned by the caller, who zeroes it.
 *
 * @throws CryptoError `crypto.key_unsuitable`, also for a key that was imported without its seed
 */
export function mlDsa44Seed(privateKey: KeyObject): Buffer {
  requireMlDsa44PrivateKey(privateKey);
  try {
    return privateKey.export({ format: 'raw-seed' });
  } catch {
    throw new CryptoError('crypto.key_unsuitable', 'an ML-DSA-44 private key with its seed is needed');
  }
}

function requireMlDsa44PrivateKey(key: KeyObject): void {
  if (key.type !== 'private' || key.asymmetricKeyType !== keyType) {
    throw new CryptoError('crypto.key_unsuitable', 'an ML-DSA-44 private key is needed');
  }
}

/** The same bytes, not a copy, as the Buffer that `createPublicKey` and `createPrivateKey` ask for. */
function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
