import { decodeUtf8 } from './checks.ts';
import { CryptoError } from './errors.ts';

/**
 * String pairs that are bound to a ciphertext as authenticated data, and logged. Not secret: aliases only.
 * Names are non-empty; names and values are well-formed Unicode; no normalisation takes place.
 */
export type EncryptionContext = Readonly<Record<string, string>>;

/** The longest encoding of a context, in bytes, in every format of this package. */
export const maximumContextBytes = 8192;

const pairOverheadBytes = 4;
const countBytes = 2;

/**
 * The canonical encoding: `u16 n ‖ (u16 length ‖ name ‖ u16 length ‖ value)*`, big-endian, UTF-8, sorted by
 * the bytes of the names. It is that of the AWS Encryption SDK, but for the empty context: two zero bytes
 * here.
 *
 * @throws CryptoError `crypto.context_invalid`
 */
export function encodeContext(context: EncryptionContext): Buffer {
  const pairs = Object.entries(context).map(([name, value]) => {
    if (name.length === 0) throw new CryptoError('crypto.context_invalid', 'empty name');
    return [encodeText(name), encodeText(value)] as const;
  });
  pairs.sort(([a], [b]) => Buffer.compare(a, b));
  let bytes = countBytes;
  for (const [name, value] of pairs) bytes += pairOverheadBytes + name.length + value.length;
  if (bytes > maximumContextBytes) throw new CryptoError('crypto.context_invalid', `${bytes} bytes`);

  const encoded = Buffer.alloc(bytes);
  let position = encoded.writeUInt16BE(pairs.length, 0);
  for (const pair of pairs) {
    for (const text of pair) {
      position = encoded.writeUInt16BE(text.length, position);
      position += text.copy(encoded, position);
    }
  }
  return encoded;
}

/**
 * The context as the header of a message and those who wrap its data key have it: `encodeContext`, but zero bytes
 * for the empty context.
 *
 * @throws CryptoError `crypto.context_invalid`
 */
export function encodeMessageContext(context: EncryptionContext): Buffer {
  return Object.keys(context).length === 0 ? Buffer.alloc(0) : encodeContext(context);
}

/**
 * Reads what `encodeContext` writes, and nothing else: another order, a duplicate, an empty name, invalid
 * UTF-8, missing or further bytes are refused. The result is frozen and has no prototype, so that a name such
 * as `constructor` is found only where the context holds it.
 *
 * @throws CryptoError `crypto.context_invalid`
 */
export function decodeContext(encoded: Uint8Array): EncryptionContext {
  if (encoded.length > maximumContextBytes) {
    throw new CryptoError('crypto.context_invalid', `${encoded.length} bytes`);
  }
  const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.length);
  let position = 0;
  const readUint16 = (): number => {
    if (bytes.length - position < 2) throw new CryptoError('crypto.context_invalid', 'truncated');
    const value = bytes.readUInt16BE(position);
    position += 2;
    return value;
  };
  const readField = (): Buffer => {
    const length = readUint16();
    if (bytes.length - position < length) throw new CryptoError('crypto.context_invalid', 'truncated');
    position += length;
    return bytes.subarray(position - length, position);
  };

  const context = Object.create(null) as Record<string, string>;
  let previous: Buffer = Buffer.alloc(0);
  for (let remaining = readUint16(); remaining > 0; remaining -= 1) {
    const name = readField();
    // Strictly ascending from the empty string: no duplicates, no empty name, one order.
    if (Buffer.compare(previous, name) >= 0) {
      throw new CryptoError('crypto.context_invalid', 'names are not in order');
    }
    context[decodeText(name)] = decodeText(readField());
    previous = name;
  }
  if (position !== bytes.length) throw new CryptoError('crypto.context_invalid', 'trailing bytes');
  return Object.freeze(context);
}

function encodeText(text: unknown): Buffer {
  if (typeof text !== 'string') throw new CryptoError('crypto.context_invalid', 'not text');
  if (!text.isWellFormed()) throw new CryptoError('crypto.context_invalid', 'lone surrogate');
  // Longer text cannot fit; checked first so that nothing of its size is allocated.
  if (text.length > maximumContextBytes) throw new CryptoError('crypto.context_invalid', 'over-long');
  return Buffer.from(text, 'utf8');
}

function decodeText(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (text === undefined) throw new CryptoError('crypto.context_invalid', 'not UTF-8');
  return text;
}
