import type { CipherSuite } from 'hpke';
import { createHash } from 'node:crypto';
import { requireBytes } from '../checks.ts';
import { encodeMessageContext, type EncryptionContext } from '../context.ts';
import { dataKeyBytes } from '../data-key.ts';
import { CryptoError } from '../errors.ts';
import type { EncryptedDataKey } from '../message/header.ts';
import { aes256Gcm, hpkeSuites, type HpkeSuite } from '../registry.ts';
import { equalSecrets } from '../secrets.ts';
import { ed25519PublicKeyBytes } from '../signature.ts';
import { requireDataKey, type Identity, type Recipient } from './recipient.ts';

/** Public keys to which data keys are sealed with HPKE (docs/formats/hpke-recipient.md). */

/** What the public key belongs to. */
export type HpkeParts = {
  readonly suite: HpkeSuite;
  /** of an escrow key: Ed25519, 32 bytes */
  readonly verificationKey?: Uint8Array | undefined;
};

export interface HpkeRecipient extends Recipient {
  readonly kind: 'hybrid';
  /** 32 bytes; to be compared with the owner's, by another way than the key came */
  readonly id: Uint8Array;
}

export interface HpkeIdentity extends Identity {
  /** 32 bytes */
  readonly id: Uint8Array;
}

/** Bytes of a private key, in every suite: the seed of its KEM. */
export const hpkePrivateKeyBytes = 32;

const version = 1;
const versionBytes = 1;
const sealedDataKeyBytes = dataKeyBytes + aes256Gcm.tagBytes;
const idLabel = Buffer.from('trialkeep/hpke-recipient-id/v1\0');
const infoLabel = Buffer.from('trialkeep/hpke-recipient/v1\0');
const providerPrefix = 'trialkeep-hpke-';
const x25519PublicKeyBytes = 32;
/** RFC 7748 section 4.1. */
const x25519Prime = 2n ** 255n - 19n;

/**
 * A fresh key pair.
 *
 * @returns the private key, 32 bytes, owned by the caller, who zeroes it; the public key, as long as the suite's
 * @throws CryptoError `crypto.algorithm_unknown`
 */
export async function generateHpkeKey(
  suite: HpkeSuite,
): Promise<{ privateKey: Uint8Array; publicKey: Uint8Array }> {
  const cipherSuite = await cipherSuiteOf(suite);
  const pair = await cipherSuite.GenerateKeyPair(true);
  return {
    privateKey: await cipherSuite.SerializePrivateKey(pair.privateKey),
    publicKey: await cipherSuite.SerializePublicKey(pair.publicKey),
  };
}

/**
 * Somebody whose public key is known. The key is checked now, so that one that cannot be opened with is found before
 * anything is sealed to it.
 *
 * @throws CryptoError `crypto.public_key_invalid`, `crypto.algorithm_unknown`, `crypto.argument_invalid`
 */
export async function hpkeRecipient(
  o: HpkeParts & { readonly publicKey: Uint8Array },
): Promise<HpkeRecipient> {
  const cipherSuite = await cipherSuiteOf(o.suite);
  const encoded = Uint8Array.from(o.publicKey);
  const id = recipientId({ ...o, publicKey: encoded });
  const key = await readPublicKey(cipherSuite, o.suite, encoded);
  const info = infoOf(o.suite, id);
  return Object.freeze({
    kind: 'hybrid',
    id,
    async wrap(dataKey: Uint8Array, context: EncryptionContext): Promise<EncryptedDataKey> {
      requireDataKey(dataKey);
      const aad = encodeMessageContext(context);
      // A copy, since the key is read only after the encapsulation, by when the caller may have zeroed it.
      const plaintext = Uint8Array.from(dataKey);
      try {
        const { encapsulatedSecret, ciphertext } = await cipherSuite.Seal(key, plaintext, { info, aad });
        return Object.freeze({
          providerId: providerPrefix + o.suite,
          providerInfo: Uint8Array.from(id),
          ciphertext: Buffer.concat([Buffer.of(version), encapsulatedSecret, ciphertext]),
        });
      } finally {
        plaintext.fill(0);
      }
    },
  });
}

/**
 * Somebody who has the private key.
 *
 * @param o.privateKey 32 bytes; stays the caller's. The library keeps a copy of its own, which nothing zeroes.
 * @returns an identity whose `unwrap` throws `crypto.version_unknown` too
 * @throws CryptoError as `hpkeRecipient`; `crypto.key_unsuitable` where the private key is another public key's
 */
export async function hpkeIdentity(
  o: HpkeParts & { readonly publicKey: Uint8Array; readonly privateKey: Uint8Array },
): Promise<HpkeIdentity> {
  const { OpenError, DecapError } = await import('hpke');
  const cipherSuite = await cipherSuiteOf(o.suite);
  const publicKey = Uint8Array.from(o.publicKey);
  const id = recipientId({ ...o, publicKey });
  const privateKey = await readPrivateKey(cipherSuite, o.privateKey);
  await requirePair(cipherSuite, privateKey, await readPublicKey(cipherSuite, o.suite, publicKey));
  const info = infoOf(o.suite, id);
  const secretEnd = versionBytes + hpkeSuites[o.suite].encapsulatedBytes;
  return Object.freeze({
    kind: 'hybrid' as const,
    id,
    async unwrap(encrypted: EncryptedDataKey, context: EncryptionContext): Promise<Buffer | undefined> {
      const { providerId, providerInfo, ciphertext } = encrypted;
      if (providerId !== providerPrefix + o.suite || !id.equals(providerInfo)) return undefined;
      if (ciphertext[0] !== version) {
        throw new CryptoError('crypto.version_unknown', `HPKE recipient ${ciphertext[0]}`);
      }
      if (ciphertext.length !== secretEnd + sealedDataKeyBytes) {
        throw new CryptoError('crypto.ciphertext_invalid');
      }
      const aad = encodeMessageContext(context);
      try {
        const [enc, ct] = [ciphertext.slice(versionBytes, secretEnd), ciphertext.slice(secretEnd)];
        const dataKey = await cipherSuite.Open(privateKey, enc, ct, { info, aad });
        return Buffer.from(dataKey.buffer, dataKey.byteOffset, dataKey.byteLength);
      } catch (error) {
        if (error instanceof OpenError || error instanceof DecapError) {
          throw new CryptoError('crypto.ciphertext_invalid');
        }
        throw error;
      }
    },
  });
}

