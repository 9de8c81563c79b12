import { CryptoError } from '../errors.ts';
import { aes256Gcm } from '../registry.ts';
import {
  openHeader,
  usualHeaderBytes,
  type AuthenticHeader,
  type HeaderOptions,
} from './authentic-header.ts';
import { announcesFinalFrame, frameOverheadBytes, parseFrameHead, type FrameHead } from './frame.ts';
import type { MessageHeader } from './header.ts';
import { ByteReader } from './reader.ts';
import { footerBytes, footerHeadBytes, parseFooterHead } from './signature.ts';

/** Bytes that can be read at any place: a file, an object in a store. They must not change while they are read. */
export interface RandomAccessSource {
  /** bytes of the whole message */
  readonly size: number;
  /**
   * Exactly the bytes [position, position + length), which always lie within the size, in memory that the
   * source does not use again. Its errors pass through.
   */
  read(position: number, length: number): Promise<Uint8Array>;
}

export type RangeOptions = HeaderOptions &
  Readonly<{
    /**
     * Opens signed messages too, which are refused otherwise. Gives up the signature: it is over the whole
     * message, of which a range is a part, and is not verified at all.
     */
    ignoreSignature?: boolean | undefined;
    /** the most bytes to ask the source for at once, but always a whole frame; default 4,194,304 */
    maxReadBytes?: number | undefined;
  }>;

const defaultReadBytes = 4 * 1024 * 1024;

/**
 * Opens a sealed message to read ranges of it, without the rest (docs/formats/sealed-message.md, "Ranges"). The
 * header is read and authenticated now; the data key is asked for once, and not again for any range.
 *
 * @throws CryptoError `crypto.argument_invalid`, and those of `openMessage` that concern a header; the source's
 *   errors
 */
export async function openRanges(source: RandomAccessSource, o: RangeOptions): Promise<MessageRanges> {
  const { maxReadBytes = defaultReadBytes } = o;
  if (!Number.isSafeInteger(source.size) || source.size < 0) {
    throw new CryptoError('crypto.argument_invalid', 'size must be a number of bytes');
  }
  if (!Number.isSafeInteger(maxReadBytes) || maxReadBytes < 1) {
    throw new CryptoError('crypto.argument_invalid', 'maxReadBytes must be a number of bytes');
  }
  const input = new ByteReader(headerPieces(source));
  try {
    const opened = await openHeader(input, o, o.ignoreSignature === true);
    return new MessageRanges(source, opened, maxReadBytes);
  } finally {
    await input.close();
  }
}

/** Where a message ends: its final frame. */
type MessageEnd = Readonly<{ sequence: number; contentBytes: number }>;

/** An opened message, of which any range can be read, and several at a time. It holds the message's key. */
export class MessageRanges {
  /** authentic */
  readonly header: MessageHeader;
  readonly #source: RandomAccessSource;
  readonly #opened: AuthenticHeader;
  readonly #size: number;
  /** Bytes of a regular frame. */
  readonly #strideBytes: number;
  readonly #framesAtOnce: number;
  /** Once authentic. */
  #end: MessageEnd | undefined;

  constructor(source: RandomAccessSource, opened: AuthenticHeader, maxReadBytes: number) {
    this.header = opened.header;
    this.#source = source;
    this.#opened = opened;
    this.#size = source.size;
    this.#strideBytes = opened.header.frameBytes + frameOverheadBytes.regular;
    this.#framesAtOnce = Math.max(1, Math.floor(maxReadBytes / this.#strideBytes));
  }

