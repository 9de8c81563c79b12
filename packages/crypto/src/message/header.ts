import type { KeyObject } from 'node:crypto';
import { decodeUtf8 } from '../checks.ts';
import {
  decodeContext,
  encodeMessageContext,
  maximumContextBytes,
  type EncryptionContext,
} from '../context.ts';
import { CryptoError } from '../errors.ts';
import { aes256Gcm, messageSuites, requireSuite, type MessageSuite } from '../registry.ts';
import { commitmentBytes, maximumFrameBytes } from './frame.ts';
import { parseVerificationKey, verificationKeyName } from './signature.ts';

/**
 * The header of a sealed message: AWS Encryption SDK message format 2.0, "Header Body Version 2.0" and
 * "Header Authentication Version 2.0" of its published specification (docs/formats/sealed-message.md has the
 * layout).
 */

/** The data key of a message, as one recipient gets it. */
export type EncryptedDataKey = Readonly<{
  /** who can open it: `aws-kms`, or a namespace of its own; 1 to 255 bytes of UTF-8 */
  providerId: string;
  /** which key of the provider; 0 to 2,048 bytes */
  providerInfo: Uint8Array;
  /** 1 to 8,192 bytes */
  ciphertext: Uint8Array;
}>;

/** A parsed header. Nothing in it is authenticated before the data key is known. */
export type MessageHeader = Readonly<{
  suite: MessageSuite;
  /** 32 bytes, random for each message */
  messageId: Uint8Array;
  context: EncryptionContext;
  /** 1 to 16 */
  encryptedDataKeys: readonly EncryptedDataKey[];
  /** plaintext bytes of each frame but the last, which may be shorter */
  frameBytes: number;
  /** 32 bytes that only the right data key derives */
  commitment: Uint8Array;
  /** bytes from the start of the message to its first frame */
  headerBytes: number;
}>;

/** A header with what is needed to authenticate it, and the rest of a message under a signed suite. */
export type ParsedHeader = Readonly<{
  header: MessageHeader;
  body: Uint8Array;
  tag: Uint8Array;
  verificationKey: KeyObject | undefined;
}>;

export const messageIdBytes = 32;

const version = 2;
const framed = 2;
/** The most recipients of a message. */
export const maximumEncryptedDataKeys = 16;
/** Bytes of a header body beside the context and the encrypted data keys. */
const fixedBytes = 1 + 2 + messageIdBytes + 2 + 2 + 1 + 4 + commitmentBytes;
const providerIdBytes = { least: 1, most: 255 };
const providerInfoBytes = { least: 0, most: 2048 };
const encryptedKeyBytes = { least: 1, most: 8192 };
/** Names that the message format keeps for itself. */
const reservedPrefix = 'aws-crypto-';

/**
 * The serialised header body, to which the authentication tag is appended.
 *
 * @throws CryptoError `crypto.context_invalid`, `crypto.recipients_invalid`, `crypto.argument_invalid`
 */
export function encodeHeaderBody(o: {
  readonly suite: MessageSuite;
  readonly messageId: Uint8Array;
  readonly context: EncryptionContext;
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  readonly frameBytes: number;
  readonly commitment: Uint8Array;
}): Buffer {
  if (!Number.isInteger(o.frameBytes) || o.frameBytes < 1 || o.frameBytes > maximumFrameBytes) {
    throw new CryptoError('crypto.argument_invalid', `frameBytes must be 1 to ${maximumFrameBytes}`);
  }
  const count = o.encryptedDataKeys.length;
  if (count < 1 || count > maximumEncryptedDataKeys) {
    throw new CryptoError('crypto.recipients_invalid', `${count} encrypted data keys`);
  }
  requireReservedNames(o.suite, o.context);
  const context = encodeMessageContext(o.context);
  const fields = o.encryptedDataKeys.flatMap(fieldsOf);
  const fieldBytes = fields.reduce((bytes, field) => bytes + 2 + field.length, 0);
  const body = Buffer.alloc(fixedBytes + context.length + fieldBytes);
  // One buffer, filled in order: for short messages the header is much of the work.
  let position = body.writeUInt8(version, 0);
  position = body.writeUInt16BE(o.suite, position);
  position = write(body, o.messageId, position);
  position = body.writeUInt16BE(context.length, position);
  position = write(body, context, position);
  position = body.writeUInt16BE(count, position);
  for (const field of fields) {
    position = body.writeUInt16BE(field.length, position);
    position = write(body, field, position);
  }
  position = body.writeUInt8(framed, position);
  position = body.writeUInt32BE(o.frameBytes, position);
  write(body, o.commitment, position);
  return body;
}

/** Copies bytes to a place, and gives the place after them. */
function write(body: Buffer, bytes: Uint8Array, position: number): number {
  body.set(bytes, position);
  return position + bytes.length;
}

/**
 * Parses the header at the start of `bytes`, which may hold more than it. Attacker-controlled: every count
 * and length is checked against its bound before it is used.
 *
 * @returns the header, or `'more'` where `bytes` end within it
 * @throws CryptoError `crypto.version_unknown`, `crypto.suite_unknown` (naming the suite),
 *   `crypto.context_invalid`, `crypto.recipients_invalid`, `crypto.message_malformed`
 */
export function parseMessageHeader(bytes: Uint8Array): MessageHeader | 'more' {
  const parsed = parseHeader(bytes);
  return typeof parsed === 'number' ? 'more' : parsed.header;
}

/**
 * As `parseMessageHeader`; where `bytes` end too early, the number of bytes that are needed to get any
 * further.
 */
