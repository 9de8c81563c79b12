import { decodeUtf8 } from '../checks.ts';
import { CryptoError } from '../errors.ts';
import { canonicalJson, type JsonValue } from './json.ts';

/** The types of values, with the byte that stands for each in the plaintext. */
export const fieldTypes = Object.freeze({
  text: 1,
  number: 2,
  date: 3,
  json: 4,
  bytes: 5,
  boolean: 6,
} as const);

export type FieldType = keyof typeof fieldTypes;

/** What a value of each type is in JavaScript. */
export interface FieldValues {
  text: string;
  number: number;
  date: Date;
  json: JsonValue;
  bytes: Uint8Array;
  boolean: boolean;
}

export type FieldValue<T extends FieldType = FieldType> = FieldValues[T];

/** The longest plaintext of a field: type, value and padding, in bytes. */
export const maximumFieldPlaintextBytes = 65_536;
/** The greatest step of padding, in bytes. */
export const maximumPaddingStep = 4096;

const paddedFlag = 0x80;
const paddingStart = 0x80;
const fixedBytes = 8;
const twoTo32 = 2 ** 32;
const maximumMs = 8.64e15;

/**
 * The plaintext of a field (docs/formats/field.md, "Values"): `u8 type ‖ value`, filled up to a multiple of
 * `padTo` bytes where that is more than 1.
 *
 * @returns secret bytes of the caller's, who zeroes them
 * @throws CryptoError `crypto.field_value_invalid`, `crypto.field_too_long`, `crypto.argument_invalid`
 */
export function encodeFieldValue<T extends FieldType>(type: T, value: FieldValue<T>, padTo = 1): Buffer {
  if (!Number.isInteger(padTo) || padTo < 1 || padTo > maximumPaddingStep) {
    throw new CryptoError('crypto.argument_invalid', `padTo must be 1 to ${maximumPaddingStep}`);
  }
  if (!Object.hasOwn(fieldTypes, type)) throw new CryptoError('crypto.argument_invalid', 'type');
  const typeByte = fieldTypes[type];
  switch (type) {
    case 'text':
      return textPlaintext(typeByte, requireText(value), padTo);
    case 'json':
      return textPlaintext(typeByte, canonicalJson(value), padTo);
    case 'bytes': {
      if (!(value instanceof Uint8Array)) throw invalid('not bytes');
      const plaintext = plaintextFor(typeByte, value.length, padTo);
      plaintext.set(value, 1);
      return plaintext;
    }
    case 'boolean': {
      if (typeof value !== 'boolean') throw invalid('not a boolean');
      const plaintext = plaintextFor(typeByte, 1, padTo);
      plaintext[1] = value ? 1 : 0;
      return plaintext;
    }
    default: {
      const plaintext = plaintextFor(typeByte, fixedBytes, padTo);
      if (type === 'number') plaintext.writeDoubleBE(requireNumber(value), 1);
      else writeMoment(plaintext, requireMoment(value));
      return plaintext;
    }
  }
}

/**
 * Reads what `encodeFieldValue` writes, whatever its padding, and nothing else. The plaintext stays the caller's, who zeroes
 * it; bytes are copied out of it.
 *
 * @throws CryptoError `crypto.field_type_mismatch` for a value of another type, `crypto.field_encoding_invalid`
 */
export function decodeFieldValue<T extends FieldType>(type: T, plaintext: Uint8Array): FieldValue<T> {
  const bytes = Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.length);
  const [first = 0] = bytes;
  if ((first & ~paddedFlag) !== fieldTypes[type]) {
    throw new CryptoError(
      'crypto.field_type_mismatch',
      `type ${first & ~paddedFlag} where ${type} is expected`,
    );
  }
  const value = bytes.subarray(1, (first & paddedFlag) === 0 ? bytes.length : endOfPadded(bytes));
  return decoders[type](value) as FieldValue<T>;
}

const decoders: Readonly<Record<FieldType, (value: Buffer) => FieldValue>> = {
  text: (value) => decodeUtf8(value) ?? refuse('not UTF-8'),
  number: (value) => {
    const number = value.length === fixedBytes ? value.readDoubleBE(0) : Number.NaN;
    return Number.isFinite(number) && !Object.is(number, -0) ? number : refuse('not a canonical number');
  },
  date: (value) => {
    const ms =
      value.length === fixedBytes ? value.readInt32BE(0) * twoTo32 + value.readUInt32BE(4) : Number.NaN;
    return Math.abs(ms) <= maximumMs ? new Date(ms) : refuse('not a date');
  },
  json: (value) => {
    const text = decodeUtf8(value) ?? refuse('not UTF-8');
    let parsed: JsonValue;
    try {
      parsed = JSON.parse(text) as JsonValue;
      if (canonicalJson(parsed) === text) return parsed;
    } catch {
      // Neither the parser's error, which quotes the text, nor ours about a value that nobody passed.
    }
    return refuse('not canonical JSON');
  },
  bytes: (value) => Buffer.from(value),
  boolean: (value) => {
    const [byte = -1] = value;
    return value.length === 1 && byte <= 1 ? byte === 1 : refuse('not a boolean');
  },
};

/** Where the value ends: before the last byte that is not zero, which must be the one that starts the padding. */
function endOfPadded(bytes: Buffer): number {
  let end = bytes.length - 1;
  while (end > 0 && bytes[end] === 0) end -= 1;
  return end > 0 && bytes[end] === paddingStart ? end : refuse('padding');
}

function textPlaintext(typeByte: number, text: string, padTo: number): Buffer {
  // No text has fewer bytes than UTF-16 code units; checked first so that nothing of its size is walked.
  const bytes = text.length < maximumFieldPlaintextBytes ? Buffer.byteLength(text, 'utf8') : text.length;
  const plaintext = plaintextFor(typeByte, bytes, padTo);
  plaintext.write(text, 1, bytes, 'utf8');
  return plaintext;
}

/** A plaintext with type and padding in place; the `valueBytes` after the type are the caller's to write, all of them. */
function plaintextFor(typeByte: number, valueBytes: number, padTo: number): Buffer {
  const end = 1 + valueBytes;
  const bytes = padTo === 1 ? end : Math.ceil((end + 1) / padTo) * padTo;
  if (bytes > maximumFieldPlaintextBytes) throw new CryptoError('crypto.field_too_long');
  const plaintext = Buffer.allocUnsafe(bytes);
  plaintext[0] = padTo === 1 ? typeByte : typeByte | paddedFlag;
  if (padTo > 1) {
    plaintext[end] = paddingStart;
    plaintext.fill(0, end + 1);
  }
  return plaintext;
}

function requireText(value: unknown): string {
  if (typeof value !== 'string') throw invalid('not text');
  if (!value.isWellFormed()) throw invalid('lone surrogate');
  return value;
}

function requireNumber(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid('not a finite number');
  // Two zeros would be two encodings of what compares as one.
  return value === 0 ? 0 : value;
}

function requireMoment(value: unknown): number {
  const ms = value instanceof Date ? value.getTime() : Number.NaN;
  if (Number.isNaN(ms)) throw invalid('not a date');
  return ms;
}

function writeMoment(plaintext: Buffer, ms: number): void {
  const high = Math.floor(ms / twoTo32);
  plaintext.writeInt32BE(high, 1);
  plaintext.writeUInt32BE(ms - high * twoTo32, 5);
}

function invalid(detail: string): CryptoError {
  return new CryptoError('crypto.field_value_invalid', detail);
}

function refuse(detail: string): never {
  throw new CryptoError('crypto.field_encoding_invalid', detail);
}
