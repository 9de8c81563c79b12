import { createSecretKey, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto';
import { requireSymmetricKey } from '../checks.ts';
import { CryptoError } from '../errors.ts';
import { decrypt, encrypt, hkdfExpand } from '../primitives.ts';
import { aes256Gcm } from '../registry.ts';
import { drawNonce } from './nonce.ts';
import { encodePlace, type FieldPlace } from './place.ts';
import {
  decodeFieldValue,
  encodeFieldValue,
  maximumFieldPlaintextBytes,
  type FieldType,
  type FieldValue,
} from './value.ts';

/** Bytes of the reference by which a field names its data key. */
export const keyReferenceBytes = 16;
/** How much longer a sealed field is than the encoding of its value, in bytes. */
export const fieldOverheadBytes = 58;

const version = 1;
const prefixOffset = 1 + keyReferenceBytes;
const prefixBytes = 12;
const nonceOffset = prefixOffset + prefixBytes;
const headBytes = nonceOffset + aes256Gcm.nonceBytes;
const maximumFieldBytes = headBytes + maximumFieldPlaintextBytes + aes256Gcm.tagBytes;
const maximumSealsPerPrefix = 2 ** 20;
/** Sealing keys that are held for opening; as many prefixes as processes write to one context at a time. */
const maximumHeldKeys = 16;

const commitmentLabel = Buffer.from('trialkeep/field/commitment/v1\0');
const sealLabel = Buffer.from('trialkeep/field/seal/v1\0');

/** What one process seals under for a while. */
interface Sealing {
  readonly prefix: Buffer;
  readonly key: KeyObject;
  left: number;
}

/**
 * A data key as fields use it (docs/formats/field.md), with the prefix that this process seals under and the keys derived from
 * it. It holds as much as the data key itself: let go of it at the same time. Synchronous throughout.
 */
export class FieldKey {
  /** 16 bytes: the commitment to the data key by which fields name it. Not secret. */
  readonly reference: Buffer;
  readonly #dataKey: KeyObject;
  readonly #sealsPerPrefix: number;
  #sealing: Sealing | undefined;
  /** By prefix, the one used last at the end. */
  readonly #held = new Map<string, KeyObject>();

  /**
   * @param dataKey 256 bits; stays the caller's
   * @param sealsPerPrefix 1 to 1,048,576, the bound of the format
   * @throws CryptoError `crypto.key_unsuitable`, `crypto.argument_invalid`
   */
  constructor(dataKey: KeyObject, sealsPerPrefix = maximumSealsPerPrefix) {
    requireSymmetricKey(dataKey);
    if (!Number.isInteger(sealsPerPrefix) || sealsPerPrefix < 1 || sealsPerPrefix > maximumSealsPerPrefix) {
      throw new CryptoError(
        'crypto.argument_invalid',
        `sealsPerPrefix must be 1 to ${maximumSealsPerPrefix}`,
      );
    }
    this.#dataKey = dataKey;
    this.#sealsPerPrefix = sealsPerPrefix;
    this.reference = hkdfExpand(dataKey, commitmentLabel).subarray(0, keyReferenceBytes);
  }

  /**
   * Seals one value for its place.
   *
   * @param padTo the plaintext is filled up to a multiple of this many bytes, 1 to 4,096
   * @throws CryptoError `crypto.field_value_invalid`, `crypto.field_too_long`, `crypto.argument_invalid`
   */
  seal<T extends FieldType>(place: FieldPlace, type: T, value: FieldValue<T>, padTo = 1): Buffer {
    const plaintext = encodeFieldValue(type, value, padTo);
    if (this.#sealing === undefined || this.#sealing.left === 0) {
      const prefix = randomBytes(prefixBytes);
      this.#sealing = { prefix, key: this.#derive(prefix), left: this.#sealsPerPrefix };
    }
    this.#sealing.left -= 1;
    const { prefix, key } = this.#sealing;
    return sealPlaintext(this.reference, prefix, key, drawNonce(), place, plaintext);
  }

  /**
   * `seal` with a chosen prefix and nonce: only for test vectors. The two used twice under one data key break both values.
   *
   * @param chosen 12 bytes each
   */
  sealWith<T extends FieldType>(
    chosen: { readonly prefix: Uint8Array; readonly nonce: Uint8Array },
    place: FieldPlace,
    type: T,
    value: FieldValue<T>,
    padTo = 1,
  ): Buffer {
    const plaintext = encodeFieldValue(type, value, padTo);
    const key = this.#derive(chosen.prefix);
    return sealPlaintext(this.reference, chosen.prefix, key, chosen.nonce, place, plaintext);
  }

  /**
   * Opens what was sealed under this data key for exactly this place and type.
   *
   * @returns the value, the caller's
   * @throws CryptoError `crypto.ciphertext_invalid`; `crypto.field_type_mismatch`, `crypto.field_encoding_invalid` where what was
   *   authenticated is of another type or no encoding of one; for bytes that are not of the form as `fieldKeyReference`
   */
  open<T extends FieldType>(place: FieldPlace, type: T, sealed: Uint8Array): FieldValue<T> {
    requireField(sealed);
    if (!timingSafeEqual(sealed.subarray(1, prefixOffset), this.reference)) {
      throw new CryptoError('crypto.ciphertext_invalid');
    }
    const tagOffset = sealed.length - aes256Gcm.tagBytes;
    const plaintext = decrypt(
      this.#keyOf(sealed.subarray(prefixOffset, nonceOffset)),
      sealed.subarray(nonceOffset, headBytes),
      encodePlace(sealed.subarray(0, headBytes), place),
      sealed.subarray(headBytes, tagOffset),
      sealed.subarray(tagOffset),
    );
    if (plaintext === undefined) throw new CryptoError('crypto.ciphertext_invalid');
    try {
      return decodeFieldValue(type, plaintext);
    } finally {
      plaintext.fill(0);
    }
  }

  /** The sealing key of a prefix that an attacker may have chosen: any 12 bytes give a key, and few are held. */
  #keyOf(prefix: Uint8Array): KeyObject {
    const id = Buffer.from(prefix.buffer, prefix.byteOffset, prefix.length).toString('latin1');
    let key = this.#held.get(id);
    if (key === undefined) {
      key = this.#derive(prefix);
      if (this.#held.size === maximumHeldKeys) {
        const [oldest = ''] = this.#held.keys();
        this.#held.delete(oldest);
      }
    } else {
      this.#held.delete(id);
    }
    this.#held.set(id, key);
    return key;
  }

  #derive(prefix: Uint8Array): KeyObject {
    const okm = hkdfExpand(this.#dataKey, Buffer.concat([sealLabel, prefix]));
    const key = createSecretKey(okm.subarray(0, aes256Gcm.keyBytes));
    okm.fill(0);
    return key;
  }
}

