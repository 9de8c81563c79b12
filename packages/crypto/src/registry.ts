import { generateKeyPairSync, generateKeySync, type KeyObject } from 'node:crypto';
import { CryptoError } from './errors.ts';

/**
 * The algorithms and suites of Trialkeep. What is not a row here does not exist: every other module takes
 * its sizes and names from these rows, and an identifier without a row is refused.
 */

function rows<const T extends object>(table: T): Readonly<T> {
  return Object.freeze(Object.assign(Object.create(null) as T, table));
}

/**
 * Kinds of key. `secretType` stands for the kind in a wrapped key, and `secret` is the form of its secret there: symmetric keys as they
 * are, private keys as seed or scalar of a fixed length, those of RSA in PKCS #8 (docs/formats/wrapped-key.md). `purposes` are those that a
 * system's key of the kind can have, one for each key; kinds without any serve Trialkeep itself alone. `strengthBits` is the security
 * strength (NIST SP 800-57 part 1, revision 5, tables 2 and 3; for ML-KEM and ML-DSA that of their category). `approved`: FIPS approves it.
 */
export const keyAlgorithms = rows({
  /** Encrypts and wraps. */
  AES_256: {
    secretType: 1,
    secret: { form: 'symmetric', bytes: 32 },
    purposes: ['encrypt'],
    strengthBits: 256,
    approved: true,
    standard: 'FIPS 197',
  },
  /** Authenticates, with SHA-256. */
  HMAC_256: {
    secretType: 2,
    secret: { form: 'symmetric', bytes: 32 },
    purposes: ['mac'],
    strengthBits: 256,
    approved: true,
    standard: 'FIPS 198-1',
  },
  HMAC_384: {
    secretType: 6,
    secret: { form: 'symmetric', bytes: 48 },
    purposes: ['mac'],
    strengthBits: 384,
    approved: true,
    standard: 'FIPS 198-1',
  },
  HMAC_512: {
    secretType: 7,
    secret: { form: 'symmetric', bytes: 64 },
    purposes: ['mac'],
    strengthBits: 512,
    approved: true,
    standard: 'FIPS 198-1',
  },
  /** ECDSA with SHA-256, or ECDH, over P-256 (NIST SP 800-186 section 3.2.1.3). */
  ECC_NIST_P256: {
    secretType: 8,
    secret: { form: 'scalar', bytes: 32, curve: 'P-256' },
    purposes: ['sign', 'agree'],
    strengthBits: 128,
    approved: true,
    standard: 'FIPS 186-5, NIST SP 800-56A',
  },
  /** ECDSA with SHA-384, or ECDH, over P-384 (NIST SP 800-186 section 3.2.1.4). */
  ECC_NIST_P384: {
    secretType: 9,
    secret: { form: 'scalar', bytes: 48, curve: 'P-384' },
    purposes: ['sign', 'agree'],
    strengthBits: 192,
    approved: true,
    standard: 'FIPS 186-5, NIST SP 800-56A',
  },
  /** RFC 8032 section 5.1; signs the ledger too. */
  ED25519: {
    secretType: 3,
    secret: { form: 'seed', bytes: 32, keyType: 'ed25519' },
    purposes: ['sign'],
    strengthBits: 128,
    approved: true,
    standard: 'FIPS 186-5, RFC 8032',
  },
  /** RSASSA-PSS, or RSAES-OAEP with SHA-256 (RFC 8017). */
  RSA_3072: {
    secretType: 11,
    secret: { form: 'rsa', bits: 3072 },
    purposes: ['sign', 'decrypt'],
    strengthBits: 128,
    approved: true,
    standard: 'FIPS 186-5, NIST SP 800-56B',
  },
  RSA_4096: {
    secretType: 12,
    secret: { form: 'rsa', bits: 4096 },
    purposes: ['sign', 'decrypt'],
    strengthBits: 152,
    approved: true,
    standard: 'FIPS 186-5, NIST SP 800-56B',
  },
  /** For partners who have nothing else: 112 bits end with 2030 (NIST SP 800-131A revision 2, sections 3 and 6). Needs a reason. */
  RSA_2048: {
    secretType: 10,
    secret: { form: 'rsa', bits: 2048 },
    purposes: ['sign', 'decrypt'],
    strengthBits: 112,
    approved: true,
    legacy: true,
    standard: 'FIPS 186-5, NIST SP 800-56B',
  },
  /** RFC 7748 section 6.1. */
  X25519: {
    secretType: 13,
    secret: { form: 'seed', bytes: 32, keyType: 'x25519' },
    purposes: ['agree'],
    strengthBits: 128,
    approved: false,
    standard: 'RFC 7748',
  },
  /** Encapsulated to with the public key; the private key decapsulates. */
  ML_KEM_768: {
    secretType: 14,
    secret: { form: 'seed', bytes: 64, keyType: 'ml-kem-768' },
    purposes: ['agree'],
    strengthBits: 192,
    approved: true,
    standard: 'FIPS 203',
  },
  ML_DSA_65: {
    secretType: 15,
    secret: { form: 'seed', bytes: 32, keyType: 'ml-dsa-65' },
    purposes: ['sign'],
    strengthBits: 192,
    approved: true,
    standard: 'FIPS 204',
  },
  /** Signs the ledger beside Ed25519, against quantum computers. */
  ML_DSA_44: {
    secretType: 5,
    secret: { form: 'seed', bytes: 32, keyType: 'ml-dsa-44' },
    purposes: [],
    strengthBits: 128,
    approved: true,
    standard: 'FIPS 204',
  },
  /**
   * RFC 2104 with SHA-1: the one-time codes of authenticators (RFC 6238), because every authenticator app
   * computes these, and nothing else. A MAC does not rest on SHA-1 resisting collisions (NIST SP 800-107r1
   * section 5.3); SP 800-131Ar2 section 10 approves it with keys of 112 bits and more.
   */
  HMAC_SHA_1: {
    secretType: 4,
    secret: { form: 'symmetric', bytes: 32 },
    purposes: [],
    strengthBits: 160,
    approved: true,
    standard: 'FIPS 198-1',
  },
} as const satisfies Record<string, KeyAlgorithmRow>);

