import { decapsulate, diffieHellman, type KeyObject } from 'node:crypto';
import { CryptoError } from '../errors.ts';
import { isOfAlgorithm, parsePublicKey } from './material.ts';
import { keyAlgorithm } from '../registry.ts';

/** Bytes of an ML-KEM-768 ciphertext (FIPS 203 section 8, table 3). */
export const mlKem768CiphertextBytes = 1088;

/**
 * The shared secret Z as it comes out of the agreement: ECDH (NIST SP 800-56A revision 3, section 5.7.1.2) over P-256 or P-384, X25519 (RFC 7748
 * section 6.1). It is not a key: the caller derives one from it (HKDF, or SP 800-56C), naming both public keys.
 *
 * @param algorithm of the private key
 * @param peer SubjectPublicKeyInfo, DER, of the same algorithm
 * @returns 32 or 48 bytes, owned by the caller, who zeroes them
 * @throws CryptoError `crypto.key_unsuitable` for any other peer, also for one whose secret everybody knows (RFC 7748 section 6.1)
 */
export function deriveSharedSecret(algorithm: string, privateKey: KeyObject, peer: Uint8Array): Buffer {
  if (algorithm === 'ML_KEM_768') throw new CryptoError('crypto.key_unsuitable', 'it is encapsulated to');
  requirePrivateKey(algorithm, privateKey);
  const publicKey = parsePublicKey(algorithm, peer);
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch {
    throw new CryptoError('crypto.key_unsuitable', 'the other public key');
  }
}

/**
 * ML-KEM-768 decapsulation (FIPS 203 section 7.3). A ciphertext that was not made for this key gives another secret, and no error: implicit
 * rejection.
 *
 * @returns 32 bytes, owned by the caller, who zeroes them
 * @throws CryptoError `crypto.key_unsuitable`, `crypto.ciphertext_malformed` for another length than 1,088 bytes
 */
export function decapsulateMlKem768(privateKey: KeyObject, ciphertext: Uint8Array): Buffer {
  requirePrivateKey('ML_KEM_768', privateKey);
  if (ciphertext.length !== mlKem768CiphertextBytes) throw new CryptoError('crypto.ciphertext_malformed');
  return Buffer.from(decapsulate(privateKey, ciphertext));
}

function requirePrivateKey(algorithm: string, key: KeyObject): void {
  if (key.type !== 'private' || !isOfAlgorithm(key, keyAlgorithm(algorithm).secret)) {
    throw new CryptoError('crypto.key_unsuitable', `a private key of ${algorithm} is needed`);
  }
}
