import { createSecretKey, type KeyObject } from 'node:crypto';
import { CryptoError } from '../errors.ts';
import { decrypt, encrypt, hkdf, zeroNonce } from '../primitives.ts';
import { aes256Gcm, type MessageSuite } from '../registry.ts';

/**
 * Keys and frames of a sealed message: "Framed Data" and "Message Body AAD" of the AWS Encryption SDK
 * specification, and the key derivation of its committing suites.
 */

/**
 * Plaintext bytes of a frame where the caller names no other number (docs/formats/sealed-message.md says
 * why).
 */
export const defaultFrameBytes = 256 * 1024;

/** The longest frame that is sealed, and that is opened without saying so, in bytes. */
export const maximumFrameBytes = 1024 * 1024;

/** Frames of one message. The number 2³² − 1 announces the final frame, so regular frames end before it. */
const maximumFrames = 0xffff_ffff;
const finalMarker = 0xffff_ffff;

/** Bytes of the value that ties a message to its data key. */
export const commitmentBytes = 32;

const regularHeadBytes = 4 + aes256Gcm.nonceBytes;
const finalHeadBytes = 4 + 4 + aes256Gcm.nonceBytes + 4;

/** Bytes of a frame beside its content. */
export const frameOverheadBytes = {
  regular: regularHeadBytes + aes256Gcm.tagBytes,
  final: finalHeadBytes + aes256Gcm.tagBytes,
};

const regularContent = Buffer.from('AWSKMSEncryptionClient Frame');
const finalContent = Buffer.from('AWSKMSEncryptionClient Final Frame');
const deriveKeyInfo: Readonly<Record<MessageSuite, Buffer>> = {
  0x0478: Buffer.from('\x04\x78DERIVEKEY', 'latin1'),
  0x0578: Buffer.from('\x05\x78DERIVEKEY', 'latin1'),
};
const commitKeyInfo = Buffer.from('COMMITKEY');

/** The data key of a message: 32 bytes, or the same as a KeyObject. */
export type DataKey = KeyObject | Uint8Array;

/**
 * Derives what a message is encrypted with, and what commits it to its data key (HKDF-SHA-512, RFC 5869,
 * salted with the message id). The data key stays the caller's and is not needed afterwards.
 */
export function deriveMessageKeys(
  dataKey: DataKey,
  messageId: Uint8Array,
  suite: MessageSuite,
): { key: KeyObject; commitment: Buffer } {
  const input = dataKey instanceof Uint8Array ? createSecretKey(dataKey) : dataKey;
  if (input.type !== 'secret' || input.symmetricKeySize !== 32) {
    throw new CryptoError('crypto.key_unsuitable', 'a data key of 32 bytes is needed');
  }
  const derived = hkdf(input, messageId, deriveKeyInfo[suite], aes256Gcm.keyBytes);
  const key = createSecretKey(derived);
  derived.fill(0);
  return { key, commitment: hkdf(input, messageId, commitKeyInfo, commitmentBytes) };
}

/**
 * The tag over a header body: AES-256-GCM of nothing under the message's key, with the header as AAD and a
 * zero nonce.
 */
export function headerTag(key: KeyObject, body: Uint8Array): Buffer {
  return encrypt(key, zeroNonce, body, new Uint8Array()).tag;
}

/** Whether the tag of a header holds. */
export function verifyHeaderTag(key: KeyObject, body: Uint8Array, tag: Uint8Array): boolean {
  return decrypt(key, zeroNonce, body, new Uint8Array(), tag) !== undefined;
}

/** What a frame is, beside its content. */
export type FrameShape = Readonly<{
  /** 1 for the first frame of a message, and one more for each that follows */
  sequence: number;
  final: boolean;
}>;

/** Encrypts and decrypts the frames of one message. */
export class FrameCipher {
  readonly #key: KeyObject;
  readonly #nonce = Buffer.alloc(aes256Gcm.nonceBytes);
  readonly #messageId: Uint8Array;
  #regularAad: Buffer | undefined;

  constructor(key: KeyObject, messageId: Uint8Array) {
    this.#key = key;
    this.#messageId = messageId;
  }

