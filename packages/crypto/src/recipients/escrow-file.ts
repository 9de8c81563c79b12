import type { KeyObject } from 'node:crypto';
import { CryptoError } from '../errors.ts';
import { passwordSaltBytes, passwordScheme, type PasswordScheme } from '../password.ts';
import { aes256Gcm, hpkeSuites, type HpkeSuite, type PasswordHashAlgorithm } from '../registry.ts';
import {
  ed25519PublicKeyBytes,
  ed25519SeedBytes,
  ed25519SignatureBytes,
  signEd25519,
  verifyEd25519,
} from '../signature.ts';
import { hpkePrivateKeyBytes, recipientId } from './hpke.ts';

/** The two files of an escrow key as text (docs/formats/escrow-key.md): strict readers, one spelling of each. */

/** What the public file says. */
export type EscrowPart = Readonly<{
  suite: HpkeSuite;
  name: string;
  /** ISO 8601, UTC, milliseconds */
  createdAt: string;
  encryptionKey: Uint8Array;
  verificationKey: Uint8Array;
}>;

export type SignedEscrowPart = EscrowPart & Readonly<{ signature: Uint8Array }>;

/** What the private file says. */
export type EscrowKeyFile = Readonly<{
  recipient: SignedEscrowPart;
  scheme: PasswordScheme;
  salt: Buffer;
  commitment: Uint8Array;
  /** ciphertext ‖ tag */
  sealed: Uint8Array;
}>;

/** The private file without what the passphrase makes. */
export type EscrowKeyHead = Omit<EscrowKeyFile, 'commitment' | 'sealed'>;

type Json = string | number | JsonObject;
type JsonObject = { readonly [name: string]: Json };

export const escrowSecretBytes = hpkePrivateKeyBytes + ed25519SeedBytes;
export const commitmentBytes = 32;

const version = 1;
const recipientType = 'trialkeep-escrow-recipient';
const keyType = 'trialkeep-escrow-key';
const recipientLabel = Buffer.from('trialkeep/escrow-recipient/v1\0');
const maximumFileCharacters = 16_384;
const maximumNameCharacters = 100;
/** `2026-03-01T12:00:00.000Z` */
const timeCharacters = 24;

/** @throws CryptoError `crypto.argument_invalid` unless it is a name as the format page says */
export function requireEscrowName(name: string): void {
  if (!isName(name)) {
    throw new CryptoError('crypto.argument_invalid', 'name must be 1 to 100 printable characters in NFC');
  }
}

/** Signs the public part with the signing key whose public half it names. */
export function signEscrowPart(part: EscrowPart, signer: KeyObject): SignedEscrowPart {
  return { ...part, signature: signEd25519(signer, signedBytes(part)) };
}

/** The public file. */
export function formatRecipientFile(part: SignedEscrowPart): string {
  return `${canonicalJson(recipientObject(part))}\n`;
}

/**
 * Reads the public file, whose signature and id hold; whether its encryption key can be sealed to is not checked here.
 *
 * @throws CryptoError `crypto.escrow_key_malformed`, `crypto.version_unknown`, `crypto.algorithm_unknown`,
 *   `crypto.public_key_invalid` for an encryption key of another length
 */
export function parseRecipientFile(text: string): SignedEscrowPart {
  const part = readRecipient(parseJson(text));
  if (formatRecipientFile(part) !== text) throw malformed('not canonical');
  return part;
}

/** The private file. */
export function formatKeyFile(file: EscrowKeyFile): string {
  const sealed = { commitment: base64url(file.commitment), sealed: base64url(file.sealed) };
  return `${canonicalJson({ ...keyObject(file), ...sealed })}\n`;
}

/** What the passphrase authenticates: the private file without what the passphrase makes. */
export function headOfKeyFile(file: EscrowKeyHead): Buffer {
  return Buffer.from(canonicalJson(keyObject(file)));
}

/**
 * Reads the private file. Attacker-controlled: its cost is within the bounds of the registry.
 *
 * @throws CryptoError as `parseRecipientFile`
 */
export function parseKeyFile(text: string): EscrowKeyFile {
  const object = parseJson(text);
  requireVersion(object, keyType);
  const derivation = member(object, 'derivation');
  const file = {
    recipient: readRecipient(member(object, 'recipient')),
    scheme: readScheme(derivation),
    salt: bytesMember(derivation, 'salt', passwordSaltBytes),
    commitment: bytesMember(object, 'commitment', commitmentBytes),
    sealed: bytesMember(object, 'sealed', escrowSecretBytes + aes256Gcm.tagBytes),
  };
  if (formatKeyFile(file) !== text) throw malformed('not canonical');
  return file;
}

