import { constants, privateDecrypt, publicEncrypt, type KeyObject } from 'node:crypto';
import { dataKeyBytes } from '../data-key.ts';
import { CryptoError } from '../errors.ts';
import type { EncryptedDataKey } from '../message/header.ts';
import { rsaModulusBits, rsaOaepHashes, type RsaOaepHash } from '../registry.ts';
import { requireDataKey, requireKeyName, type Identity, type Recipient } from './recipient.ts';

/**
 * An RSA key pair, as the raw RSA keyring of the AWS Encryption SDK wraps under it
 * (awslabs/aws-encryption-sdk-specification, framework/raw-rsa-keyring.md), with OAEP (RFC 8017 section 7.1), MGF1
 * under the same hash and an empty label:
 *
 *     provider id          = namespace
 *     provider information = name
 *     ciphertext           = RSAES-OAEP(public key, data key)
 *
 * It does not bind the encryption context: that is authenticated by the header of the message alone. Neither
 * PKCS #1 v1.5 padding nor SHA-1 exist here, nor keys of 2,048 bits, whose strength of 112 bits is not enough for
 * records that stay secret beyond 2030 (NIST SP 800-57 part 1, revision 5, section 5.6.3).
 */

const maximumNameBytes = 2048;
/** FIPS 186-5 section 5.1: the exponent is odd, and 2¹⁶ < e < 2²⁵⁶. */
const exponent = { above: 2n ** 16n, below: 2n ** 256n };

type RawRsaKey = {
  /** 1 to 255 bytes of UTF-8; not `aws-kms…` or `trialkeep-…` */
  readonly namespace: string;
  /** 1 to 2,048 bytes of UTF-8; says which key of the namespace it is */
  readonly name: string;
  /** `sha256` by default; sender and receiver must agree */
  readonly hash?: RsaOaepHash;
};

/**
 * @param o.publicKey RSA, 3,072 to 8,192 bits
 * @throws CryptoError `crypto.key_unsuitable`, `crypto.algorithm_unknown`, `crypto.argument_invalid`
 */
export function rsaOaepRecipient(o: RawRsaKey & { readonly publicKey: KeyObject }): Recipient {
  const { hash, name } = requireRawRsa(o, o.publicKey, 'public');
  return Object.freeze({
    kind: 'classical' as const,
    async wrap(dataKey: Uint8Array) {
      requireDataKey(dataKey);
      const ciphertext = publicEncrypt({ ...oaep(hash), key: o.publicKey }, dataKey);
      return Object.freeze({ providerId: o.namespace, providerInfo: Buffer.from(name), ciphertext });
    },
  });
}

/**
 * @param o.privateKey RSA, 3,072 to 8,192 bits
 * @throws CryptoError as `rsaOaepRecipient`
 */
export function rsaOaepIdentity(o: RawRsaKey & { readonly privateKey: KeyObject }): Identity {
  const { hash, name, modulusBytes } = requireRawRsa(o, o.privateKey, 'private');
  return Object.freeze({
    kind: 'classical' as const,
    async unwrap(encrypted: EncryptedDataKey) {
      if (encrypted.providerId !== o.namespace || !name.equals(encrypted.providerInfo)) return undefined;
      if (encrypted.ciphertext.length !== modulusBytes) throw new CryptoError('crypto.ciphertext_invalid');
      const dataKey = openOaep(o.privateKey, hash, encrypted.ciphertext);
      if (dataKey?.length === dataKeyBytes) return dataKey;
      dataKey?.fill(0);
      throw new CryptoError('crypto.ciphertext_invalid');
    },
  });
}

/** RSAES-OAEP-DECRYPT (RFC 8017 section 7.1.2); `undefined` whatever is wrong, so that nothing tells what it was. */
export function openOaep(key: KeyObject, hash: RsaOaepHash, ciphertext: Uint8Array): Buffer | undefined {
  try {
    return privateDecrypt({ ...oaep(hash), key }, ciphertext);
  } catch {
    return undefined;
  }
}

function oaep(hash: RsaOaepHash): { padding: number; oaepHash: string } {
  return { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: rsaOaepHashes[hash].digest };
}

function requireRawRsa(
  o: RawRsaKey,
  key: KeyObject,
  type: 'public' | 'private',
): { hash: RsaOaepHash; name: Buffer; modulusBytes: number } {
  const { hash = 'sha256' } = o;
  if (!Object.hasOwn(rsaOaepHashes, hash)) throw new CryptoError('crypto.algorithm_unknown', 'hash');
  const name = requireKeyName(o.namespace, o.name, maximumNameBytes);
  const { modulusLength = 0, publicExponent = 0n } =
    key.type === type && key.asymmetricKeyType === 'rsa' ? (key.asymmetricKeyDetails ?? {}) : {};
  if (modulusLength < rsaModulusBits.least || modulusLength > rsaModulusBits.most) {
    const { least, most } = rsaModulusBits;
    throw new CryptoError(
      'crypto.key_unsuitable',
      `an RSA ${type} key of ${least} to ${most} bits is needed`,
    );
  }
  if (publicExponent <= exponent.above || publicExponent >= exponent.below || publicExponent % 2n === 0n) {
    throw new CryptoError('crypto.key_unsuitable', 'the public exponent');
  }
  return { hash, name, modulusBytes: Math.ceil(modulusLength / 8) };
}
