import { CryptoError } from '../errors.ts';
import { isSameAlgorithm, readScheme } from './algorithms.ts';
import type { SignatureScheme } from './algorithms.ts';
import {
  DerReader,
  contextTag,
  malformed,
  readBits,
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

/** What of an X.509 certificate (RFC 5280) a chain is made of; pieces of the certificate's own bytes. */
export interface Certificate {
  readonly whole: Uint8Array;
  /** What the issuer signed. */
  readonly signed: Uint8Array;
  readonly scheme: SignatureScheme;
  readonly signature: Uint8Array;
  /** Names as they are encoded: they are compared byte by byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly serial: Uint8Array;
  /** Milliseconds since 1970, both included. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  readonly extensions: Extensions;
}

/** Extensions that are processed; absent ones say nothing. */
export interface Extensions {
  readonly authority?: { readonly isAuthority: boolean; readonly pathLength?: number };
  /** Bits of keyUsage, the first one leftmost in its byte. */
  readonly keyUsage?: number;
  readonly extendedKeyUsage?: { readonly purposes: readonly string[]; readonly isCritical: boolean };
  readonly subjectKeyId?: Uint8Array;
  /** Critical extensions that are not known here: a certificate that has one is not used. */
  readonly unknownCritical: readonly string[];
}

const extensionOids = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  certificatePolicies: '2.5.29.32',
  extendedKeyUsage: '2.5.29.37',
} as const;

const maxCertificateBytes = 16_384;
const maxSerialBytes = 20;
const maxExtensions = 32;

/**
 * Reads a certificate and verifies nothing.
 *
 * @throws CryptoError `crypto.timestamp_malformed`, `crypto.timestamp_algorithm`
 */
export function parseCertificate(whole: Uint8Array): Certificate {
  if (whole.length > maxCertificateBytes) throw malformed('certificate: too long');
  requireDer(whole, 'certificate');
  const reader = readOnly(whole, tags.sequence, 'certificate');
  const body = reader.next(tags.sequence);
  const algorithm = reader.next(tags.sequence);
  const signature = readBits(reader.next(tags.bitString));
  reader.end();
  const parts = new DerReader(body.content, 'certificate');
  const version = parts.optionalInside(contextTag(0));
  const serial = readUnsigned(parts.next(tags.integer), maxSerialBytes);
  if (!isSameAlgorithm(parts.next(tags.sequence), algorithm)) throw malformed('certificate: two algorithms');
  const issuer = parts.next(tags.sequence).whole;
  const validity = parts.inside(tags.sequence);
  const subject = parts.next(tags.sequence).whole;
  const publicKey = parts.next(tags.sequence).whole;
  parts.optional(contextTag(1, 'primitive'));
  parts.optional(contextTag(2, 'primitive'));
  const extensions = parts.optionalInside(contextTag(3));
  parts.end();
  if (extensions !== undefined && (version === undefined || readNumber(version.next(tags.integer)) !== 2)) {
    throw malformed('certificate: version');
  }
  const notBefore = readTime(validity.next(tags.utcTime, tags.generalizedTime));
  const notAfter = readTime(validity.next(tags.utcTime, tags.generalizedTime));
  validity.end();
  return {
    whole,
    signed: body.whole,
    scheme: readScheme(algorithm),
    signature,
    issuer,
    subject,
    serial,
    notBefore,
    notAfter,
    publicKey,
    extensions: extensions === undefined ? { unknownCritical: [] } : readExtensions(extensions),
  };
}

function readExtensions(outer: DerReader): Extensions {
  const reader = outer.inside(tags.sequence);
  outer.end();
  const found = new Map<string, { value: Uint8Array; isCritical: boolean }>();
  for (const { content } of reader.rest(tags.sequence)) {
    const parts = new DerReader(content, 'extension');
    const oid = readOid(parts.next(tags.objectIdentifier));
    const critical = parts.optional(tags.boolean);
    const isCritical = critical !== undefined && readTrue(critical);
    const value = parts.next(tags.octetString).content;
    parts.end();
    if (found.has(oid) || found.size === maxExtensions) throw malformed('extensions');
    found.set(oid, { value, isCritical });
  }
  const known = new Set<string>(Object.values(extensionOids));
  const basic = found.get(extensionOids.basicConstraints);
  const usage = found.get(extensionOids.keyUsage);
  const purposes = found.get(extensionOids.extendedKeyUsage);
  const keyId = found.get(extensionOids.subjectKeyId);
  return {
    unknownCritical: [...found]
      .filter(([oid, { isCritical }]) => isCritical && !known.has(oid))
      .map(([oid]) => oid),
    ...(basic && { authority: readBasicConstraints(basic.value) }),
    ...(usage && { keyUsage: readKeyUsage(usage.value) }),
    ...(purposes && {
      extendedKeyUsage: { purposes: readPurposes(purposes.value), isCritical: purposes.isCritical },
    }),
    ...(keyId && { subjectKeyId: oneOf(keyId.value, tags.octetString).content }),
  };
}

/** The one element that these bytes are. */
function oneOf(bytes: Uint8Array, type: number): Element {
  const reader = new DerReader(bytes, 'extension');
  const element = reader.next(type);
  reader.end();
  return element;
}

function readBasicConstraints(bytes: Uint8Array): NonNullable<Extensions['authority']> {
  const reader = readOnly(bytes, tags.sequence, 'basic constraints');
  const authority = reader.optional(tags.boolean);
  const isAuthority = authority !== undefined && readTrue(authority);
  const length = reader.optional(tags.integer);
  reader.end();
  return { isAuthority, ...(length && { pathLength: readNumber(length) }) };
}

function readKeyUsage(bytes: Uint8Array): number {
  const { content } = oneOf(bytes, tags.bitString);
  const [unused, first] = content;
  if (unused === undefined || unused > 7 || first === undefined) throw malformed('key usage');
  return first;
}

function readPurposes(bytes: Uint8Array): string[] {
  const reader = readOnly(bytes, tags.sequence, 'extended key usage');
  return [...reader.rest(tags.objectIdentifier)].map(readOid);
}

/** The common name of a subject, for people to read; nothing is decided by it. */
export function commonName(name: Uint8Array): string | undefined {
  for (const { content: set } of readOnly(name, tags.sequence, 'name').rest(tags.set)) {
    for (const { content } of new DerReader(set, 'name').rest(tags.sequence)) {
      const attribute = new DerReader(content, 'name');
      if (readOid(attribute.next(tags.objectIdentifier)) !== '2.5.4.3') continue;
      const { type, content: text } = attribute.next();
      if (type !== tags.utf8String && type !== tags.printableString) return undefined;
      return new TextDecoder().decode(text.subarray(0, 200)).replace(/\p{Cc}/gu, '');
    }
  }
  return undefined;
}

const maxPemBytes = 1024 * 1024;
const maxPemCertificates = 100;
const pemBlock = /-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----/g;

/**
 * The certificates of a PEM file (RFC 7468), in its order; text between them is passed over.
 *
 * @throws CryptoError `crypto.timestamp_roots_malformed` where there is none, or one cannot be read
 */
export function parseCertificates(pem: string): Certificate[] {
  if (pem.length > maxPemBytes) throw new CryptoError('crypto.timestamp_roots_malformed', 'too long');
  const blocks = [...pem.matchAll(pemBlock)].map(([, base64 = '']) => base64);
  const marks = pem.match(/-----BEGIN /g)?.length ?? 0;
  if (blocks.length === 0 || blocks.length > maxPemCertificates || marks !== blocks.length) {
    throw new CryptoError('crypto.timestamp_roots_malformed', `${marks} blocks`);
  }
  return blocks.map((base64, i) => {
    try {
      return parseCertificate(Uint8Array.from(atob(base64.replace(/[\r\n]/g, '')), (c) => c.charCodeAt(0)));
    } catch (error) {
      const detail = error instanceof CryptoError ? error.message : 'not base64';
      throw new CryptoError('crypto.timestamp_roots_malformed', `certificate ${i + 1}: ${detail}`);
    }
  });
}