function readRecipient(object: unknown): SignedEscrowPart {
  requireVersion(object, recipientType);
  const suite = textMember(object, 'suite') as HpkeSuite;
  if (!Object.hasOwn(hpkeSuites, suite)) throw new CryptoError('crypto.algorithm_unknown', 'suite');
  const part = {
    suite,
    name: textMember(object, 'name'),
    createdAt: textMember(object, 'createdAt'),
    encryptionKey: bytesMember(object, 'encryptionKey', hpkeSuites[suite].publicKeyBytes),
    verificationKey: bytesMember(object, 'verificationKey', ed25519PublicKeyBytes),
    signature: bytesMember(object, 'signature', ed25519SignatureBytes),
  };
  if (!isName(part.name)) throw malformed('name');
  if (!isEscrowTime(part.createdAt)) throw malformed('createdAt');
  if (textMember(object, 'id') !== escrowId(part)) throw malformed('id');
  if (!verifyEd25519(part.verificationKey, signedBytes(part), part.signature)) throw malformed('signature');
  return part;
}

function readScheme(derivation: unknown): PasswordScheme {
  const algorithm = textMember(derivation, 'algorithm') as PasswordHashAlgorithm;
  const cost = member(derivation, 'cost');
  if (typeof cost !== 'object' || cost === null) throw malformed('cost');
  try {
    return passwordScheme({ algorithm, cost: cost as Record<string, number> });
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'crypto.argument_invalid') throw malformed('cost');
    throw error;
  }
}

/** The id of an escrow key, 64 hexadecimal digits. */
export function escrowId({ suite, encryptionKey, verificationKey }: EscrowPart): string {
  return recipientId({ suite, publicKey: encryptionKey, verificationKey }).toString('hex');
}

function signedBytes(part: EscrowPart): Buffer {
  return Buffer.concat([recipientLabel, Buffer.from(canonicalJson(unsignedObject(part)))]);
}

function unsignedObject(part: EscrowPart): JsonObject {
  return {
    createdAt: part.createdAt,
    encryptionKey: base64url(part.encryptionKey),
    id: escrowId(part),
    name: part.name,
    suite: part.suite,
    type: recipientType,
    v: version,
    verificationKey: base64url(part.verificationKey),
  };
}

function recipientObject(part: SignedEscrowPart): JsonObject {
  return { ...unsignedObject(part), signature: base64url(part.signature) };
}

function keyObject(file: EscrowKeyHead): JsonObject {
  const { algorithm, cost } = file.scheme;
  return {
    derivation: { algorithm, cost, salt: base64url(file.salt) },
    recipient: recipientObject(file.recipient),
    type: keyType,
    v: version,
  };
}

/** Canonical JSON (RFC 8785) of text, whole numbers and objects of them. */
function canonicalJson(value: Json): string {
  if (typeof value !== 'object') return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, of]) => `${JSON.stringify(name)}:${canonicalJson(of)}`).join(',')}}`;
}

function parseJson(text: string): unknown {
  if (typeof text !== 'string' || text.length > maximumFileCharacters) throw malformed('length');
  try {
    return JSON.parse(text);
  } catch {
    throw malformed('not JSON');
  }
}

function requireVersion(object: unknown, type: string): void {
  if (member(object, 'type') !== type) throw malformed('type');
  const v = member(object, 'v');
  if (typeof v !== 'number') throw malformed('v');
  if (v !== version) throw new CryptoError('crypto.version_unknown', `${type} ${v}`);
}

function member(object: unknown, name: string): unknown {
  if (typeof object !== 'object' || object === null || !Object.hasOwn(object, name)) throw malformed(name);
  return (object as Record<string, unknown>)[name];
}

function textMember(object: unknown, name: string): string {
  const value = member(object, name);
  if (typeof value !== 'string' || !value.isWellFormed()) throw malformed(name);
  return value;
}

function bytesMember(object: unknown, name: string, length: number): Buffer {
  const bytes = Buffer.from(textMember(object, name), 'base64url');
  if (bytes.length !== length) throw malformed(name);
  return bytes;
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

/** No control and format characters: a name is shown on terminals and paper, and must look like what it is. */
function isName(name: string): boolean {
  return (
    /^[^\p{C}\p{Zl}\p{Zp}]+$/u.test(name) &&
    name.trim() === name &&
    name.normalize('NFC') === name &&
    Array.from(name).length <= maximumNameCharacters
  );
}

/** Whether it is a time as the format page says. */
export function isEscrowTime(text: string): boolean {
  const time = new Date(text);
  return text.length === timeCharacters && time.getTime() >= 0 && time.toISOString() === text;
}

function malformed(detail: string): CryptoError {
  return new CryptoError('crypto.escrow_key_malformed', detail);
}