/**
 * The id of a recipient: SHA-256 over its suite and all of its public keys.
 *
 * @returns 32 bytes
 * @throws CryptoError `crypto.public_key_invalid` for another length, `crypto.argument_invalid`
 */
export function recipientId({
  suite,
  publicKey,
  verificationKey,
}: HpkeParts & { publicKey: Uint8Array }): Buffer {
  if (publicKey.length !== hpkeSuites[suite].publicKeyBytes) {
    throw new CryptoError('crypto.public_key_invalid', `${publicKey.length} bytes`);
  }
  if (verificationKey !== undefined) requireBytes(verificationKey, ed25519PublicKeyBytes, 'verificationKey');
  const hash = createHash('sha256').update(idLabel).update(suiteNumbers(suite));
  for (const key of [publicKey, verificationKey ?? Buffer.alloc(0)]) {
    hash.update(uint16(key.length)).update(key);
  }
  return hash.digest();
}

function infoOf(suite: HpkeSuite, id: Uint8Array): Buffer {
  return Buffer.concat([infoLabel, suiteNumbers(suite), id]);
}

function suiteNumbers(suite: HpkeSuite): Buffer {
  const { kem, kdf, aead } = hpkeSuites[suite];
  return Buffer.concat([kem, kdf, aead].map(uint16));
}

/** Loads the library when it is first needed: most programs never are. */
async function cipherSuiteOf(suite: HpkeSuite): Promise<CipherSuite> {
  if (!Object.hasOwn(hpkeSuites, suite)) throw new CryptoError('crypto.algorithm_unknown', 'suite');
  const hpke = await import('hpke');
  const kems = { 'mlkem768-x25519': hpke.KEM_MLKEM768_X25519, 'mlkem768-p256': hpke.KEM_MLKEM768_P256 };
  return new hpke.CipherSuite(kems[suite], hpke.KDF_HKDF_SHA256, hpke.AEAD_AES_256_GCM);
}

type HpkeKey = Awaited<ReturnType<CipherSuite['DeserializePublicKey']>>;

/**
 * Attacker-controlled where the key came over a network. The library and OpenSSL below it check ML-KEM's coefficients
 * (FIPS 203 section 7.2) and that the P-256 point is on its curve.
 */
async function readPublicKey(
  cipherSuite: CipherSuite,
  suite: HpkeSuite,
  encoded: Uint8Array,
): Promise<HpkeKey> {
  const { DeserializeError, EncapError } = await import('hpke');
  try {
    const key = await cipherSuite.DeserializePublicKey(encoded);
    // Another encoding of the same point would be hashed otherwise than by its owner.
    const same = Buffer.compare(await cipherSuite.SerializePublicKey(key), encoded) === 0;
    if (!same || (suite === 'mlkem768-x25519' && !isCanonicalX25519(encoded))) {
      throw new CryptoError('crypto.public_key_invalid', 'not canonical');
    }
    // Tried once, since the library notices an X25519 key of low order only now.
    await cipherSuite.SendExport(key, new Uint8Array(), 1);
    return key;
  } catch (error) {
    if (error instanceof DeserializeError || error instanceof EncapError) {
      throw new CryptoError('crypto.public_key_invalid');
    }
    throw error;
  }
}

/** The X25519 key at the end of a hybrid one is little-endian (RFC 7748 section 5). */
function isCanonicalX25519(publicKey: Uint8Array): boolean {
  const littleEndian = Buffer.from(publicKey.subarray(-x25519PublicKeyBytes));
  return BigInt(`0x${littleEndian.reverse().toString('hex')}`) < x25519Prime;
}

async function readPrivateKey(cipherSuite: CipherSuite, encoded: Uint8Array): Promise<HpkeKey> {
  requireBytes(encoded, hpkePrivateKeyBytes, 'privateKey');
  return cipherSuite.DeserializePrivateKey(encoded);
}

/** The library does not tell the public key of a private one; that the one opens what the other seals, it does. */
async function requirePair(cipherSuite: CipherSuite, privateKey: HpkeKey, publicKey: HpkeKey): Promise<void> {
  const context = new Uint8Array();
  const sent = await cipherSuite.SendExport(publicKey, context, aes256Gcm.keyBytes);
  const received = await cipherSuite.ReceiveExport(
    privateKey,
    sent.encapsulatedSecret,
    context,
    aes256Gcm.keyBytes,
  );
  if (!equalSecrets(sent.exportedSecret, received)) {
    throw new CryptoError('crypto.key_unsuitable', 'the private key is not that of the public key');
  }
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