  /**
   * The length of the plaintext: the final frame, found by the size of the message, is authentic and agrees with
   * that size.
   *
   * @throws CryptoError as `read`
   */
  async plaintextBytes(): Promise<number> {
    this.#end ??= await this.#authenticateEnd();
    return (this.#end.sequence - 1) * this.header.frameBytes + this.#end.contentBytes;
  }

  /**
   * The plaintext bytes [start, end), as far as there are any. Only authenticated bytes are released, frame by
   * frame. Where the range reaches the final frame, that is authenticated before anything is released.
   *
   * @param start integer, 0 and up
   * @param end integer, `start` and up; the end of the plaintext where left out
   * @returns chunks that the caller owns, and zeroes when they are secret
   * @throws CryptoError `crypto.argument_invalid`, `crypto.ciphertext_invalid`, `crypto.message_truncated`,
   *   `crypto.message_trailing_data`, `crypto.message_frame_misplaced`, `crypto.message_malformed`; the source's
   *   errors
   */
  async *read(start: number, end?: number): AsyncGenerator<Buffer, void, undefined> {
    const { frameBytes } = this.header;
    let stop = requireRange(start, end);
    if (stop > start && stop > this.#lastFrames().least * frameBytes) {
      stop = Math.min(stop, await this.plaintextBytes());
    }
    if (start >= stop) return;
    const lastSequence = Math.ceil(stop / frameBytes);
    for (let sequence = Math.floor(start / frameBytes) + 1; sequence <= lastSequence;) {
      const past = Math.min(lastSequence + 1, sequence + this.#framesAtOnce);
      const position = this.#positionOf(sequence);
      const bytes = await readExactly(this.#source, position, this.#endOf(past - 1) - position);
      for (; sequence < past; sequence += 1) {
        const frame = bytes.subarray(this.#positionOf(sequence) - position, this.#endOf(sequence) - position);
        const plaintext = this.#open(frame, sequence, sequence === this.#end?.sequence);
        const offset = (sequence - 1) * frameBytes;
        yield cut(plaintext, start - offset, stop - offset);
      }
    }
  }

  /** How many regular frames the size leaves room for before the final one; with a footer that varies. */
  #lastFrames(): { least: number; most: number } {
    const bodyBytes = this.#size - this.header.headerBytes;
    const footer = this.#opened.verificationKey === undefined ? { least: 0, most: 0 } : footerBytes;
    const { final } = frameOverheadBytes;
    const most = Math.floor((bodyBytes - final - footer.least) / this.#strideBytes);
    const least = Math.ceil((bodyBytes - final - footer.most - this.header.frameBytes) / this.#strideBytes);
    return { least: Math.max(0, least), most };
  }

  /**
   * Finds the final frame at one of the few places where it can be, and opens it. Without a signature there is one
   * place, or none.
   */
  async #authenticateEnd(): Promise<MessageEnd> {
    const { least, most } = this.#lastFrames();
    if (least > most) throw new CryptoError('crypto.message_truncated', 'no message has this size');
    const position = this.#positionOf(least + 1);
    const tail = await readExactly(this.#source, position, this.#size - position);
    for (let sequence = least + 1; sequence <= most + 1; sequence += 1) {
      const frame = this.#finalFrame(tail.subarray(this.#positionOf(sequence) - position), sequence);
      if (frame === undefined) continue;
      const plaintext = this.#open(frame, sequence, true);
      plaintext.fill(0);
      return { sequence, contentBytes: plaintext.length };
    }
    throw new CryptoError('crypto.message_truncated');
  }

  /** The final frame that `bytes` consist of, but for the footer of a signed message; or `undefined`. */
  #finalFrame(bytes: Buffer, sequence: number): Buffer | undefined {
    if (!announcesFinalFrame(bytes)) return undefined;
    const { headBytes, contentBytes } = requireHead(bytes, sequence, this.header.frameBytes);
    const frameEnd = headBytes + contentBytes + aes256Gcm.tagBytes;
    const end = frameEnd + this.#footerBytes(bytes.subarray(frameEnd));
    if (bytes.length < end) throw new CryptoError('crypto.message_truncated');
    if (bytes.length > end) throw new CryptoError('crypto.message_trailing_data');
    return bytes.subarray(0, frameEnd);
  }

  /** The length of the footer that `bytes` begin with. */
  #footerBytes(bytes: Buffer): number {
    if (this.#opened.verificationKey === undefined) return 0;
    if (bytes.length < footerHeadBytes) throw new CryptoError('crypto.message_truncated');
    return footerHeadBytes + parseFooterHead(bytes);
  }

  #positionOf(sequence: number): number {
    return this.header.headerBytes + (sequence - 1) * this.#strideBytes;
  }

  #endOf(sequence: number): number {
    if (sequence !== this.#end?.sequence) return this.#positionOf(sequence + 1);
    return this.#positionOf(sequence) + frameOverheadBytes.final + this.#end.contentBytes;
  }

  /** The plaintext of exactly one whole frame. */
  #open(frame: Buffer, sequence: number, final: boolean): Buffer {
    const head = requireHead(frame, sequence, this.header.frameBytes);
    if (head.final !== final) {
      throw new CryptoError(final ? 'crypto.message_truncated' : 'crypto.message_trailing_data');
    }
    const tagOffset = head.headBytes + head.contentBytes;
    const content = frame.subarray(head.headBytes, tagOffset);
    const plaintext = this.#opened.cipher.open(head, content, frame.subarray(tagOffset));
    if (plaintext === undefined) throw new CryptoError('crypto.ciphertext_invalid', `frame ${sequence}`);
    return plaintext;
  }
}

/** The header in as few pieces as most need, and each longer than the one before, because long ones are rare. */
async function* headerPieces(source: RandomAccessSource): AsyncGenerator<Buffer, void, undefined> {
  for (let position = 0, length = usualHeaderBytes; position < source.size; length *= 2) {
    const piece = await readExactly(source, position, Math.min(length, source.size - position));
    yield piece;
    position += piece.length;
  }
}

async function readExactly(source: RandomAccessSource, position: number, length: number): Promise<Buffer> {
  const bytes = await source.read(position, length);
  if (!(bytes instanceof Uint8Array) || bytes.length > length) {
    throw new CryptoError('crypto.argument_invalid', 'the source must read the bytes it was asked for');
  }
  if (bytes.length < length) throw new CryptoError('crypto.message_truncated');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function requireHead(bytes: Buffer, sequence: number, frameBytes: number): FrameHead {
  const head = parseFrameHead(bytes, sequence, frameBytes);
  if (typeof head === 'number') throw new CryptoError('crypto.message_truncated');
  return head;
}

function requireRange(start: number, end: number | undefined): number {
  const valid =
    Number.isSafeInteger(start) &&
    start >= 0 &&
    (end === undefined || (Number.isSafeInteger(end) && end >= start));
  if (!valid) throw new CryptoError('crypto.argument_invalid', 'a range is 0 ≤ start ≤ end, in bytes');
  return end ?? Number.POSITIVE_INFINITY;
}

/** The part of a frame's plaintext that is asked for; the rest of its memory is zeroed. */
function cut(plaintext: Buffer, from: number, to: number): Buffer {
  const start = Math.max(0, from);
  const end = Math.min(plaintext.length, to);
  plaintext.fill(0, 0, start);
  plaintext.fill(0, end);
  return plaintext.subarray(start, end);
}