  /**
   * @param plaintext stays the caller's
   * @throws CryptoError `crypto.message_too_long` where no such frame exists
   */
  seal(shape: FrameShape, plaintext: Uint8Array): { head: Buffer; ciphertext: Buffer; tag: Buffer } {
    if (shape.sequence > (shape.final ? maximumFrames : maximumFrames - 1)) {
      throw new CryptoError('crypto.message_too_long');
    }
    const nonce = this.#nonceOf(shape);
    const head = Buffer.alloc(shape.final ? finalHeadBytes : regularHeadBytes);
    let position = shape.final ? head.writeUInt32BE(finalMarker, 0) : 0;
    position = head.writeUInt32BE(shape.sequence, position);
    position += nonce.copy(head, position);
    if (shape.final) head.writeUInt32BE(plaintext.length, position);
    return { head, ...encrypt(this.#key, nonce, this.#aadOf(shape, plaintext.length), plaintext) };
  }

  /** The plaintext, owned by the caller; or `undefined` where the frame is not authentic at this place. */
  open(shape: FrameShape, ciphertext: Uint8Array, tag: Uint8Array): Buffer | undefined {
    return decrypt(this.#key, this.#nonceOf(shape), this.#aadOf(shape, ciphertext.length), ciphertext, tag);
  }

  /** The nonce counts the frames, so that none repeats under the message's key; zero is the header's. */
  #nonceOf({ sequence }: FrameShape): Buffer {
    this.#nonce.writeUInt32BE(sequence, aes256Gcm.nonceBytes - 4);
    return this.#nonce;
  }

  #aadOf({ sequence, final }: FrameShape, contentBytes: number): Buffer {
    const aad = final
      ? aadOf(this.#messageId, finalContent)
      : (this.#regularAad ??= aadOf(this.#messageId, regularContent));
    aad.writeUInt32BE(sequence, aad.length - 12);
    aad.writeUInt32BE(contentBytes, aad.length - 4);
    return aad;
  }
}

/** Additional authenticated data with room for number and length of a frame. */
function aadOf(messageId: Uint8Array, content: Uint8Array): Buffer {
  return Buffer.concat([messageId, content, Buffer.alloc(4 + 8)]);
}

/** The bytes of a frame's head that say what follows. */
export type FrameHead = FrameShape & Readonly<{ headBytes: number; contentBytes: number }>;

/** Whether these bytes begin as a final frame does. */
export function announcesFinalFrame(bytes: Buffer): boolean {
  return bytes.length >= 4 && bytes.readUInt32BE(0) === finalMarker;
}

/**
 * Parses the head of the frame that has to come next. Attacker-controlled: its number and nonce must be the
 * expected ones, and a final frame no longer than the others.
 *
 * @param bytes the start of the frame, of any length
 * @returns the head, or the number of bytes that are needed to parse it
 * @throws CryptoError `crypto.message_frame_misplaced`, `crypto.message_malformed`
 */
export function parseFrameHead(bytes: Buffer, sequence: number, frameBytes: number): FrameHead | number {
  const final = announcesFinalFrame(bytes);
  const headBytes = final ? finalHeadBytes : regularHeadBytes;
  if (bytes.length < headBytes) return headBytes;
  const sequenceOffset = final ? 4 : 0;
  const nonceOffset = sequenceOffset + 4;
  if (bytes.readUInt32BE(sequenceOffset) !== sequence) {
    throw new CryptoError('crypto.message_frame_misplaced', `frame ${sequence} was expected`);
  }
  const nonceHolds =
    bytes.readUIntBE(nonceOffset, 6) === 0 && bytes.readUIntBE(nonceOffset + 6, 6) === sequence;
  if (!nonceHolds) throw new CryptoError('crypto.message_malformed', `nonce of frame ${sequence}`);
  const contentBytes = final ? bytes.readUInt32BE(headBytes - 4) : frameBytes;
  if (contentBytes > frameBytes) throw new CryptoError('crypto.message_malformed', 'final frame too long');
  return { sequence, final, headBytes, contentBytes };
}
