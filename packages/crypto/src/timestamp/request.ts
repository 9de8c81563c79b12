import { CryptoError } from '../errors.ts';
import { timestampHashes } from './algorithms.ts';
import type { TimestampHash } from './algorithms.ts';
import {
  DerReader,
  encodeElement,
  encodeOid,
  malformed,
  readNumber,
  readOnly,
  requireDer,
  tags,
} from './der.ts';
import { maximumResponseBytes } from './token.ts';

/** Media types of a request and of its answer over HTTP (RFC 3161 section 3.4). */
export const timestampMediaTypes = {
  query: 'application/timestamp-query',
  reply: 'application/timestamp-reply',
} as const;

/** Bytes of a nonce. */
export const timestampNonceBytes = 16;

/** What an authority is asked. */
export interface TimestampQuestion {
  readonly hash: TimestampHash;
  /** The hash of what is stamped. */
  readonly digest: Uint8Array;
  /** {@link timestampNonceBytes} random bytes. */
  readonly nonce: Uint8Array;
  /** The policy under which the token is wanted; the authority's own otherwise. */
  readonly policy?: string;
}

/** A TimeStampReq (RFC 3161 section 2.4.1) that also asks for the authority's certificate. */
export function formatTimestampRequest({ hash, digest, nonce, policy }: TimestampQuestion): Uint8Array {
  const { oid, bytes } = timestampHashes[hash];
  if (digest.length !== bytes || nonce.length !== timestampNonceBytes) {
    throw new CryptoError('crypto.argument_invalid', 'digest or nonce');
  }
  const algorithm = encodeElement(tags.sequence, encodeOid(oid), encodeElement(tags.null));
  return encodeElement(
    tags.sequence,
    encodeElement(tags.integer, Uint8Array.of(1)),
    encodeElement(tags.sequence, algorithm, encodeElement(tags.octetString, digest)),
    ...(policy === undefined ? [] : [encodeOid(policy)]),
    encodeUnsigned(nonce),
    encodeElement(tags.boolean, Uint8Array.of(0xff)),
  );
}

/** An INTEGER that is not negative, in its shortest form. */
function encodeUnsigned(magnitude: Uint8Array): Uint8Array {
  const start = magnitude.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Uint8Array.of(0) : magnitude.subarray(start);
  const sign = (digits[0] ?? 0) >= 0x80 ? [0] : [];
  return encodeElement(tags.integer, Uint8Array.from([...sign, ...digits]));
}

/** Names of the bits of PKIFailureInfo (RFC 3161 section 2.4.2). */
const failures: Readonly<Record<number, string>> = {
  0: 'badAlg',
  2: 'badRequest',
  5: 'badDataFormat',
  14: 'timeNotAvailable',
  15: 'unacceptedPolicy',
  16: 'unacceptedExtension',
  17: 'addInfoNotAvailable',
  25: 'systemFailure',
};

/**
 * The token that an answer holds (TimeStampResp), unread. What an authority writes as text is left out of the error.
 *
 * @throws CryptoError `crypto.timestamp_malformed`, `crypto.timestamp_refused` with the reason that the authority names
 */
export function parseTimestampResponse(bytes: Uint8Array): Uint8Array {
  if (bytes.length > maximumResponseBytes) throw malformed('answer: too long');
  requireDer(bytes, 'answer');
  const reader = readOnly(bytes, tags.sequence, 'answer');
  const info = reader.inside(tags.sequence);
  const token = reader.optional(tags.sequence);
  reader.end();
  const status = readNumber(info.next(tags.integer));
  info.optional(tags.sequence);
  const failure = info.optional(tags.bitString);
  info.end();
  // Granted, or granted with modifications: these are looked for in the token itself.
  if (status > 1) throw new CryptoError('crypto.timestamp_refused', failureName(failure?.content, status));
  if (token === undefined) throw malformed('answer: no token');
  return token.whole;
}

function failureName(bits: Uint8Array | undefined, status: number): string {
  const [, ...bytes] = bits ?? [];
  const names = bytes.flatMap((byte, i) =>
    Array.from({ length: 8 }, (_, bit) => ((byte & (0x80 >> bit)) === 0 ? undefined : failures[i * 8 + bit])),
  );
  return names.find((name) => name !== undefined) ?? `status ${status}`;
}

/** An answer around a token, as an authority that grants it writes it: what other tools read from a file. */
export function formatTimestampResponse(token: Uint8Array): Uint8Array {
  const granted = encodeElement(tags.sequence, encodeElement(tags.integer, Uint8Array.of(0)));
  const reader = new DerReader(token, 'token');
  const { whole } = reader.next(tags.sequence);
  reader.end();
  return encodeElement(tags.sequence, granted, whole);
}
