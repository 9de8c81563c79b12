import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { CryptoError } from '../errors.ts';
import { isOfAlgorithm } from './material.ts';
import { keyAlgorithm, macHashes } from '../registry.ts';

/**
 * HMAC (FIPS 198-1), as long as its hash.
 *
 * @param algorithm of the key: `HMAC_256`, `HMAC_384` or `HMAC_512`
 * @throws CryptoError `crypto.algorithm_unknown`, `crypto.key_unsuitable`
 */
export function macWith(algorithm: string, key: KeyObject, message: Uint8Array): Buffer {
  const hash = Object.hasOwn(macHashes, algorithm)
    ? macHashes[algorithm as keyof typeof macHashes]
    : undefined;
  if (hash === undefined) throw new CryptoError('crypto.algorithm_unknown', algorithm.slice(0, 40));
  if (!isOfAlgorithm(key, keyAlgorithm(algorithm).secret)) {
    throw new CryptoError('crypto.key_unsuitable', `a key of ${algorithm} is needed`);
  }
  return createHmac(hash, key).update(message).digest();
}

/** Whether `mac` is that of the message, compared in constant time; a shortened one is not. @throws CryptoError as `macWith` */
export function isMac(algorithm: string, key: KeyObject, message: Uint8Array, mac: Uint8Array): boolean {
  const expected = macWith(algorithm, key, message);
  return mac.length === expected.length && timingSafeEqual(mac, expected);
}
