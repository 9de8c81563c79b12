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
  /**
   * RFC 2104 with SHA-1: the one-time codes of authenticators (RFC 6238), because every authenticator app
   * computes these, and nothing else. A MAC does not rest on SHA-1 resisting collisions (NIST SP 800-107r1
   * section 5.3); SP 800-131Ar2 section 10 approves it with keys of 112 bits and more.
   */
  HMAC_SHA_1: { secretType: 4 },
  /** FIPS 204; signs the ledger beside Ed25519, against quantum computers. The secret is the seed. */
  ML_DSA_44: { secretType: 5 },
} as const);

export type KeyAlgorithm = keyof typeof keyAlgorithms;

/** What a key is for. Each purpose has one algorithm. `byte` stands for the purpose in a wrapped key. */
export const keyPurposes = rows({
  wrap: { byte: 1, algorithm: 'AES_256' },
  encrypt: { byte: 2, algorithm: 'AES_256' },
  sign: { byte: 3, algorithm: 'ED25519' },
  mac: { byte: 4, algorithm: 'HMAC_SHA_256' },
  authenticate: { byte: 5, algorithm: 'HMAC_SHA_1' },
  'sign-pq': { byte: 6, algorithm: 'ML_DSA_44' },
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
 * (docs/formats/sealed-message.md). `signed`: a signature over the whole message ends it.
 */
export const messageSuites = rows({
  0x0478: { name: 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY', signed: false },
  0x0578: { name: 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384', signed: true },
} as const);

export type MessageSuite = keyof typeof messageSuites;

/** ECDSA over P-384 with SHA-384 (FIPS 186-5 section 6; the curve: NIST SP 800-186 section 3.2.1.4). */
export const ecdsaP384 = Object.freeze({ curve: 'P-384', hash: 'sha384', coordinateBytes: 48 });

/** ML-DSA-44 (FIPS 204 section 4, tables 1 and 2). */
export const mlDsa44 = Object.freeze({ seedBytes: 32, publicKeyBytes: 1312, signatureBytes: 2420 });

/**
 * Password hashes, by the name in their PHC string. `cost` has the parameters in the order of the string, each
 * with what new hashes take and the bounds outside of which none is made or read. The lower bounds are those
 * of the OWASP Password Storage Cheat Sheet; the upper ones bound what a stored string can make us spend.
 */
export const passwordHashes = rows({
  /** RFC 9106; m in KiB, t passes, p lanes. Not approved by FIPS. */
  argon2id: {
    prefix: '$argon2id$v=19$',
    cost: {
      m: { minimum: 19_456, usual: 65_536, maximum: 262_144 },
      t: { minimum: 2, usual: 3, maximum: 10 },
      p: { minimum: 1, usual: 1, maximum: 4 },
    },
  },
  /** PBKDF2 with HMAC-SHA-512, i iterations: NIST SP 800-132, the approved alternative. */
  'pbkdf2-sha512': {
    prefix: '$pbkdf2-sha512$',
    cost: { i: { minimum: 210_000, usual: 300_000, maximum: 2_000_000 } },
  },
} as const);

export type PasswordHashAlgorithm = keyof typeof passwordHashes;

/** Hashes of RSAES-OAEP (RFC 8017 section 7.1), for the label and for MGF1 alike. */
export const rsaOaepHashes = rows({
  sha256: { digest: 'sha256' },
  sha384: { digest: 'sha384' },
  sha512: { digest: 'sha512' },
} as const);

export type RsaOaepHash = keyof typeof rsaOaepHashes;

/** Sizes of RSA keys: 128 bits of strength at least (NIST SP 800-57 part 1, revision 5, table 2). */
export const rsaModulusBits = Object.freeze({ least: 3072, most: 8192 });

/**
 * Suites of HPKE (RFC 9180) by the numbers of KEM, KDF and AEAD, with hybrid KEMs of draft-ietf-hpke-pq-05
 * (docs/formats/hpke-recipient.md), HKDF-SHA-256 and AES-256-GCM. Sizes in bytes.
 */
export const hpkeSuites = rows({
  /** ML-KEM-768 and X25519. */
  'mlkem768-x25519': {
    kem: 0x647a,
    kdf: 0x0001,
    aead: 0x0002,
    publicKeyBytes: 1216,
    encapsulatedBytes: 1120,
  },
  /** ML-KEM-768 and P-256: only curves and functions that FIPS approves. */
  'mlkem768-p256': { kem: 0x0050, kdf: 0x0001, aead: 0x0002, publicKeyBytes: 1249, encapsulatedBytes: 1153 },
} as const);

export type HpkeSuite = keyof typeof hpkeSuites;

/** What new escrow keys are made of (docs/formats/escrow-key.md), by profile. */
export const escrowProfiles = rows({
  evaluation: { suite: 'mlkem768-x25519', algorithm: 'argon2id', cost: { m: 262_144, t: 3, p: 1 } },
  regulated: { suite: 'mlkem768-p256', algorithm: 'pbkdf2-sha512', cost: { i: 2_000_000 } },
} as const);

export type EscrowProfile = keyof typeof escrowProfiles;

/** Throws `crypto.suite_unknown`, naming the suite, unless `suite` is a row of `suites`. */
export function requireSuite(suites: Readonly<Record<number, unknown>>, suite: number, digits: number): void {
  if (suites[suite] === undefined) {
    throw new CryptoError('crypto.suite_unknown', `0x${suite.toString(16).padStart(digits, '0')}`);
  }
}

/**
 * Makes a fresh random key. For `ED25519` and `ML_DSA_44` this is the private key; `createPublicKey` gives the public one.
 * The material stays inside the KeyObject, which the caller owns; it is released with the last reference to
 * it.
 */
export function generateKey(algorithm: KeyAlgorithm): KeyObject {
  switch (algorithm) {
    case 'AES_256':
      return generateKeySync('aes', { length: 256 });
    case 'HMAC_SHA_256':
    case 'HMAC_SHA_1':
      return generateKeySync('hmac', { length: 256 });
    case 'ED25519':
      return generateKeyPairSync('ed25519').privateKey;
    case 'ML_DSA_44':
      return generateKeyPairSync('ml-dsa-44').privateKey;
    default:
      throw new CryptoError('crypto.algorithm_unknown');
  }
}
