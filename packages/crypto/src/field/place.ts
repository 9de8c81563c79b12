import { CryptoError } from '../errors.ts';

/**
 * What names a row. Made by the application before the row exists: 1 to 255 bytes of UTF-8, an integer, or 1 to 255 bytes. An
 * integer is the same as its decimal digits, since drivers give one 64-bit column as a number, a bigint or text.
 */
export type RowId = string | number | bigint | Uint8Array;

/** The place that a value is bound to. */
export interface FieldPlace {
  /** Logical name of the column: 1 to 255 bytes of UTF-8, the same for good. */
  readonly field: string;
  readonly rowId: RowId;
}

const maximumBytes = 255;
const textKind = 1;
const bytesKind = 2;
/** Bytes of a place beside its field and row id. */
const overheadBytes = 5;

/** The logical field name as every part of the format takes it: `u16 length ‖ UTF-8`. */
export function encodeFieldName(field: string): Buffer {
  const bytes = utf8Bytes(field, 'field');
  const encoded = Buffer.allocUnsafe(2 + bytes);
  encoded.writeUInt16BE(bytes, 0);
  encoded.write(field, 2, bytes, 'utf8');
  return encoded;
}

/**
 * `head ‖ u16 length ‖ field ‖ u8 kind ‖ u16 length ‖ row id`: the additional authenticated data of a field, `head` being the
 * field's first bytes.
 *
 * @throws CryptoError `crypto.argument_invalid`
 */
export function encodePlace(head: Uint8Array, { field, rowId }: FieldPlace): Buffer {
  const fieldBytes = utf8Bytes(field, 'field');
  const id = rowIdText(rowId);
  const idBytes = typeof id === 'string' ? utf8Bytes(id, 'rowId') : id.length;
  if (idBytes < 1 || idBytes > maximumBytes) throw invalid('rowId');
  const encoded = Buffer.allocUnsafe(head.length + overheadBytes + fieldBytes + idBytes);
  encoded.set(head, 0);
  let position = encoded.writeUInt16BE(fieldBytes, head.length);
  position += encoded.write(field, position, fieldBytes, 'utf8');
  position = encoded.writeUInt8(typeof id === 'string' ? textKind : bytesKind, position);
  position = encoded.writeUInt16BE(idBytes, position);
  if (typeof id === 'string') encoded.write(id, position, idBytes, 'utf8');
  else encoded.set(id, position);
  return encoded;
}

function rowIdText(rowId: RowId): string | Uint8Array {
  if (typeof rowId === 'string' || rowId instanceof Uint8Array) return rowId;
  if (typeof rowId === 'bigint' || (typeof rowId === 'number' && Number.isSafeInteger(rowId))) {
    return BigInt(rowId).toString();
  }
  throw invalid('rowId');
}

function utf8Bytes(text: string, name: string): number {
  if (typeof text !== 'string' || text.length < 1 || text.length > maximumBytes || !text.isWellFormed()) {
    throw invalid(name);
  }
  const bytes = Buffer.byteLength(text, 'utf8');
  if (bytes > maximumBytes) throw invalid(name);
  return bytes;
}

function invalid(name: string): CryptoError {
  return new CryptoError('crypto.argument_invalid', `${name} must be 1 to ${maximumBytes} bytes`);
}
