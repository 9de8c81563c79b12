import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { CryptoError } from '../errors.ts';
import { requireSymmetricKey } from '../checks.ts';
import { transferWraps } from '../registry.ts';
import { decryptOaep, encryptOaep } from './oaep.ts';

/** The upper half of the alternative initial value (RFC 5649 section 3); the lower one is the length of the plaintext. */
const initialValue = Buffer.from('a65959a6', 'hex');
const blockBytes = 8;
/** Bytes that the wrapped form has more than the plaintext, at least and at most. */
const leastOverheadBytes = blockBytes;
const { aesKeyBytes } = transferWraps.RSA_AES_KEY_WRAP_SHA_256;
/** Longest material that is wrapped or unwrapped, bytes: PKCS #8 of RSA keys with 8,192 bits and some room. */
const mostMaterialBytes = 8192;

/**
 * AES key wrap with padding under a 256-bit key (RFC 5649 section 4.1; KWP-AE of NIST SP 800-38F section 6.3).
 *
 * @param secret 1 to 8,192 bytes
 * @returns the next multiple of 8 bytes, and 8 more
 * @throws CryptoError `crypto.key_unsuitable`, `crypto.argument_invalid`
 */
export function wrapKwp(wrappingKey: KeyObject, secret: Uint8Array): Buffer {
  requireSymmetricKey(wrappingKey);
  if (secret.length < 1 || secret.length > mostMaterialBytes) {
    throw new CryptoError('crypto.argument_invalid', `1 to ${mostMaterialBytes} bytes are wrapped`);
  }
  const wrapping = createCipheriv('id-aes256-wrap-pad', wrappingKey, initialValue);
  return Buffer.concat([wrapping.update(secret), wrapping.final()]);
}

/**
 * Undoes {@link wrapKwp} (RFC 5649 section 4.2).
 *
 * @returns the secret, owned by the caller, who zeroes it; undefined where length, initial value or padding are not those of the form
 * @throws CryptoError `crypto.key_unsuitable`
 */
export function unwrapKwp(wrappingKey: KeyObject, wrapped: Uint8Array): Buffer | undefined {
  requireSymmetricKey(wrappingKey);
  const isLong = wrapped.length >= blockBytes + leastOverheadBytes;
  if (!isLong || wrapped.length % blockBytes !== 0) return undefined;
  if (wrapped.length > mostMaterialBytes + blockBytes) return undefined;
  const unwrapping = createDecipheriv('id-aes256-wrap-pad', wrappingKey, initialValue);
  try {
    const secret = unwrapping.update(wrapped);
    unwrapping.final();
    return secret;
  } catch {
    return undefined;
  }
}

/**
 * Wraps key material for whoever has the private key: `RSAES-OAEP(AES key) ‖ AES-KWP(material)` with a fresh AES-256 key, SHA-256 and
 * MGF1 with SHA-256 (PKCS #11 version 3.1, section 6.1.21, CKM_RSA_AES_KEY_WRAP; docs/formats/key-transfer.md).
 *
 * @param publicKey RSA
 * @param material 1 to 8,192 bytes, which stay the caller's
 * @throws CryptoError `crypto.key_unsuitable`, `crypto.argument_invalid`
 */
export function wrapRsaAes(publicKey: KeyObject, material: Uint8Array): Buffer {
  const secret = randomBytes(aesKeyBytes);
  try {
    const head = encryptOaep(publicKey, secret);
    return Buffer.concat([head, wrapKwp(createSecretKey(secret), material)]);
  } finally {
    secret.fill(0);
  }
}

/**
 * Undoes {@link wrapRsaAes}. Where the first part does not open, the second one is tried under a random key all the same, so that
 * neither the answer nor the way to it says which of the two it was.
 *
 * @returns the material, owned by the caller, who zeroes it
 * @throws CryptoError `crypto.key_unsuitable`; `crypto.ciphertext_invalid`, whatever is wrong with the wrapped form
 */
export function unwrapRsaAes(privateKey: KeyObject, wrapped: Uint8Array): Buffer {
  const headBytes = Math.ceil((privateKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
  const opened = openHead(privateKey, wrapped.subarray(0, headBytes));
  const isKey = opened?.length === aesKeyBytes;
  const secret = isKey ? opened : randomBytes(aesKeyBytes);
  try {
    const material = unwrapKwp(createSecretKey(secret), wrapped.subarray(headBytes));
    if (material !== undefined && isKey) return material;
    material?.fill(0);
    throw new CryptoError('crypto.ciphertext_invalid');
  } finally {
    secret.fill(0);
    opened?.fill(0);
  }
}

function openHead(privateKey: KeyObject, head: Uint8Array): Buffer | undefined {
  try {
    return decryptOaep(privateKey, head);
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'crypto.ciphertext_invalid') return undefined;
    throw error;
  }
}