export function parseHeader(bytes: Uint8Array): ParsedHeader | number {
  try {
    return readHeader(new FieldReader(bytes));
  } catch (error) {
    if (error instanceof Shortage) return error.neededBytes;
    throw error;
  }
}

function readHeader(reader: FieldReader): ParsedHeader {
  const versionByte = reader.uint8();
  if (versionByte !== version) throw new CryptoError('crypto.version_unknown', `message ${versionByte}`);
  const suite = reader.uint16();
  requireMessageSuite(suite);
  const messageId = reader.bytes(messageIdBytes);
  const context = readContext(reader, suite);
  const verificationKey = readVerificationKey(context);
  const encryptedDataKeys = readEncryptedDataKeys(reader);
  const contentType = reader.uint8();
  if (contentType !== framed) {
    throw new CryptoError(
      'crypto.message_malformed',
      `content type ${contentType}; only framed is supported`,
    );
  }
  const frameBytes = reader.uint32();
  if (frameBytes === 0) throw new CryptoError('crypto.message_malformed', 'frame length 0');
  const commitment = reader.bytes(commitmentBytes);
  const bodyBytes = reader.position;
  const tag = reader.bytes(aes256Gcm.tagBytes);
  return {
    header: Object.freeze({
      suite,
      messageId,
      context,
      encryptedDataKeys: Object.freeze(encryptedDataKeys),
      frameBytes,
      commitment,
      headerBytes: reader.position,
    }),
    body: reader.from(0, bodyBytes),
    tag,
    verificationKey,
  };
}

function requireMessageSuite(suite: number): asserts suite is MessageSuite {
  requireSuite(messageSuites, suite, 4);
}

function readContext(reader: FieldReader, suite: MessageSuite): EncryptionContext {
  const length = reader.uint16();
  if (length > maximumContextBytes) throw new CryptoError('crypto.context_invalid', `${length} bytes`);
  const context = length === 0 ? emptyContext() : decodeContext(reader.bytes(length));
  if (length > 0 && Object.keys(context).length === 0) {
    throw new CryptoError('crypto.context_invalid', 'an empty context has no count');
  }
  requireReservedNames(suite, context);
  return context;
}

function emptyContext(): EncryptionContext {
  return Object.freeze(Object.create(null) as EncryptionContext);
}

function readVerificationKey(context: EncryptionContext): KeyObject | undefined {
  const text = context[verificationKeyName];
  return text === undefined ? undefined : parseVerificationKey(text);
}

function readEncryptedDataKeys(reader: FieldReader): EncryptedDataKey[] {
  const count = reader.uint16();
  if (count < 1 || count > maximumEncryptedDataKeys) {
    throw new CryptoError('crypto.recipients_invalid', `${count} encrypted data keys`);
  }
  return Array.from({ length: count }, () => {
    const field = (bounds: { least: number; most: number }): Buffer => {
      const length = reader.uint16();
      requireRecipientField(length, bounds);
      return reader.bytes(length);
    };
    const providerId = decodeProviderId(field(providerIdBytes));
    return Object.freeze({
      providerId,
      providerInfo: field(providerInfoBytes),
      ciphertext: field(encryptedKeyBytes),
    });
  });
}

/** The three fields of an encrypted data key, each of which follows its length. */
function fieldsOf(key: EncryptedDataKey): Uint8Array[] {
  if (!key.providerId.isWellFormed()) throw new CryptoError('crypto.recipients_invalid', 'provider id');
  const providerId = Buffer.from(key.providerId, 'utf8');
  requireRecipientField(providerId.length, providerIdBytes);
  requireRecipientField(key.providerInfo.length, providerInfoBytes);
  requireRecipientField(key.ciphertext.length, encryptedKeyBytes);
  return [providerId, key.providerInfo, key.ciphertext];
}

function requireRecipientField(length: number, bounds: { least: number; most: number }): void {
  if (length < bounds.least || length > bounds.most) {
    throw new CryptoError('crypto.recipients_invalid', `a field of ${length} bytes`);
  }
}

/** Of the reserved names only that of the verification key is in use: with a signed suite always, else never. */
function requireReservedNames(suite: MessageSuite, context: EncryptionContext): void {
  const { signed } = messageSuites[suite];
  for (const name of Object.keys(context)) {
    const allowed = !name.startsWith(reservedPrefix) || (signed && name === verificationKeyName);
    if (!allowed) throw new CryptoError('crypto.context_invalid', `reserved name ${name}`);
  }
  if (signed && !Object.hasOwn(context, verificationKeyName)) {
    throw new CryptoError('crypto.context_invalid', `no ${verificationKeyName} for the signed suite`);
  }
}

function decodeProviderId(bytes: Uint8Array): string {
  const providerId = decodeUtf8(bytes);
  if (providerId === undefined)
    throw new CryptoError('crypto.recipients_invalid', 'provider id is not UTF-8');
  return providerId;
}

/** Thrown where the bytes end too early. */
class Shortage extends Error {
  readonly neededBytes: number;

  constructor(neededBytes: number) {
    super('The header goes on.');
    this.neededBytes = neededBytes;
  }
}

/** Reads fields one after the other. */
class FieldReader {
  position = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** A copy, so that the caller's buffer can be used again. */
  bytes(length: number): Buffer {
    const start = this.#advance(length);
    return this.from(start, start + length);
  }

  from(start: number, end: number): Buffer {
    return Buffer.from(this.#bytes.subarray(start, end));
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#advance(2));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4));
  }

  #advance(length: number): number {
    const start = this.position;
    if (start + length > this.#bytes.length) throw new Shortage(start + length);
    this.position = start + length;
    return start;
  }
}
