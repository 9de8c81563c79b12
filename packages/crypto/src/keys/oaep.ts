import {
  constants,
  createHash,
  privateDecrypt,
  publicEncrypt,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto';
import { CryptoError } from '../errors.ts';
import { mask } from './pss.ts';

/** RSAES-OAEP (RFC 8017 section 7.1) of systems' keys: SHA-256, MGF1 with SHA-256, empty label. */
const hash = 'sha256';
const hashBytes = 32;
const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash };

/** The longest plaintext under a key, bytes (section 7.1.1, step 1b). */
export function maximumOaepBytes(key: KeyObject): number {
  return modulusBytes(key) - 2 * hashBytes - 2;
}

/** @throws CryptoError `crypto.key_unsuitable`, `crypto.plaintext_too_long` */
export function encryptOaep(publicKey: KeyObject, plaintext: Uint8Array): Buffer {
  requireRsa(publicKey, 'public');
  if (plaintext.length > maximumOaepBytes(publicKey)) throw new CryptoError('crypto.plaintext_too_long');
  return publicEncrypt({ ...oaep, key: publicKey }, plaintext);
}

/**
 * @returns the plaintext, owned by the caller, who zeroes it
 * @throws CryptoError `crypto.key_unsuitable`; `crypto.ciphertext_invalid`, whatever is wrong with the ciphertext, so that nothing tells what it was
 */
export function decryptOaep(privateKey: KeyObject, ciphertext: Uint8Array): Buffer {
  requireRsa(privateKey, 'private');
  // OpenSSL would take a ciphertext without its leading zeros: one that has them is the only form here.
  if (ciphertext.length !== modulusBytes(privateKey)) throw new CryptoError('crypto.ciphertext_invalid');
  try {
    return privateDecrypt({ ...oaep, key: privateKey }, ciphertext);
  } catch {
    throw new CryptoError('crypto.ciphertext_invalid');
  }
}

/**
 * EME-OAEP decoding (section 7.1.2, step 3) of what RSADP gave, for tokens that offer RSA alone, or OAEP under SHA-1 alone. Every byte is
 * looked at whatever the others are, and all that can be wrong ends in one error: what tells them apart opens ciphertexts (Manger, 2001).
 *
 * @param encoded as many bytes as the modulus has; zeroed here
 * @returns the plaintext, owned by the caller, who zeroes it
 * @throws CryptoError `crypto.ciphertext_invalid`
 */
export function decodeOaep(encoded: Buffer): Buffer {
  try {
    if (encoded.length < 2 * hashBytes + 2) throw new CryptoError('crypto.ciphertext_invalid');
    const seed = encoded.subarray(1, 1 + hashBytes);
    const block = encoded.subarray(1 + hashBytes);
    mask(seed, hash, block);
    mask(block, hash, seed);
    const isLabel = timingSafeEqual(block.subarray(0, hashBytes), createHash(hash).digest());
    let wrong = (encoded[0] ?? 1) | (isLabel ? 0 : 1);
    let isFound = 0;
    let start = 0;
    for (let at = hashBytes; at < block.length; at += 1) {
      const byte = block[at] ?? 0;
      const isOne = isZero(byte ^ 1);
      wrong |= (1 - isFound) & (1 - isOne) & (1 - isZero(byte));
      start |= -((1 - isFound) & isOne) & (at + 1);
      isFound |= isOne;
    }
    if ((wrong | (1 - isFound)) !== 0) throw new CryptoError('crypto.ciphertext_invalid');
    return Buffer.from(block.subarray(start));
  } finally {
    encoded.fill(0);
  }
}

/** 1 for 0, and 0 for any other byte. */
function isZero(byte: number): number {
  return ((byte - 1) >>> 8) & 1;
}

function modulusBytes(key: KeyObject): number {
  return Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
}

function requireRsa(key: KeyObject, type: 'public' | 'private'): void {
  if (key.type !== type || key.asymmetricKeyType !== 'rsa') {
    throw new CryptoError('crypto.key_unsuitable', `an RSA ${type} key is needed`);
  }
}
