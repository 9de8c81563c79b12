import { createHash, randomBytes } from 'node:crypto';

/**
 * EMSA-PSS (RFC 8017 section 9.1) over a digest that somebody else computed: the platform only signs messages, which it hashes itself. MGF1
 * (appendix B.2.1) and the salt's length go by the same hash. The RSA operation itself stays OpenSSL's.
 */
export interface Digest {
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  readonly bytes: Uint8Array;
}

const trailer = 0xbc;
const eightZeros = Buffer.alloc(8);

/** EMSA-PSS-ENCODE (section 9.1.1) with a fresh salt, in as many bytes as the modulus has. */
export function encodePss(
  digest: Digest,
  modulusBits: number,
  salt = randomBytes(digest.bytes.length),
): Buffer {
  const length = Math.ceil((modulusBits - 1) / 8);
  const hash = saltedHash(digest, salt);
  const block = Buffer.alloc(length - hash.length - 1);
  block[block.length - salt.length - 1] = 1;
  block.set(salt, block.length - salt.length);
  mask(block, digest.hash, hash);
  clearTop(block, modulusBits);
  const encoded = Buffer.concat([block, hash, Buffer.of(trailer)]);
  return Buffer.concat([Buffer.alloc(Math.ceil(modulusBits / 8) - length), encoded]);
}

/** EMSA-PSS-VERIFY (section 9.1.2) of what the public key made of a signature, as many bytes as the modulus has. Nothing of it is secret. */
export function isPss(digest: Digest, encoded: Uint8Array, modulusBits: number): boolean {
  const hashBytes = digest.bytes.length;
  const length = Math.ceil((modulusBits - 1) / 8);
  const padding = encoded.subarray(0, encoded.length - length);
  const block = Buffer.from(encoded.subarray(padding.length, -hashBytes - 1));
  const hash = encoded.subarray(-hashBytes - 1, -1);
  const top = Buffer.from(block.subarray(0, 1));
  clearTop(top, modulusBits);
  if (padding.some((byte) => byte !== 0) || encoded.at(-1) !== trailer || top[0] !== block[0]) return false;
  mask(block, digest.hash, hash);
  clearTop(block, modulusBits);
  const zeros = block.length - hashBytes - 1;
  if (block.subarray(0, zeros).some((byte) => byte !== 0) || block[zeros] !== 1) return false;
  return saltedHash(digest, block.subarray(zeros + 1)).equals(hash);
}

function saltedHash({ hash, bytes }: Digest, salt: Uint8Array): Buffer {
  return createHash(hash).update(eightZeros).update(bytes).update(salt).digest();
}

/** The bits above those of the encoded message are zero. */
function clearTop(block: Buffer, modulusBits: number): void {
  const unused = 8 * Math.ceil((modulusBits - 1) / 8) - (modulusBits - 1);
  block[0] = (block[0] ?? 0) & (0xff >> unused);
}

/** block ⊕ MGF1(seed), in place. */
export function mask(block: Buffer, hash: Digest['hash'], seed: Uint8Array): void {
  const counter = Buffer.alloc(4);
  for (let at = 0, i = 0; at < block.length; i += 1) {
    counter.writeUInt32BE(i);
    const bytes = createHash(hash).update(seed).update(counter).digest();
    for (const byte of bytes.subarray(0, block.length - at)) {
      block[at] = (block[at] ?? 0) ^ byte;
      at += 1;
    }
  }
}
