import { randomBytes } from 'node:crypto';
import type { EncryptionContext } from '../context.ts';
import { CryptoError } from '../errors.ts';
import { defaultFrameBytes, deriveMessageKeys, FrameCipher, headerTag, type DataKey } from './frame.ts';
import { encodeHeaderBody, messageIdBytes, type EncryptedDataKey } from './header.ts';
import { ByteReader, joined, type ByteSource } from './reader.ts';
import { MessageSigning, verificationKeyName, type MessageSigner } from './signature.ts';

export type SealOptions = Readonly<{
  /** 32 bytes; stays the caller's, who may zero it as soon as the call has returned */
  dataKey: DataKey;
  /** 1 to 16: the data key, as each recipient gets it */
  encryptedDataKeys: readonly EncryptedDataKey[];
  /** readable by anyone who holds the message: aliases only; with a signer, what its `contextWith` returned */
  context: EncryptionContext;
  /** signs the whole message (suite 0x0578); a fresh one for each message. Without it: suite 0x0478 */
  signer?: MessageSigner | undefined;
  /** 1 to 1,048,576; default 262,144 */
  frameBytes?: number | undefined;
}>;

/**
 * Seals a stream of unknown length as a message (docs/formats/sealed-message.md). Memory stays at a few
 * frames. The source is closed whatever happens; its errors pass through, and then the message lacks its
 * final frame.
 *
 * @param source plaintext in chunks of any size, none of which is kept after the next is asked for
 * @returns the message in chunks that the caller owns: the header, then head, ciphertext and tag of each
 *   frame, then the footer if there is a signer. A writer that gathers them (`writev`, as Node's file streams do)
 *   is fastest
 * @throws CryptoError at the call: `crypto.context_invalid`, `crypto.recipients_invalid`,
 *   `crypto.key_unsuitable`, `crypto.argument_invalid`; while reading: `crypto.message_too_long`
 */
export function sealMessage(source: ByteSource, o: SealOptions): AsyncGenerator<Buffer, void, undefined> {
  return sealMessageWithId(source, o, randomBytes(messageIdBytes));
}

/**
 * `sealMessage` with a chosen message id: only for test vectors. An id used twice with one data key breaks
 * both messages.
 */
export function sealMessageWithId(
  source: ByteSource,
  o: SealOptions,
  messageId: Uint8Array,
): AsyncGenerator<Buffer, void, undefined> {
  return sealFrames(source, startMessage(o, messageId));
}

/** A message of which no frame is sealed yet. */
type NewMessage = Readonly<{
  /** The header's body and its tag. */
  header: readonly [Buffer, Buffer];
  cipher: FrameCipher;
  frameBytes: number;
  signing: MessageSigning | undefined;
}>;

function startMessage(o: SealOptions, messageId: Uint8Array): NewMessage {
  const { signer, frameBytes = defaultFrameBytes } = o;
  const suite = signer === undefined ? 0x0478 : 0x0578;
  const { key, commitment } = deriveMessageKeys(o.dataKey, messageId, suite);
  const body = encodeHeaderBody({ ...o, suite, messageId, frameBytes, commitment });
  if (signer !== undefined && o.context[verificationKeyName] !== signer.verificationKey) {
    throw new CryptoError('crypto.context_invalid', `${verificationKeyName} is not that of the signer`);
  }
  return {
    header: [body, headerTag(key, body)],
    cipher: new FrameCipher(key, messageId),
    frameBytes,
    signing: signer && new MessageSigning(signer),
  };
}

async function* sealFrames(
  source: ByteSource,
  { header, cipher, frameBytes, signing }: NewMessage,
): AsyncGenerator<Buffer, void, undefined> {
  const input = new ByteReader(source);
  try {
    const whole = joined(header);
    signing?.update(whole);
    yield whole;
    for (let sequence = 1, final = false; !final; sequence += 1) {
      // One byte more than a frame tells whether another frame follows.
      const ahead = await input.peek(frameBytes + 1);
      final = ahead.length <= frameBytes;
      const plaintext = ahead.subarray(0, frameBytes);
      const { head, ciphertext, tag } = cipher.seal({ sequence, final }, plaintext);
      input.consume(plaintext.length);
      if (signing !== undefined) for (const part of [head, ciphertext, tag]) signing.update(part);
      // OpenSSL writes the ciphertext to memory of its own, which is handed out as it is: copying head,
      // ciphertext and tag into one buffer was measured to cost a third of the speed.
      yield head;
      if (ciphertext.length > 0) yield ciphertext;
      yield tag;
    }
    if (signing !== undefined) yield signing.footer();
  } finally {
    await input.close();
  }
}

/**
 * Seals bytes as one message. The plaintext stays the caller's, who zeroes it. Options and errors as
 * `sealMessage`.
 */
export async function sealBytes(plaintext: Uint8Array, o: SealOptions): Promise<Buffer> {
  return sealBytesWithId(plaintext, o, randomBytes(messageIdBytes));
}

/**
 * `sealBytes` with a chosen message id: only for test vectors. Short messages spend most of their time around the
 * cipher, so that this goes without the generators of `sealMessage`.
 */
export function sealBytesWithId(plaintext: Uint8Array, o: SealOptions, messageId: Uint8Array): Buffer {
  const { header, cipher, frameBytes, signing } = startMessage(o, messageId);
  const parts: Buffer[] = [...header];
  for (let sequence = 1, position = 0, final = false; !final; sequence += 1) {
    const piece = plaintext.subarray(position, position + frameBytes);
    position += piece.length;
    final = position === plaintext.length;
    const { head, ciphertext, tag } = cipher.seal({ sequence, final }, piece);
    parts.push(head, ciphertext, tag);
  }
  if (signing !== undefined) {
    for (const part of parts) signing.update(part);
    parts.push(signing.footer());
  }
  return joined(parts);
}
