import { CryptoError } from '../errors.ts';
import { timestampHashes } from './algorithms.ts';
import type { TimestampHash } from './algorithms.ts';
import { commonName } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { isSignedBy, requireChain, requireSigner } from './chain.ts';
import { isSame } from './der.ts';
import { nodeTimestampPrimitives } from './primitives.ts';
import type { TimestampPrimitives } from './primitives.ts';
import { parseToken } from './token.ts';
import type { Token } from './token.ts';

/** What a token has to be of. */
export interface TimestampExpectation {
  /** What was stamped, whole. */
  readonly data: Uint8Array;
  /** The certificates that chains end in, from a trusted place. */
  readonly roots: readonly Certificate[];
  /** The hash that was asked for; any of the registry otherwise. */
  readonly hash?: TimestampHash;
  /** The nonce that was sent; whatever the token says otherwise, as long after the answer nobody knows it. */
  readonly nonce?: Uint8Array;
  /** The policies that are accepted; every one otherwise. */
  readonly policies?: readonly string[];
  /** The token has to state an accuracy, and at most this many milliseconds. */
  readonly maxAccuracyMs?: number;
  readonly primitives?: TimestampPrimitives;
}

/** What a token proves: the data existed at that time, says this authority. */
export interface VerifiedTimestamp {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** How far the time may be off, as the authority states; absent where it states nothing. */
  readonly accuracyMs?: number;
  readonly policy: string;
  /** Hexadecimal. */
  readonly serial: string;
  readonly hash: TimestampHash;
  /** The common name of the certificate that signed. */
  readonly authority: string;
}

/**
 * Verifies a token (RFC 3161 section 2.2) with nothing but the data and the roots; any byte of it may be an attacker's.
 *
 * @throws CryptoError `crypto.timestamp_…`: what does not hold
 */
export async function verifyTimestamp(
  bytes: Uint8Array,
  expected: TimestampExpectation,
): Promise<VerifiedTimestamp> {
  const { primitives = nodeTimestampPrimitives, roots } = expected;
  const token = parseToken(bytes);
  const { info } = token;
  await requireImprint(token, expected, primitives);
  requireTerms(token, expected);
  const signer = await findSigner(token, roots, primitives);
  await requireSignature(token, signer, primitives);
  requireSigner(signer, info.time);
  if (info.authority !== undefined && !isSame(info.authority, signer.subject)) {
    throw new CryptoError('crypto.timestamp_certificate', 'the token names another authority');
  }
  await requireChain(signer, { between: token.certificates, roots, time: info.time, primitives });
  return {
    time: info.time,
    ...(info.accuracyMs !== undefined && { accuracyMs: info.accuracyMs }),
    policy: info.policy,
    serial: Array.from(info.serial, (byte) => byte.toString(16).padStart(2, '0')).join(''),
    hash: info.hash,
    authority: commonName(signer.subject) ?? 'unnamed',
  };
}

async function requireImprint(
  { info }: Token,
  { data, hash }: TimestampExpectation,
  primitives: TimestampPrimitives,
): Promise<void> {
  const isRightHash = hash === undefined || hash === info.hash;
  const isRightLength = info.digest.length === timestampHashes[info.hash].bytes;
  if (!isRightHash || !isRightLength || !isSame(info.digest, await primitives.digest(info.hash, data))) {
    throw new CryptoError('crypto.timestamp_imprint');
  }
}

/** Nonce, policy, accuracy. */
function requireTerms({ info }: Token, { nonce, policies, maxAccuracyMs }: TimestampExpectation): void {
  if (nonce !== undefined && (info.nonce === undefined || !isSame(info.nonce, withoutZeros(nonce)))) {
    throw new CryptoError('crypto.timestamp_nonce');
  }
  if (policies !== undefined && !policies.includes(info.policy)) {
    throw new CryptoError('crypto.timestamp_policy', info.policy);
  }
  if (maxAccuracyMs !== undefined && (info.accuracyMs === undefined || info.accuracyMs > maxAccuracyMs)) {
    throw new CryptoError('crypto.timestamp_accuracy', `${info.accuracyMs ?? 'no'} ms`);
  }
}

/** A nonce as the integer that it travels as. */
function withoutZeros(nonce: Uint8Array): Uint8Array {
  const start = nonce.findIndex((byte) => byte !== 0);
  return start < 0 ? Uint8Array.of(0) : nonce.subarray(start);
}

/** The certificate that the signer is named by twice: in the open, and by its hash among what was signed. */
async function findSigner(
  { certificates, signer, signerCertificate: id }: Token,
  roots: readonly Certificate[],
  primitives: TimestampPrimitives,
): Promise<Certificate> {
  for (const candidate of [...certificates, ...roots]) {
    const { issuer, serial, extensions, whole } = candidate;
    const isNamed =
      'keyId' in signer
        ? extensions.subjectKeyId !== undefined && isSame(signer.keyId, extensions.subjectKeyId)
        : isSame(signer.issuer, issuer) && isSame(signer.serial, serial);
    if (!isNamed || !isSame(await primitives.digest(id.hash, whole), id.digest)) continue;
    const isPlaced =
      (id.issuer === undefined || isSame(id.issuer, issuer)) &&
      (id.serial === undefined || isSame(id.serial, serial));
    if (isPlaced) return candidate;
  }
  throw new CryptoError('crypto.timestamp_certificate', 'the one that the signature names is not there');
}

async function requireSignature(
  token: Token,
  signer: Certificate,
  primitives: TimestampPrimitives,
): Promise<void> {
  const { content, contentDigest, scheme, signature, signedAttributes: signed } = token;
  const isContent = isSame(contentDigest, await primitives.digest(scheme.hash, content));
  if (!isContent || !(await isSignedBy(signer, { scheme, signed, signature }, primitives))) {
    throw new CryptoError('crypto.timestamp_signature');
  }
}
