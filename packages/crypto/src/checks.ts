import type { KeyObject } from 'node:crypto';
import { CryptoError } from './errors.ts';

/** Bytes of every identifier: tenants, keys, key versions, ledger entries. */
export const idBytes = 16;

// A byte order mark is part of the text: dropping it would let two encodings decode to one text.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws CryptoError `crypto.argument_invalid` unless `value` is a Uint8Array of exactly `bytes` bytes */
export function requireBytes(value: Uint8Array, bytes: number, name: string): void {
  if (!(value instanceof Uint8Array) || value.length !== bytes) {
    throw new CryptoError('crypto.argument_invalid', `${name} must be ${bytes} bytes`);
  }
}

/** @throws CryptoError `crypto.key_unsuitable` unless `key` is a 256-bit symmetric key */
export function requireSymmetricKey(key: KeyObject): void {
  if (key.type !== 'secret' || key.symmetricKeySize !== 32) {
    throw new CryptoError('crypto.key_unsuitable', 'a 256-bit symmetric key is needed');
  }
}

/** The text, or `undefined` where the bytes are not well-formed UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
