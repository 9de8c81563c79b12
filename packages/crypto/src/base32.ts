const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Base 32 (RFC 4648 section 6), without padding, as authenticator apps take secrets. */
export function encodeBase32(bytes: Uint8Array): string {
  let text = '';
  let pending = 0;
  let pendingBits = 0;
  for (const byte of bytes) {
    pending = ((pending << 8) | byte) & 0xfff;
    pendingBits += 8;
    for (; pendingBits >= 5; pendingBits -= 5) text += alphabet.charAt((pending >>> (pendingBits - 5)) & 31);
  }
  if (pendingBits > 0) text += alphabet.charAt((pending << (5 - pendingBits)) & 31);
  return text;
}