interface KeyAlgorithmRow {
  readonly secretType: number;
  readonly secret:
    | { readonly form: 'symmetric'; readonly bytes: number }
    | { readonly form: 'scalar'; readonly bytes: number; readonly curve: 'P-256' | 'P-384' }
    | {
        readonly form: 'seed';
        readonly bytes: number;
        readonly keyType: 'ed25519' | 'x25519' | 'ml-dsa-44' | 'ml-dsa-65' | 'ml-kem-768';
      }
    | { readonly form: 'rsa'; readonly bits: 2048 | 3072 | 4096 };
  readonly purposes: readonly ('encrypt' | 'decrypt' | 'sign' | 'mac' | 'agree')[];
  readonly strengthBits: number;
  readonly approved: boolean;
  /** Only where a reason is given for it. */
  readonly legacy?: true;
  readonly standard: string;
}

export type KeyAlgorithm = keyof typeof keyAlgorithms;

/**
 * What a key is for. `byte` stands for the purpose in a wrapped key; `algorithm` is that of the keys for it whose place names none: those
 * of Trialkeep itself.
 */
export const keyPurposes = rows({
  wrap: { byte: 1, algorithm: 'AES_256' },
  encrypt: { byte: 2, algorithm: 'AES_256' },
  sign: { byte: 3, algorithm: 'ED25519' },
  mac: { byte: 4, algorithm: 'HMAC_256' },
  authenticate: { byte: 5, algorithm: 'HMAC_SHA_1' },
  'sign-pq': { byte: 6, algorithm: 'ML_DSA_44' },
  agree: { byte: 7, algorithm: undefined },
  decrypt: { byte: 8, algorithm: undefined },
} as const);

