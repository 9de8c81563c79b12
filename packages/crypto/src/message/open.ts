import { timingSafeEqual } from 'node:crypto';
import type { EncryptionContext } from '../context.ts';
import { CryptoError } from '../errors.ts';
import { aes256Gcm } from '../registry.ts';
import {
  deriveMessageKeys,
  FrameCipher,
  maximumFrameBytes,
  parseFrameHead,
  verifyHeaderTag,
  type DataKey,
  type FrameHead,
} from './frame.ts';
import { parseHeader, type MessageHeader, type ParsedHeader } from './header.ts';
import { ByteReader, collect, type ByteSource } from './reader.ts';

/** Enough for most headers; a longer one is parsed again when more of it is there. */
const usualHeaderBytes = 2048;

export type OpenOptions = Readonly<{
  /**
   * Finds the data key by the header, of which nothing is authenticated yet: 32 bytes, which stay with
   * whoever returned them; or `undefined` where no encrypted data key is for us.
   */
  dataKeyFor: (header: MessageHeader) => Promise<DataKey | undefined> | DataKey | undefined;
  /** the longest frame to hold in memory; default 1,048,576 */
  maxFrameBytes?: number | undefined;
  /** pairs that the message must carry; checked before a data key is asked for */
  requiredContext?: EncryptionContext | undefined;
}>;

/**
 * Opens a sealed message (docs/formats/sealed-message.md). Only authenticated bytes are released, frame by
 * frame; the last of them once the source has ended. Until the generator has ended without an error the
 * caller has a part of the message only, and discards it if there is one. The source is closed whatever
 * happens; its errors pass through.
 *
 * @param source the message in chunks of any size, none of which is kept after the next is asked for
 * @returns the plaintext in chunks that the caller owns, and zeroes when they are secret
 * @throws CryptoError `crypto.ciphertext_invalid` (wrong data key, or altered), `crypto.message_truncated`,
 *   `crypto.message_trailing_data`, `crypto.message_frame_misplaced`, `crypto.message_malformed`,
 *   `crypto.frame_too_long`, `crypto.context_mismatch`, `crypto.data_key_missing`, `crypto.key_unsuitable`,
 *   and those of `parseMessageHeader`
 */
export async function* openMessage(
  source: ByteSource,
  o: OpenOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const input = new ByteReader(source);
  try {
    const parsed = await readHeader(input);
    requireFrameBound(parsed.header, o.maxFrameBytes ?? maximumFrameBytes);
    requireContext(parsed.header, o.requiredContext ?? {});
    const cipher = authenticateHeader(parsed, await o.dataKeyFor(parsed.header));
    yield* openFrames(input, cipher, parsed.header.frameBytes);
  } finally {
    await input.close();
  }
}

/**
 * Opens one whole message; nothing is released unless all of it is authentic. Options, errors and ownership
 * as `openMessage`.
 */
export async function openBytes(message: Uint8Array, o: OpenOptions): Promise<Buffer> {
  return collect(openMessage([message], o));
}

async function readHeader(input: ByteReader): Promise<ParsedHeader> {
  for (let length = usualHeaderBytes; ;) {
    const bytes = await input.peek(length);
    const parsed = parseHeader(bytes);
    if (typeof parsed !== 'number') {
      input.consume(parsed.header.headerBytes);
      return parsed;
    }
    if (bytes.length < length) throw new CryptoError('crypto.message_truncated');
    length = Math.max(parsed, 2 * length);
  }
}

function requireFrameBound(header: MessageHeader, maxFrameBytes: number): void {
  if (header.frameBytes > maxFrameBytes) {
    throw new CryptoError('crypto.frame_too_long', `${header.frameBytes} bytes; ${maxFrameBytes} allowed`);
  }
}

function requireContext(header: MessageHeader, required: EncryptionContext): void {
  for (const [name, value] of Object.entries(required)) {
    if (header.context[name] !== value) throw new CryptoError('crypto.context_mismatch', name);
  }
}

function authenticateHeader({ header, body, tag }: ParsedHeader, dataKey: DataKey | undefined): FrameCipher {
  if (dataKey === undefined) throw new CryptoError('crypto.data_key_missing');
  const { key, commitment } = deriveMessageKeys(dataKey, header.messageId);
  const authentic = timingSafeEqual(commitment, header.commitment) && verifyHeaderTag(key, body, tag);
  if (!authentic) throw new CryptoError('crypto.ciphertext_invalid');
  return new FrameCipher(key, header.messageId);
}

async function* openFrames(
  input: ByteReader,
  cipher: FrameCipher,
  frameBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  for (let sequence = 1, final = false; !final; sequence += 1) {
    const head = await readFrameHead(input, sequence, frameBytes);
    const tagOffset = head.headBytes + head.contentBytes;
    const frame = await peekWhole(input, tagOffset + aes256Gcm.tagBytes);
    const plaintext = cipher.open(head, frame.subarray(head.headBytes, tagOffset), frame.subarray(tagOffset));
    if (plaintext === undefined) throw new CryptoError('crypto.ciphertext_invalid', `frame ${sequence}`);
    input.consume(frame.length);
    final = head.final;
    if (final && (await input.peek(1)).length > 0) {
      plaintext.fill(0);
      throw new CryptoError('crypto.message_trailing_data');
    }
    if (plaintext.length > 0) yield plaintext;
  }
}

async function readFrameHead(input: ByteReader, sequence: number, frameBytes: number): Promise<FrameHead> {
  const parsed = parseFrameHead(await peekWhole(input, 4), sequence, frameBytes);
  if (typeof parsed !== 'number') return parsed;
  const whole = parseFrameHead(await peekWhole(input, parsed), sequence, frameBytes);
  if (typeof whole === 'number') throw new CryptoError('crypto.message_truncated');
  return whole;
}

async function peekWhole(input: ByteReader, length: number): Promise<Buffer> {
  const bytes = await input.peek(length);
  if (bytes.length < length) throw new CryptoError('crypto.message_truncated');
  return bytes;
}
