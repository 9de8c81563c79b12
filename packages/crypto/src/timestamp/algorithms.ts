import { CryptoError } from '../errors.ts';
import {
  DerReader,
  contextTag,
  isSame,
  malformed,
  readBits,
  readNumber,
  readOid,
  readOnly,
  readUnsigned,
  tags,
} from './der.ts';
import type { Element } from './der.ts';

/** The hash functions that a token may use, with their object identifiers (RFC 5754 section 2) and lengths in bytes. */
export const timestampHashes = {
  'SHA-256': { oid: '2.16.840.1.101.3.4.2.1', bytes: 32 },
  'SHA-384': { oid: '2.16.840.1.101.3.4.2.2', bytes: 48 },
  'SHA-512': { oid: '2.16.840.1.101.3.4.2.3', bytes: 64 },
} as const;
export type TimestampHash = keyof typeof timestampHashes;

/** How a signature is verified. */
export interface SignatureScheme {
  readonly scheme: 'RSASSA-PKCS1-v1_5' | 'RSASSA-PSS' | 'ECDSA';
  readonly hash: TimestampHash;
  /** Bytes of the salt of RSASSA-PSS; 0 otherwise. */
  readonly saltBytes: number;
}

const oids = {
  rsa: '1.2.840.113549.1.1.1',
  mgf1: '1.2.840.113549.1.1.8',
  pss: '1.2.840.113549.1.1.10',
  ecPublicKey: '1.2.840.10045.2.1',
} as const;

/** Signature algorithms that name their hash (RFC 5754 section 3). */
const hashingSchemes: Readonly<Record<string, Pick<SignatureScheme, 'scheme' | 'hash'>>> = {
  '1.2.840.113549.1.1.11': { scheme: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  '1.2.840.113549.1.1.12': { scheme: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' },
  '1.2.840.113549.1.1.13': { scheme: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' },
  '1.2.840.10045.4.3.2': { scheme: 'ECDSA', hash: 'SHA-256' },
  '1.2.840.10045.4.3.3': { scheme: 'ECDSA', hash: 'SHA-384' },
  '1.2.840.10045.4.3.4': { scheme: 'ECDSA', hash: 'SHA-512' },
};

/** Curves of ECDSA keys: P-256, P-384, P-521 (RFC 5480 section 2.1.1.1). */
const curves = ['1.2.840.10045.3.1.7', '1.3.132.0.34', '1.3.132.0.35'];

/** Bytes of an RSA modulus, and of the salt of RSASSA-PSS. */
const rsaBytes = { minimum: 256, maximum: 1024 };
const saltBytes = { minimum: 20, maximum: 512 };

function unsupported(what: string): CryptoError {
  return new CryptoError('crypto.timestamp_algorithm', what);
}

/** An AlgorithmIdentifier: its object identifier, and its parameters, which are undefined where they are absent or NULL. */
function readAlgorithm(element: Element): { oid: string; parameters: Element | undefined } {
  const reader = new DerReader(element.content, 'algorithm');
  const oid = readOid(reader.next(tags.objectIdentifier));
  const parameters = reader.isAtEnd ? undefined : reader.next();
  reader.end();
  if (parameters?.type !== tags.null) return { oid, parameters };
  if (parameters.content.length > 0) throw malformed('null');
  return { oid, parameters: undefined };
}

/** The hash function that an AlgorithmIdentifier names. */
export function readHash(element: Element): TimestampHash {
  const { oid, parameters } = readAlgorithm(element);
  const found = Object.entries(timestampHashes).find(([, each]) => each.oid === oid);
  if (found === undefined || parameters !== undefined) throw unsupported(`hash ${oid}`);
  return found[0] as TimestampHash;
}

/** @param digest the hash that stands beside the algorithm; a signature algorithm that names another one is refused */
export function readScheme(element: Element, digest?: TimestampHash): SignatureScheme {
  const { oid, parameters } = readAlgorithm(element);
  const scheme = oid === oids.pss ? readPss(parameters) : plainScheme(oid, parameters, digest);
  if (digest !== undefined && scheme.hash !== digest) throw unsupported('two hashes in one signature');
  return scheme;
}

function plainScheme(oid: string, parameters: Element | undefined, digest?: TimestampHash): SignatureScheme {
  if (parameters !== undefined) throw unsupported(`signature ${oid}`);
  // RFC 5754 section 3.2: an RSA signature may be named by its key type, with the hash beside it.
  if (oid === oids.rsa && digest !== undefined) {
    return { scheme: 'RSASSA-PKCS1-v1_5', hash: digest, saltBytes: 0 };
  }
  const found = hashingSchemes[oid];
  if (found === undefined) throw unsupported(`signature ${oid}`);
  return { ...found, saltBytes: 0 };
}

/** RSASSA-PSS-params (RFC 4055 section 3.1); the defaults, which are SHA-1, are not accepted. */
function readPss(parameters: Element | undefined): SignatureScheme {
  if (parameters?.type !== tags.sequence) throw unsupported('RSASSA-PSS without parameters');
  const reader = new DerReader(parameters.content, 'RSASSA-PSS');
  const hashing = reader.optionalInside(contextTag(0));
  const masking = reader.optionalInside(contextTag(1));
  const salting = reader.optionalInside(contextTag(2));
  reader.end();
  if (hashing === undefined || masking === undefined || salting === undefined)
    throw unsupported('RSASSA-PSS with SHA-1');
  const hash = readHash(hashing.next(tags.sequence));
  hashing.end();
  const mask = readAlgorithm(masking.next(tags.sequence));
  masking.end();
  const isSameHash =
    mask.oid === oids.mgf1 && mask.parameters !== undefined && readHash(mask.parameters) === hash;
  if (!isSameHash) throw unsupported('RSASSA-PSS with another mask');
  const salt = readNumber(salting.next(tags.integer));
  salting.end();
  if (salt < saltBytes.minimum || salt > saltBytes.maximum) throw unsupported(`RSASSA-PSS salt of ${salt}`);
  return { scheme: 'RSASSA-PSS', hash, saltBytes: salt };
}

/** What schemes a public key can verify; refuses short keys and curves that are not in the registry. */
export function keySchemes(subjectPublicKeyInfo: Uint8Array): readonly SignatureScheme['scheme'][] {
  const reader = readOnly(subjectPublicKeyInfo, tags.sequence, 'public key');
  const { oid, parameters } = readAlgorithm(reader.next(tags.sequence));
  const key = readBits(reader.next(tags.bitString));
  reader.end();
  if (oid === oids.ecPublicKey) {
    const curve = parameters?.type === tags.objectIdentifier ? readOid(parameters) : 'unnamed';
    if (!curves.includes(curve)) throw unsupported(`curve ${curve}`);
    return ['ECDSA'];
  }
  if (oid !== oids.rsa && oid !== oids.pss) throw unsupported(`key ${oid}`);
  const modulus = readUnsigned(readOnly(key, tags.sequence, 'RSA key').next(tags.integer), rsaBytes.maximum);
  if (modulus.length < rsaBytes.minimum) throw unsupported(`RSA key of ${modulus.length * 8} bits`);
  return oid === oids.rsa ? ['RSASSA-PKCS1-v1_5', 'RSASSA-PSS'] : ['RSASSA-PSS'];
}

/** Whether two AlgorithmIdentifiers are the same; they are compared as they came. */
export function isSameAlgorithm(a: Element, b: Element): boolean {
  return isSame(a.content, b.content);
}
