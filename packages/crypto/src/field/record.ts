import { decodeUtf8 } from '../checks.ts';
import { decodeContext, encodeContext, maximumContextBytes, type EncryptionContext } from '../context.ts';
import { CryptoError } from '../errors.ts';
import type { EncryptedDataKey } from '../message/header.ts';

/** The data key of fields as it lies in the key table: for whom it is wrapped, and the context that each wrapping is bound to. */
export interface FieldKeyRecord {
  readonly context: EncryptionContext;
  /** 1 to 16 */
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
}

const version = 1;
const maximumKeys = 16;
const bounds = { providerId: [1, 255], providerInfo: [0, 2048], ciphertext: [1, 8192] } as const;
/** The longest record, in bytes. */
export const maximumFieldKeyRecordBytes =
  4 +
  maximumContextBytes +
  maximumKeys * (5 + bounds.providerId[1] + bounds.providerInfo[1] + bounds.ciphertext[1]);

/**
 * The record of docs/formats/field.md, "The data key's record".
 *
 * @throws CryptoError `crypto.context_invalid`, `crypto.recipients_invalid`
 */
export function encodeFieldKeyRecord({ context, encryptedDataKeys }: FieldKeyRecord): Buffer {
  const encoded = encodeContext(context);
  const count = encryptedDataKeys.length;
  if (count < 1 || count > maximumKeys) throw new CryptoError('crypto.recipients_invalid', `${count}`);
  return Buffer.concat([
    Buffer.of(version),
    uint16(encoded.length),
    encoded,
    Buffer.of(count),
    ...encryptedDataKeys.flatMap(({ providerId, providerInfo, ciphertext }) => {
      const id = Buffer.from(providerId, 'utf8');
      const parts = { providerId: id, providerInfo, ciphertext };
      for (const [name, [least, most]] of Object.entries(bounds)) {
        const { length } = parts[name as keyof typeof bounds];
        if (length < least || length > most || !providerId.isWellFormed()) {
          throw new CryptoError('crypto.recipients_invalid', name);
        }
      }
      return [
        Buffer.of(id.length),
        id,
        uint16(providerInfo.length),
        providerInfo,
        uint16(ciphertext.length),
        ciphertext,
      ];
    }),
  ]);
}

/**
 * Reads what `encodeFieldKeyRecord` writes, and nothing else. Attacker-controlled: every length is checked against its bound and
 * against the bytes that are there before it is used.
 *
 * @returns copies of the bytes
 * @throws CryptoError `crypto.version_unknown`, `crypto.wrapped_key_malformed`, `crypto.context_invalid`
 */
export function decodeFieldKeyRecord(record: Uint8Array): FieldKeyRecord {
  if (!(record instanceof Uint8Array) || record.length > maximumFieldKeyRecordBytes) throw malformed();
  const bytes = Buffer.from(record);
  let position = 0;
  const take = (length: number): Buffer => {
    if (bytes.length - position < length) throw malformed();
    position += length;
    return bytes.subarray(position - length, position);
  };
  const field = (lengthBytes: 1 | 2, [least, most]: readonly [number, number]): Buffer => {
    const length = take(lengthBytes).readUIntBE(0, lengthBytes);
    if (length < least || length > most) throw malformed();
    return take(length);
  };

  const versionByte = take(1).readUInt8();
  if (versionByte !== version)
    throw new CryptoError('crypto.version_unknown', `field key record ${versionByte}`);
  const context = decodeContext(field(2, [0, maximumContextBytes]));
  const count = take(1).readUInt8();
  if (count < 1 || count > maximumKeys) throw malformed();
  const encryptedDataKeys: EncryptedDataKey[] = [];
  for (let i = 0; i < count; i += 1) {
    const providerId = decodeUtf8(field(1, bounds.providerId));
    if (providerId === undefined) throw malformed();
    const providerInfo = field(2, bounds.providerInfo);
    encryptedDataKeys.push({ providerId, providerInfo, ciphertext: field(2, bounds.ciphertext) });
  }
  if (position !== bytes.length) throw malformed();
  return { context, encryptedDataKeys };
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function malformed(): CryptoError {
  return new CryptoError('crypto.wrapped_key_malformed', 'field key record');
}
