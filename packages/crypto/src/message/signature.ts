import { createPublicKey, createSign, createVerify, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { EncryptionContext } from '../context.ts';
import { CryptoError } from '../errors.ts';
import { ecdsaP384 } from '../registry.ts';

/**
 * The signature that ends a message under suite 0x0578: "Message Footer" of the AWS Encryption SDK
 * specification, and "ECDSA" of its transitive requirements. Each message has a key pair of its own, whose
 * public key is a pair of the encryption context.
 */

/** The name of that pair. Its value is the compressed point (SEC 1 version 2.0 section 2.3.3) in base64. */
export const verificationKeyName = 'aws-crypto-public-key';

const compressedPointBytes = 1 + ecdsaP384.coordinateBytes;

// SubjectPublicKeyInfo of a compressed point on P-384, up to the point itself (RFC 5480 section 2).
const spkiPrefix = Buffer.concat([
  Buffer.from('30463010', 'hex'),
  Buffer.from('06072a8648ce3d0201', 'hex'), // id-ecPublicKey
  Buffer.from('06052b81040022', 'hex'), // secp384r1
  Buffer.from('033200', 'hex'),
]);

/** Lengths of ECDSA-Sig-Value in DER: a sequence of two positive integers below 2³⁸⁴. */
const signatureBytes = { least: 8, most: 104 };

/** Bytes of the number that precedes the signature. */
export const footerHeadBytes = 2;

/** Lengths of a footer: that number, and the signature. */
export const footerBytes = {
  least: footerHeadBytes + signatureBytes.least,
  most: footerHeadBytes + signatureBytes.most,
};

/** The key pair of one message. The private key stays inside and is forgotten with it. */
export type MessageSigner = Readonly<{
  /** the public key as the message carries it: 68 characters of base64 */
  verificationKey: string;
  /**
   * The context of the message: the caller's, and the pair that holds the public key. It is what a data key is
   * asked for with, because the binding of the data key to this context is what ties the signature to whoever
   * was allowed to seal.
   *
   * @throws CryptoError `crypto.context_invalid` where the caller's context has that name
   */
  contextWith(context: EncryptionContext): EncryptionContext;
}>;

const signingKeys = new WeakMap<MessageSigner, KeyObject>();

/** Makes the key pair of one message (ECDSA over P-384): `sealMessage` takes it, once. */
export function generateMessageSigner(): MessageSigner {
  return messageSignerOf(generateKeyPairSync('ec', { namedCurve: ecdsaP384.curve }).privateKey);
}

/** `generateMessageSigner` with a chosen private key on P-384: only for test vectors. */
export function messageSignerOf(privateKey: KeyObject): MessageSigner {
  const verificationKey = compressedPoint(privateKey).toString('base64');
  const signer = Object.freeze({
    verificationKey,
    contextWith: (context: EncryptionContext) => {
      if (Object.hasOwn(context, verificationKeyName)) {
        throw new CryptoError('crypto.context_invalid', `reserved name ${verificationKeyName}`);
      }
      return { ...context, [verificationKeyName]: verificationKey };
    },
  });
  signingKeys.set(signer, privateKey);
  return signer;
}

/** Computes the footer of one message from its bytes, in their order. */
export class MessageSigning {
  readonly #privateKey: KeyObject;
  readonly #sign = createSign(ecdsaP384.hash);

  /** @throws CryptoError `crypto.argument_invalid` where the signer has signed, or was made elsewhere */
  constructor(signer: MessageSigner) {
    const privateKey = signingKeys.get(signer);
    if (privateKey === undefined) {
      throw new CryptoError('crypto.argument_invalid', 'a signer signs one message, and was used already');
    }
    signingKeys.delete(signer);
    this.#privateKey = privateKey;
  }

  update(bytes: Uint8Array): void {
    this.#sign.update(bytes);
  }

  /** `u16 length ‖ signature`; nothing can be added afterwards. */
  footer(): Buffer {
    const signature = this.#sign.sign(this.#privateKey);
    const head = Buffer.alloc(footerHeadBytes);
    head.writeUInt16BE(signature.length);
    return Buffer.concat([head, signature]);
  }
}

/** Verifies the signature of one message over its bytes, in their order. */
export class MessageVerification {
  readonly #publicKey: KeyObject;
  readonly #verify = createVerify(ecdsaP384.hash);

  constructor(publicKey: KeyObject) {
    this.#publicKey = publicKey;
  }

  update(bytes: Uint8Array): void {
    this.#verify.update(bytes);
  }

  /** Whether `signature` (any bytes) is the one DER encoding of a signature over what was added; the last call. */
  holds(signature: Uint8Array): boolean {
    return this.#verify.verify(this.#publicKey, signature);
  }
}

/**
 * The public key in a context. Attacker-controlled: anything but the one base64 of a compressed point that lies
 * on the curve is refused.
 *
 * @throws CryptoError `crypto.context_invalid`
 */
export function parseVerificationKey(text: string): KeyObject {
  const point = Buffer.from(text, 'base64');
  const isCompressed = point.length === compressedPointBytes && (point[0] === 2 || point[0] === 3);
  if (!isCompressed || point.toString('base64') !== text) throw pointInvalid();
  try {
    return createPublicKey({ key: Buffer.concat([spkiPrefix, point]), format: 'der', type: 'spki' });
  } catch {
    throw pointInvalid();
  }
}

/**
 * The length of the signature that the first two bytes of a footer announce.
 *
 * @throws CryptoError `crypto.message_malformed` where no ECDSA signature over P-384 has that length
 */
export function parseFooterHead(head: Buffer): number {
  const length = head.readUInt16BE(0);
  if (length < signatureBytes.least || length > signatureBytes.most) {
    throw new CryptoError('crypto.message_malformed', `a signature of ${length} bytes`);
  }
  return length;
}

function compressedPoint(privateKey: KeyObject): Buffer {
  const { coordinateBytes } = ecdsaP384;
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const coordinates = spki.subarray(-2 * coordinateBytes);
  const isOdd = coordinates.readUInt8(coordinates.length - 1) & 1;
  return Buffer.concat([Buffer.of(2 + isOdd), coordinates.subarray(0, coordinateBytes)]);
}

function pointInvalid(): CryptoError {
  return new CryptoError('crypto.context_invalid', `${verificationKeyName} is not a compressed P-384 point`);
}
