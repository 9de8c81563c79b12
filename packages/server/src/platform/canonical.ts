import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

/** JSON as RFC 8785 writes it, in UTF-8: one encoding for one value, so that its hash names it. */
export function canonicalBytes(value: object): Uint8Array {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('The value has no JSON.');
  return Buffer.from(text, 'utf8');
}

/** SHA-256, in hexadecimal. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
