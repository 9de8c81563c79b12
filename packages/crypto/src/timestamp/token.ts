import { isSameAlgorithm, readHash, readScheme } from './algorithms.ts';
import type { SignatureScheme, TimestampHash } from './algorithms.ts';
import { parseCertificate } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import {
  DerReader,
  contextTag,
  encodeElement,
  malformed,
  readNumber,
  readOid,
  readOnly,
  readTime,
  readTrue,
  readUnsigned,
  requireDer,
  tags,
} from './der.ts';
import type { Element } from './der.ts';

/** Longest token, and longest answer of an authority, bytes. */
export const maximumTokenBytes = 32_768;
export const maximumResponseBytes = maximumTokenBytes + 4096;

const contentTypes = { signedData: '1.2.840.113549.1.7.2', tstInfo: '1.2.840.113549.1.9.16.1.4' } as const;

const attributeOids = {
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  algorithmProtection: '1.2.840.113549.1.9.52',
  signingCertificateV2: '1.2.840.113549.1.9.16.2.47',
} as const;

/** What a token says (TSTInfo, RFC 3161 section 2.4.2). */
export interface TokenInfo {
  readonly policy: string;
  readonly hash: TimestampHash;
  readonly digest: Uint8Array;
  readonly serial: Uint8Array;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** How far the time may be off, milliseconds, rounded up; absent where the authority states nothing. */
  readonly accuracyMs?: number;
  readonly nonce?: Uint8Array;
  /** The authority's name where it is a directory name, as it is encoded. */
  readonly authority?: Uint8Array;
}

/** How a token names its signer's certificate (ESSCertIDv2, RFC 5816). */
export interface CertificateId {
  readonly hash: TimestampHash;
  readonly digest: Uint8Array;
  readonly issuer?: Uint8Array;
  readonly serial?: Uint8Array;
}

/** A token, read and not verified. */
export interface Token {
  readonly info: TokenInfo;
  /** What was signed: the attributes as a SET (RFC 5652 section 5.4). */
  readonly signedAttributes: Uint8Array;
  /** The bytes of TSTInfo, and the digest of them that the attributes hold. */
  readonly content: Uint8Array;
  readonly contentDigest: Uint8Array;
  readonly scheme: SignatureScheme;
  readonly signature: Uint8Array;
  readonly signer:
    { readonly issuer: Uint8Array; readonly serial: Uint8Array } | { readonly keyId: Uint8Array };
  readonly signerCertificate: CertificateId;
  readonly certificates: readonly Certificate[];
}

const maxCertificates = 16;
const maxAttributes = 16;

/**
 * Reads a token: ContentInfo of SignedData around TSTInfo (RFC 3161 section 2.4.2, RFC 5652).
 *
 * @throws CryptoError `crypto.timestamp_malformed`, `crypto.timestamp_algorithm`
 */
export function parseToken(bytes: Uint8Array): Token {
  if (bytes.length > maximumTokenBytes) throw malformed('token: too long');
  requireDer(bytes, 'token');
  const outer = readOnly(bytes, tags.sequence, 'token');
  if (readOid(outer.next(tags.objectIdentifier)) !== contentTypes.signedData)
    throw malformed('token: content');
  const explicit = outer.inside(contextTag(0));
  outer.end();
  const signed = explicit.inside(tags.sequence);
  explicit.end();
  if (readNumber(signed.next(tags.integer)) !== 3) throw malformed('token: version');
  const hashes = [...signed.inside(tags.set).rest(tags.sequence)].map(readHash);
  const content = readContent(signed.inside(tags.sequence));
  const certificates = [...(signed.optionalInside(contextTag(0))?.rest(tags.sequence) ?? [])];
  signed.optional(contextTag(1));
  const signers = signed.inside(tags.set);
  signed.end();
  if (certificates.length > maxCertificates) throw malformed('token: certificates');
  const signer = readSigner(signers.inside(tags.sequence));
  signers.end();
  // Nobody signs this list: it says what the signer says, or the token has a second encoding.
  if (hashes.length !== 1 || hashes[0] !== signer.scheme.hash) throw malformed('token: hashes');
  return {
    info: readInfo(content),
    content,
    certificates: certificates.map(({ whole }) => parseCertificate(whole)),
    ...signer,
  };
}

function readContent(reader: DerReader): Uint8Array {
  if (readOid(reader.next(tags.objectIdentifier)) !== contentTypes.tstInfo) throw malformed('token: content');
  const explicit = reader.inside(contextTag(0));
  reader.end();
  const { content } = explicit.next(tags.octetString);
  explicit.end();
  return content;
}

