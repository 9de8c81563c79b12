import { decodeUtf8 } from '../checks.ts';
import { decodeContext, encodeContext, maximumContextBytes, type EncryptionContext } from '../context.ts';
import { CryptoError } from '../errors.ts';
import { aes256Gcm, messageSuites, requireSuite } from '../registry.ts';
import { commitmentBytes, maximumFrameBytes } from './frame.ts';

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
  suite: number;
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

/** A header with what is needed to authenticate it. */
export type ParsedHeader = Readonly<{ header: MessageHeader; body: Uint8Array; tag: Uint8Array }>;

export const messageIdBytes = 32;

const version = 2;
const messageSuite = 0x0478;
const framed = 2;
const maximumEncryptedDataKeys = 16;
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
  requireNoReservedName(o.context);
  // The empty context is zero bytes here, without the count that precedes pairs.
  const context = Object.keys(o.context).length === 0 ? Buffer.alloc(0) : encodeContext(o.context);
  return Buffer.concat([
    Buffer.of(version),
    uint16(messageSuite),
    o.messageId,
    uint16(context.length),
    context,
    uint16(count),
    ...o.encryptedDataKeys.flatMap(encodeEncryptedDataKey),
    Buffer.of(framed),
    uint32(o.frameBytes),
    o.commitment,
  ]);
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
  requireSuite(messageSuites, suite, 4);
  const messageId = reader.bytes(messageIdBytes);
  const context = readContext(reader);
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
  };
}

function readContext(reader: FieldReader): EncryptionContext {
  const length = reader.uint16();
  if (length > maximumContextBytes) throw new CryptoError('crypto.context_invalid', `${length} bytes`);
  if (length === 0) return Object.freeze(Object.create(null) as EncryptionContext);
  const context = decodeContext(reader.bytes(length));
  if (Object.keys(context).length === 0) {
    throw new CryptoError('crypto.context_invalid', 'an empty context has no count');
  }
  // Suites with a signature put their verification key there; the one supported here has none.
  requireNoReservedName(context);
  return context;
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

function encodeEncryptedDataKey(key: EncryptedDataKey): Uint8Array[] {
  if (!key.providerId.isWellFormed()) throw new CryptoError('crypto.recipients_invalid', 'provider id');
  const providerId = Buffer.from(key.providerId, 'utf8');
  requireRecipientField(providerId.length, providerIdBytes);
  requireRecipientField(key.providerInfo.length, providerInfoBytes);
  requireRecipientField(key.ciphertext.length, encryptedKeyBytes);
  return [providerId, key.providerInfo, key.ciphertext].flatMap((field) => [uint16(field.length), field]);
}

function requireRecipientField(length: number, bounds: { least: number; most: number }): void {
  if (length < bounds.least || length > bounds.most) {
    throw new CryptoError('crypto.recipients_invalid', `a field of ${length} bytes`);
  }
}

function requireNoReservedName(context: EncryptionContext): void {
  const reserved = Object.keys(context).find((name) => name.startsWith(reservedPrefix));
  if (reserved !== undefined) throw new CryptoError('crypto.context_invalid', `reserved name ${reserved}`);
}

function decodeProviderId(bytes: Uint8Array): string {
  const providerId = decodeUtf8(bytes);
  if (providerId === undefined)
    throw new CryptoError('crypto.recipients_invalid', 'provider id is not UTF-8');
  return providerId;
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
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
