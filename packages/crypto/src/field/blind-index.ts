import { createSecretKey, type KeyObject } from 'node:crypto';
import { requireSymmetricKey } from '../checks.ts';
import { CryptoError } from '../errors.ts';
import { hkdfExpand, hmacSha256 } from '../primitives.ts';
import { aes256Gcm } from '../registry.ts';
import { encodeFieldName } from './place.ts';
import { encodeFieldValue, type FieldType, type FieldValue } from './value.ts';

/** Bytes of a blind index token: two of version, 16 of hash. */
export const indexTokenBytes = 18;

const versionBytes = 2;
const maximumVersion = 65_535;
const label = Buffer.from('trialkeep/field/index/v1\0');

/** Which texts count as equal (docs/formats/field.md has what each does). */
export const indexForms = Object.freeze({
  nfc: (text: string) => text.normalize('NFC'),
  // Upper before lower case: together they fold what lower case alone keeps apart.
  caseless: (text: string) =>
    text
      .normalize('NFKC')
      .toUpperCase()
      .toLowerCase()
      .normalize('NFKC')
      .replaceAll(/\p{White_Space}+/gu, ' ')
      .replaceAll(/^ | $/g, ''),
});

export type IndexForm = keyof typeof indexForms;

/** Types whose equality may be shown. Of a boolean or a small document it would tell the value. */
export type IndexedType = Exclude<FieldType, 'boolean' | 'json'>;

/**
 * One version of the blind index of one field (docs/formats/field.md, "The blind index"). It shows who has it which values are
 * equal: hold it no longer than its data key.
 */
export class BlindIndex {
  readonly #key: KeyObject;
  /** What precedes the value in the hash; the version stands first. */
  readonly #head: Buffer;
  readonly #type: IndexedType;
  readonly #normalize: (text: string) => string;

  /**
   * @param dataKey 256 bits, this index's own; stays the caller's
   * @param o.version 1 to 65,535
   * @param o.field logical name, 1 to 255 bytes of UTF-8
   * @throws CryptoError `crypto.key_unsuitable`, `crypto.argument_invalid`
   */
  constructor(
    dataKey: KeyObject,
    o: {
      readonly version: number;
      readonly field: string;
      readonly type: IndexedType;
      readonly form: IndexForm;
    },
  ) {
    requireSymmetricKey(dataKey);
    if (!Object.hasOwn(indexForms, o.form)) throw new CryptoError('crypto.argument_invalid', 'form');
    const head = indexTokenRange(o.version).from;
    const okm = hkdfExpand(dataKey, label);
    this.#key = createSecretKey(okm.subarray(0, aes256Gcm.keyBytes));
    okm.fill(0);
    this.#head = Buffer.concat([head, encodeFieldName(o.field)]);
    this.#type = o.type;
    this.#normalize = indexForms[o.form];
  }

  /**
   * The token of a value: equal for equal values, in the normal form of the index.
   *
   * @returns 18 bytes
   * @throws CryptoError `crypto.field_value_invalid`, `crypto.field_too_long`
   */
  token(value: FieldValue<IndexedType>): Buffer {
    // Text that is not text is refused by the encoding.
    const normal = typeof value === 'string' ? this.#normalize(value) : value;
    const encoded = encodeFieldValue(this.#type, normal as never);
    try {
      const hash = hmacSha256(this.#key, this.#head, encoded);
      const token = Buffer.allocUnsafe(indexTokenBytes);
      token.set(this.#head.subarray(0, versionBytes));
      hash.copy(token, versionBytes, 0, indexTokenBytes - versionBytes);
      return token;
    } finally {
      encoded.fill(0);
    }
  }
}

/**
 * The tokens of one version: those from `from` and below `below`, compared as bytes.
 *
 * @throws CryptoError `crypto.argument_invalid` unless `version` is 1 to 65,535
 */
export function indexTokenRange(version: number): { readonly from: Buffer; readonly below: Buffer } {
  if (!Number.isInteger(version) || version < 1 || version > maximumVersion) {
    throw new CryptoError('crypto.argument_invalid', `version must be 1 to ${maximumVersion}`);
  }
  const from = Buffer.alloc(versionBytes);
  from.writeUInt16BE(version);
  // No token has only ones in front but those of the last version, which this is longer than.
  const below =
    version === maximumVersion ? Buffer.alloc(indexTokenBytes + 1, 0xff) : Buffer.alloc(versionBytes);
  if (version < maximumVersion) below.writeUInt16BE(version + 1);
  return { from, below };
}