export type KeyPurpose = keyof typeof keyPurposes;

/** What keys of systems are for. */
export type SystemKeyPurpose = KeyAlgorithmRow['purposes'][number];

/** The row of an algorithm; widened, so that its columns can be read whichever it is. @throws CryptoError `crypto.algorithm_unknown` */
export function keyAlgorithm(name: string): KeyAlgorithmRow {
  const row = Object.hasOwn(keyAlgorithms, name) ? keyAlgorithms[name as KeyAlgorithm] : undefined;
  if (row === undefined) throw new CryptoError('crypto.algorithm_unknown', name.slice(0, 40));
  return row;
}

/** Whether a system's key of this algorithm can have this purpose. */
export function isForPurpose(algorithm: string, purpose: string): boolean {
  return (keyAlgorithm(algorithm).purposes as readonly string[]).includes(purpose);
}

/**
 * How signatures of systems' keys are made, by the algorithm of the key; the first row of a kind of key is the usual one. `digest`: a digest that
 * somebody else computed can be signed. Signatures of ECDSA are DER (RFC 3279 section 2.2.3); on demand r and s one after the other.
 */
export const signatureAlgorithms = rows({
  ECDSA_SHA_256: { scheme: 'ecdsa', keys: ['ECC_NIST_P256'], hash: 'sha256', hashBytes: 32, digest: false },
  ECDSA_SHA_384: { scheme: 'ecdsa', keys: ['ECC_NIST_P384'], hash: 'sha384', hashBytes: 48, digest: false },
  ED25519: { scheme: 'pure', keys: ['ED25519'], digest: false },
  ML_DSA_65: { scheme: 'pure', keys: ['ML_DSA_65'], digest: false },
  RSASSA_PSS_SHA_256: {
    scheme: 'pss',
    keys: ['RSA_2048', 'RSA_3072', 'RSA_4096'],
    hash: 'sha256',
    hashBytes: 32,
    digest: true,
  },
  RSASSA_PSS_SHA_384: {
    scheme: 'pss',
    keys: ['RSA_2048', 'RSA_3072', 'RSA_4096'],
    hash: 'sha384',
    hashBytes: 48,
    digest: true,
  },
  RSASSA_PSS_SHA_512: {
    scheme: 'pss',
    keys: ['RSA_2048', 'RSA_3072', 'RSA_4096'],
    hash: 'sha512',
    hashBytes: 64,
    digest: true,
  },
} as const);

export type SignatureAlgorithm = keyof typeof signatureAlgorithms;

/** The hash under a MAC, by the algorithm of its key; the MAC is as long as the hash. */
export const macHashes = rows({ HMAC_256: 'sha256', HMAC_384: 'sha384', HMAC_512: 'sha512' } as const);

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

/** How key material travels to and from other modules (docs/formats/key-transfer.md). `wrapping`: the keys that it is wrapped under. */
export const transferWraps = rows({
  /** An AES-256 key under RSAES-OAEP with SHA-256, the material under that by AES-KWP (RFC 5649): CKM_RSA_AES_KEY_WRAP of PKCS #11. */
  RSA_AES_KEY_WRAP_SHA_256: { oaepHash: 'sha256', aesKeyBytes: 32, wrapping: ['RSA_4096', 'RSA_3072'] },
} as const);

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
 * Makes a fresh random key of a kind that Trialkeep itself uses. For `ED25519` and `ML_DSA_44` this is the private key; `createPublicKey`
 * gives the public one. The material stays inside the KeyObject, which the caller owns; it is released with the last reference to it.
 *
 * @throws CryptoError `crypto.algorithm_unknown` for what `generateKeyMaterial` makes
 */
export function generateKey(algorithm: KeyAlgorithm): KeyObject {
  switch (algorithm) {
    case 'AES_256':
      return generateKeySync('aes', { length: 256 });
    case 'HMAC_256':
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