/**
 * The reference to the data key of a sealed field, 16 bytes; a view. Nothing is authenticated yet: use it only to look the
 * data key up.
 *
 * @throws CryptoError `crypto.version_unknown`, `crypto.ciphertext_truncated`, `crypto.ciphertext_malformed`
 */
export function fieldKeyReference(sealed: Uint8Array): Uint8Array {
  requireField(sealed);
  return sealed.subarray(1, prefixOffset);
}

/** Attacker-controlled input: version and length are checked before anything is derived from it. */
function requireField(sealed: Uint8Array): void {
  if (!(sealed instanceof Uint8Array))
    throw new CryptoError('crypto.argument_invalid', 'sealed must be bytes');
  const [versionByte] = sealed;
  if (versionByte !== undefined && versionByte !== version) {
    throw new CryptoError('crypto.version_unknown', `field ${versionByte}`);
  }
  if (sealed.length < fieldOverheadBytes) throw new CryptoError('crypto.ciphertext_truncated');
  if (sealed.length > maximumFieldBytes) {
    throw new CryptoError('crypto.ciphertext_malformed', 'longer than a field can be');
  }
}

function sealPlaintext(
  reference: Uint8Array,
  prefix: Uint8Array,
  key: KeyObject,
  nonce: Uint8Array,
  place: FieldPlace,
  plaintext: Buffer,
): Buffer {
  try {
    const sealed = Buffer.allocUnsafe(headBytes + plaintext.length + aes256Gcm.tagBytes);
    sealed[0] = version;
    sealed.set(reference, 1);
    sealed.set(prefix, prefixOffset);
    sealed.set(nonce, nonceOffset);
    const aad = encodePlace(sealed.subarray(0, headBytes), place);
    const { ciphertext, tag } = encrypt(key, nonce, aad, plaintext);
    sealed.set(ciphertext, headBytes);
    sealed.set(tag, headBytes + ciphertext.length);
    return sealed;
  } finally {
    // It was cut from a buffer that others share.
    plaintext.fill(0);
  }
}
