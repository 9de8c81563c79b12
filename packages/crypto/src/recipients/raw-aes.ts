import { randomBytes, type KeyObject } from 'node:crypto';
import { requireSymmetricKey } from '../checks.ts';
import { encodeMessageContext, type EncryptionContext } from '../context.ts';
import { dataKeyBytes } from '../data-key.ts';
import { CryptoError } from '../errors.ts';
import type { EncryptedDataKey } from '../message/header.ts';
import { decrypt, encrypt } from '../primitives.ts';
import { aes256Gcm } from '../registry.ts';
import { equalSecrets } from '../secrets.ts';
import { requireDataKey, requireKeyName, type Identity, type Recipient } from './recipient.ts';

/**
 * A shared AES-256 key, as the raw AES keyring of the AWS Encryption SDK wraps under it
 * (awslabs/aws-encryption-sdk-specification, framework/raw-aes-keyring.md):
 *
 *     provider id          = namespace
 *     provider information = name ‖ u32 tag length in bits = 128 ‖ u32 nonce length in bytes = 12 ‖ nonce[12]
 *     ciphertext           = AES-256-GCM(key, nonce, AAD = context, data key) ‖ tag[16]
 *
 * The nonce is random: at most 2³² data keys are wrapped under one key (NIST SP 800-38D section 8.3).
 */

const { nonceBytes, tagBytes } = aes256Gcm;
const lengthsBytes = 8;
const maximumNameBytes = 2048 - lengthsBytes - nonceBytes;
const lengths = Buffer.alloc(lengthsBytes);
lengths.writeUInt32BE(tagBytes * 8, 0);
lengths.writeUInt32BE(nonceBytes, 4);

/**
 * Both recipient and identity, since whoever has the key can do both. The context is bound in the order of the
 * bytes of its names, as the specification says. The JavaScript keyring does so only with its option
 * `utf8Sorting`: else it sorts by locale, which differs wherever names mix case, punctuation or scripts.
 *
 * @param o.namespace 1 to 255 bytes of UTF-8; not `aws-kms…` or `trialkeep-…`
 * @param o.name 1 to 2,028 bytes of UTF-8; says which key of the namespace it is
 * @param o.key 256 bits
 * @throws CryptoError `crypto.key_unsuitable`, `crypto.argument_invalid`
 */
export function rawAes(o: {
  readonly namespace: string;
  readonly name: string;
  readonly key: KeyObject;
}): Recipient & Identity {
  requireSymmetricKey(o.key);
  const name = requireKeyName(o.namespace, o.name, maximumNameBytes);
  return Object.freeze(new RawAes(o.namespace, name, o.key));
}

class RawAes implements Recipient, Identity {
  readonly kind = 'symmetric';
  readonly #namespace: string;
  readonly #name: Buffer;
  readonly #key: KeyObject;

  constructor(namespace: string, name: Buffer, key: KeyObject) {
    this.#namespace = namespace;
    this.#name = name;
    this.#key = key;
  }

  async wrap(dataKey: Uint8Array, context: EncryptionContext): Promise<EncryptedDataKey> {
    requireDataKey(dataKey);
    const nonce = randomBytes(nonceBytes);
    const { ciphertext, tag } = encrypt(this.#key, nonce, encodeMessageContext(context), dataKey);
    const encrypted = Object.freeze({
      providerId: this.#namespace,
      providerInfo: Buffer.concat([this.#name, lengths, nonce]),
      ciphertext: Buffer.concat([ciphertext, tag]),
    });
    await this.#requireOpens(encrypted, dataKey, context);
    return encrypted;
  }

  async unwrap(encrypted: EncryptedDataKey, context: EncryptionContext): Promise<Buffer | undefined> {
    const nonceStart = this.#name.length + lengthsBytes;
    // A name of the same length is the same name or another key's: no name is the beginning of another here.
    if (
      encrypted.providerId !== this.#namespace ||
      encrypted.providerInfo.length !== nonceStart + nonceBytes ||
      !this.#name.equals(encrypted.providerInfo.subarray(0, this.#name.length))
    ) {
      return undefined;
    }
    const { providerInfo, ciphertext } = encrypted;
    if (
      !lengths.equals(providerInfo.subarray(this.#name.length, nonceStart)) ||
      ciphertext.length !== dataKeyBytes + tagBytes
    ) {
      throw new CryptoError('crypto.ciphertext_invalid');
    }
    const dataKey = decrypt(
      this.#key,
      providerInfo.subarray(nonceStart),
      encodeMessageContext(context),
      ciphertext.subarray(0, dataKeyBytes),
      ciphertext.subarray(dataKeyBytes),
    );
    if (dataKey === undefined) throw new CryptoError('crypto.ciphertext_invalid');
    return dataKey;
  }

  /** A fault while wrapping is found now, and not when the data is needed. */
  async #requireOpens(
    encrypted: EncryptedDataKey,
    dataKey: Uint8Array,
    context: EncryptionContext,
  ): Promise<void> {
    const opened = await this.unwrap(encrypted, context);
    const same = opened !== undefined && equalSecrets(opened, dataKey);
    opened?.fill(0);
    if (!same) throw new CryptoError('crypto.ciphertext_invalid');
  }
}