/** SignerInfo (RFC 5652 section 5.3). */
function readSigner(reader: DerReader): Omit<Token, 'info' | 'content' | 'certificates'> {
  const version = readNumber(reader.next(tags.integer));
  const signer = readSignerId(reader, version);
  const digestAlgorithm = reader.next(tags.sequence);
  const attributes = reader.next(contextTag(0));
  const algorithm = reader.next(tags.sequence);
  const signature = reader.next(tags.octetString).content;
  reader.optional(contextTag(1));
  reader.end();
  const hash = readHash(digestAlgorithm);
  const found = readAttributes(attributes.content);
  const type = only(found, attributeOids.contentType, tags.objectIdentifier);
  if (readOid(type) !== contentTypes.tstInfo) throw malformed('signed attributes: content');
  if (found.has(attributeOids.algorithmProtection)) {
    const guarded = new DerReader(
      only(found, attributeOids.algorithmProtection, tags.sequence).content,
      'algorithm protection',
    );
    const isGuarded =
      isSameAlgorithm(guarded.next(tags.sequence), digestAlgorithm) &&
      isSameAlgorithm(guarded.next(contextTag(1)), algorithm);
    if (!isGuarded || !guarded.isAtEnd) throw malformed('signed attributes: algorithms');
  }
  return {
    signer,
    signedAttributes: encodeElement(tags.set, attributes.content),
    contentDigest: only(found, attributeOids.messageDigest, tags.octetString).content,
    signerCertificate: readCertificateId(only(found, attributeOids.signingCertificateV2, tags.sequence)),
    scheme: readScheme(algorithm, hash),
    signature,
  };
}

function readSignerId(reader: DerReader, version: number): Token['signer'] {
  if (version === 3) return { keyId: reader.next(contextTag(0, 'primitive')).content };
  if (version !== 1) throw malformed('signer: version');
  const id = reader.inside(tags.sequence);
  const issuer = id.next(tags.sequence).whole;
  const serial = readUnsigned(id.next(tags.integer), 20);
  id.end();
  return { issuer, serial };
}

/** Attributes by their object identifier; each at most once, with one value. */
function readAttributes(bytes: Uint8Array): Map<string, Element> {
  const found = new Map<string, Element>();
  for (const { content } of new DerReader(bytes, 'signed attributes').rest(tags.sequence)) {
    const parts = new DerReader(content, 'signed attributes');
    const oid = readOid(parts.next(tags.objectIdentifier));
    const values = parts.inside(tags.set);
    parts.end();
    const value = values.next();
    values.end();
    if (found.has(oid) || found.size === maxAttributes) throw malformed('signed attributes');
    found.set(oid, value);
  }
  return found;
}

function only(attributes: ReadonlyMap<string, Element>, oid: string, type: number): Element {
  const value = attributes.get(oid);
  if (value?.type !== type) throw malformed(`signed attributes: ${oid}`);
  return value;
}

/** The first of a SigningCertificateV2 is the signer's (RFC 5035 section 3). */
function readCertificateId({ content }: Element): CertificateId {
  const outer = new DerReader(content, 'signing certificate');
  const ids = outer.inside(tags.sequence);
  const id = ids.inside(tags.sequence);
  const algorithm = id.optional(tags.sequence);
  const hash = algorithm === undefined ? 'SHA-256' : readHash(algorithm);
  const digest = id.next(tags.octetString).content;
  const place = id.optionalInside(tags.sequence);
  id.end();
  if (place === undefined) return { hash, digest };
  const names = place.inside(tags.sequence);
  const directory = names.inside(contextTag(4));
  names.end();
  const issuer = directory.next(tags.sequence).whole;
  directory.end();
  const serial = readUnsigned(place.next(tags.integer), 20);
  place.end();
  return { hash, digest, issuer, serial };
}

function readInfo(bytes: Uint8Array): TokenInfo {
  requireDer(bytes, 'token info');
  const reader = readOnly(bytes, tags.sequence, 'token info');
  if (readNumber(reader.next(tags.integer)) !== 1) throw malformed('token info: version');
  const policy = readOid(reader.next(tags.objectIdentifier));
  const imprint = reader.inside(tags.sequence);
  const hash = readHash(imprint.next(tags.sequence));
  const digest = imprint.next(tags.octetString).content;
  imprint.end();
  const serial = readUnsigned(reader.next(tags.integer), 20);
  const time = readTime(reader.next(tags.generalizedTime));
  const accuracy = reader.optionalInside(tags.sequence);
  const ordering = reader.optional(tags.boolean);
  if (ordering !== undefined) readTrue(ordering);
  const nonce = reader.optional(tags.integer);
  const authority = reader.optionalInside(contextTag(0));
  for (const { content } of reader.optionalInside(contextTag(1))?.rest(tags.sequence) ?? [])
    refuseCritical(content);
  reader.end();
  const directory = authority?.optionalInside(contextTag(4));
  return {
    policy,
    hash,
    digest,
    serial,
    time,
    ...(accuracy && { accuracyMs: readAccuracy(accuracy) }),
    ...(nonce && { nonce: readUnsigned(nonce, 32) }),
    ...(directory && { authority: directory.next(tags.sequence).whole }),
  };
}

/** No extension of a token is known here. */
function refuseCritical(extension: Uint8Array): void {
  const parts = new DerReader(extension, 'token info: extension');
  const oid = readOid(parts.next(tags.objectIdentifier));
  if (parts.optional(tags.boolean) !== undefined) throw malformed(`token info: critical extension ${oid}`);
}

/** Seconds, and from 1 to 999 milliseconds and microseconds. */
function readAccuracy(reader: DerReader): number {
  const seconds = reader.optional(tags.integer);
  const [millis, micros] = [0, 1].map((number) => {
    const part = reader.optional(contextTag(number, 'primitive'));
    const value = part && readNumber(part);
    if (value !== undefined && (value < 1 || value > 999)) throw malformed('token info: accuracy');
    return value ?? 0;
  });
  reader.end();
  return (
    (seconds === undefined ? 0 : readNumber(seconds)) * 1000 + (millis ?? 0) + ((micros ?? 0) > 0 ? 1 : 0)
  );
}
