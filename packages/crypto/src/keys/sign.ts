import { constants, privateEncrypt, publicDecrypt, sign, verify, type KeyObject } from 'node:crypto';
import { CryptoError } from '../errors.ts';
import { isOfAlgorithm } from './material.ts';
import { encodePss, isPss } from './pss.ts';
import { keyAlgorithm, signatureAlgorithms, type SignatureAlgorithm } from '../registry.ts';

/** What is signed: the message itself, or for algorithms whose row says so, its digest under the algorithm's hash. */
export type Signed = { readonly message: Uint8Array } | { readonly digest: Uint8Array };

/** `der`: SEQUENCE of r and s (RFC 3279 section 2.2.3), as OpenSSL, X.509 and AWS KMS write it; `p1363`: r ‖ s (IEEE 1363), as JWS does. */
export type EcdsaEncoding = 'der' | 'p1363';

/** The ways in which a key of this kind signs, the usual one first. */
export function signatureAlgorithmsOf(algorithm: string): SignatureAlgorithm[] {
  const names = Object.keys(signatureAlgorithms) as SignatureAlgorithm[];
  return names.filter((name) => (signatureAlgorithms[name].keys as readonly string[]).includes(algorithm));
}

/**
 * Signs: ECDSA (FIPS 186-5 section 6), Ed25519 (section 7), ML-DSA-65 (FIPS 204 section 5.2, hedged, empty context), RSASSA-PSS (RFC 8017
 * section 8.1, MGF1 under the same hash, salt as long as the hash).
 *
 * @throws CryptoError `crypto.key_unsuitable`; `crypto.argument_invalid` for a digest where none is taken, or of another length
 */
export function signWith(
  algorithm: SignatureAlgorithm,
  privateKey: KeyObject,
  signed: Signed,
  encoding: EcdsaEncoding = 'der',
): Buffer {
  requireKey(algorithm, privateKey, 'private');
  const row = signatureAlgorithms[algorithm];
  if ('digest' in signed) {
    const digest = requireDigest(algorithm, signed.digest);
    const modulusBits = privateKey.asymmetricKeyDetails?.modulusLength ?? 0;
    const encoded = encodePss(digest, modulusBits);
    return privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, encoded);
  }
  if (row.scheme === 'pure') return sign(null, signed.message, privateKey);
  return sign(row.hash, signed.message, options(row.scheme, privateKey, encoding));
}

/** Whether `signature` is one of what is signed; whatever else it is, it is not. @throws CryptoError as `signWith` */
export function verifyWith(
  algorithm: SignatureAlgorithm,
  publicKey: KeyObject,
  signed: Signed,
  signature: Uint8Array,
  encoding: EcdsaEncoding = 'der',
): boolean {
  requireKey(algorithm, publicKey, 'public');
  const row = signatureAlgorithms[algorithm];
  if ('digest' in signed) {
    const digest = requireDigest(algorithm, signed.digest);
    const modulusBits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0;
    const encoded = recover(publicKey, signature, modulusBytes(publicKey));
    return encoded !== undefined && isPss(digest, encoded, modulusBits);
  }
  if (row.scheme === 'pure') return verify(null, signed.message, publicKey, signature);
  // RFC 8017 section 8.1.2 step 1; OpenSSL takes a signature without its leading zeros too.
  if (row.scheme === 'pss' && signature.length !== modulusBytes(publicKey)) return false;
  return verify(row.hash, signed.message, options(row.scheme, publicKey, encoding), signature);
}

function modulusBytes(publicKey: KeyObject): number {
  return Math.ceil((publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
}

function options(scheme: 'ecdsa' | 'pss', key: KeyObject, encoding: EcdsaEncoding) {
  if (scheme === 'ecdsa') {
    return { key, dsaEncoding: encoding === 'der' ? ('der' as const) : ('ieee-p1363' as const) };
  }
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}

/** The DER form of `r ‖ s`, which is what tokens give (PKCS #11 2.40 mechanisms, section 2.3.1): each a positive INTEGER without leading zeros. */
export function ecdsaDer(p1363: Uint8Array): Buffer {
  const half = p1363.length / 2;
  const integers = [p1363.subarray(0, half), p1363.subarray(half)].map((bytes) => {
    const start = bytes.findIndex((byte) => byte !== 0);
    const value = start < 0 ? Buffer.of(0) : Buffer.from(bytes.subarray(start));
    const positive = (value[0] ?? 0) < 0x80 ? value : Buffer.concat([Buffer.of(0), value]);
    return Buffer.concat([Buffer.of(0x02, positive.length), positive]);
  });
  const content = Buffer.concat(integers);
  // Two integers of at most 49 bytes: the length fits into one byte.
  return Buffer.concat([Buffer.of(0x30, content.length), content]);
}

/** RSAVP1 (RFC 8017 section 5.2.2); undefined where the signature is no number below the modulus of its length. */
function recover(key: KeyObject, signature: Uint8Array, bytes: number): Buffer | undefined {
  if (signature.length !== bytes) return undefined;
  try {
    return publicDecrypt({ key, padding: constants.RSA_NO_PADDING }, signature);
  } catch {
    return undefined;
  }
}

function requireKey(algorithm: SignatureAlgorithm, key: KeyObject, type: 'public' | 'private'): void {
  const row = Object.hasOwn(signatureAlgorithms, algorithm) ? signatureAlgorithms[algorithm] : undefined;
  if (row === undefined) throw new CryptoError('crypto.algorithm_unknown');
  const fits = row.keys.some((name) => isOfAlgorithm(key, keyAlgorithm(name).secret));
  if (key.type !== type || !fits) {
    throw new CryptoError('crypto.key_unsuitable', `a ${type} key for ${algorithm} is needed`);
  }
}

function requireDigest(algorithm: SignatureAlgorithm, digest: Uint8Array) {
  const row = signatureAlgorithms[algorithm];
  if (!row.digest) throw new CryptoError('crypto.argument_invalid', `${algorithm} signs messages only`);
  if (digest.length !== row.hashBytes) {
    throw new CryptoError('crypto.argument_invalid', `the digest must be ${row.hashBytes} bytes`);
  }
  return { hash: row.hash, bytes: digest };
}
