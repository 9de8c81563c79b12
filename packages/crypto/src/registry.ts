import { generateKeyPairSync, generateKeySync, type KeyObject } from 'node:crypto';
import { CryptoError } from './errors.ts';

/**
 * The algorithms and suites of Trialkeep. What is not a row here does not exist: every other module takes
 * its sizes and names from these rows, and an identifier without a row is refused.
 */

function rows<const T extends object>(table: T): Readonly<T> {
  return Object.freeze(Object.assign(Object.create(null) as T, table));
}

/** Kinds of key; each secret has 32 bytes. `secretType` stands for the kind in a wrapped key. */
export const keyAlgorithms = rows({
  /** FIPS 197; encrypts and wraps. */
  AES_256: { secretType: 1 },
  /** FIPS 198-1 with SHA-256; authenticates. */
  HMAC_SHA_256: { secretType: 2 },
  /** RFC 8032 section 5.1; signs the ledger. The secret is the seed. */
  ED25519: { secretType: 3 },
} as const);

export type KeyAlgorithm = keyof typeof keyAlgorithms;

/** What a key is for. Each purpose has one algorithm. `byte` stands for the purpose in a wrapped key. */
export const keyPurposes = rows({
  wrap: { byte: 1, algorithm: 'AES_256' },
  encrypt: { byte: 2, algorithm: 'AES_256' },
  sign: { byte: 3, algorithm: 'ED25519' },
  mac: { byte: 4, algorithm: 'HMAC_SHA_256' },
} as const);

export type KeyPurpose = keyof typeof keyPurposes;

/** AES-256-GCM, NIST SP 800-38D, with the one nonce and tag size in use. */
export const aes256Gcm = Object.freeze({ cipher: 'aes-256-gcm', keyBytes: 32, nonceBytes: 12, tagBytes: 16 });

/** The hash under every key derivation: HKDF (RFC 5869) with HMAC-SHA-512. */
export const kdfHash = 'sha512';

/** Suites of the compact form, by the byte in its header (docs/formats/compact.md). */
export const compactSuites = rows({ 1: { name: 'AES_256_GCM_HKDF_EXPAND_SHA512_COMMIT_KEY' } });

/** Suites of a wrapped key, by the byte in its header (docs/formats/wrapped-key.md). */
export const wrapSuites = rows({ 1: { name: 'AES_256_GCM_HKDF_EXPAND_SHA512' } });

/**
 * Suites of a sealed message, by the AWS Encryption SDK's algorithm suite id
 * (docs/formats/sealed-message.md).
 */
export const messageSuites = rows({ 0x0478: { name: 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY' } });

/** Throws `crypto.suite_unknown`, naming the suite, unless `suite` is a row of `suites`. */
export function requireSuite(suites: Readonly<Record<number, unknown>>, suite: number, digits: number): void {
  if (suites[suite] === undefined) {
    throw new CryptoError('crypto.suite_unknown', `0x${suite.toString(16).padStart(digits, '0')}`);
  }
}

/**
 * Makes a fresh random key. For `ED25519` this is the private key; `createPublicKey` gives the public one.
 * The material stays inside the KeyObject, which the caller owns; it is released with the last reference to
 * it.
 */
export function generateKey(algorithm: KeyAlgorithm): KeyObject {
  switch (algorithm) {
    case 'AES_256':
      return generateKeySync('aes', { length: 256 });
    case 'HMAC_SHA_256':
      return generateKeySync('hmac', { length: 256 });
    case 'ED25519':
      return generateKeyPairSync('ed25519').privateKey;
    default:
      throw new CryptoError('crypto.algorithm_unknown');
  }
}
