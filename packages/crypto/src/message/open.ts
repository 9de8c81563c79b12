import { CryptoError } from '../errors.ts';
import { aes256Gcm } from '../registry.ts';
import { openHeader, openWholeHeader, type AuthenticHeader, type HeaderOptions } from './authentic-header.ts';
import { parseFrameHead, type FrameHead } from './frame.ts';
import type { ParsedHeader } from './header.ts';
import { ByteReader, joined, type ByteSource } from './reader.ts';
import { footerHeadBytes, MessageVerification, parseFooterHead } from './signature.ts';

/** Frames that are opened before others get their turn: some ten milliseconds. */
const framesPerTurn = 256;

export type OpenOptions = HeaderOptions &
  Readonly<{
    /**
     * Opens signed messages too, which are refused otherwise. Gives up that whatever is released was signed:
     * frame by frame it is only what some holder of the data key made. The signature is verified at the end,
     * before the last frame is released; whoever uses plaintext earlier must be able to undo that.
     */
    releaseBeforeSignature?: boolean | undefined;
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
 *   `crypto.signature_unchecked`, `crypto.signature_invalid`, and those of `parseMessageHeader`
 */
export async function* openMessage(
  source: ByteSource,
  o: OpenOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const input = new ByteReader(source);
  try {
    const opened = await openHeader(input, o, o.releaseBeforeSignature === true);
    yield* openFrames(input, opened, startVerification(opened));
  } finally {
    await input.close();
  }
}

/**
 * Opens one whole message; nothing is released unless all of it is authentic, and signed where its suite says
 * so. Errors and ownership as `openMessage`.
 */
export async function openBytes(message: Uint8Array, o: HeaderOptions): Promise<Buffer> {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
  const opened = await openWholeHeader(bytes, o);
  const verification = startVerification(opened);
  const parts: Buffer[] = [];
  try {
    const end = await openFramesInto(parts, bytes, opened, verification);
    requireWholeEnd(bytes.subarray(end), verification);
  } catch (error) {
    for (const part of parts) part.fill(0);
    throw error;
  }
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const whole = joined(parts);
  for (const part of parts) part.fill(0);
  return whole;
}

function otherTurns(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Opens the frames of a message that is there whole. Gives where they end; what they held is added to `parts`. */
async function openFramesInto(
  parts: Buffer[],
  message: Buffer,
  { cipher, header }: AuthenticHeader,
  verification: MessageVerification | undefined,
): Promise<number> {
  let position = header.headerBytes;
  for (let sequence = 1, final = false; !final; sequence += 1) {
    const rest = message.subarray(position);
    const head = parseFrameHead(rest, sequence, header.frameBytes);
    if (typeof head === 'number') throw new CryptoError('crypto.message_truncated');
    const tagOffset = head.headBytes + head.contentBytes;
    const frame = rest.subarray(0, tagOffset + aes256Gcm.tagBytes);
    if (frame.length < tagOffset + aes256Gcm.tagBytes) throw new CryptoError('crypto.message_truncated');
    const plaintext = cipher.open(head, frame.subarray(head.headBytes, tagOffset), frame.subarray(tagOffset));
    if (plaintext === undefined) throw new CryptoError('crypto.ciphertext_invalid', `frame ${sequence}`);
    parts.push(plaintext);
    // How short the frames are is the sealer's choice, and must not hold up everybody else.
    if (sequence % framesPerTurn === 0) await otherTurns();
    verification?.update(frame);
    position += frame.length;
    final = head.final;
  }
  return position;
}

/** What follows the final frame: the footer of a signed message, and nothing else. */
function requireWholeEnd(end: Buffer, verification: MessageVerification | undefined): void {
  let footer = 0;
  if (verification !== undefined) {
    if (end.length < footerHeadBytes) throw new CryptoError('crypto.message_truncated');
    footer = footerHeadBytes + parseFooterHead(end);
    if (end.length < footer) throw new CryptoError('crypto.message_truncated');
  }
  if (end.length > footer) throw new CryptoError('crypto.message_trailing_data');
  if (verification?.holds(end.subarray(footerHeadBytes)) === false) {
    throw new CryptoError('crypto.signature_invalid');
  }
}

function startVerification({ body, tag, verificationKey }: ParsedHeader): MessageVerification | undefined {
  if (verificationKey === undefined) return undefined;
  const verification = new MessageVerification(verificationKey);
  verification.update(body);
  verification.update(tag);
  return verification;
}

async function* openFrames(
  input: ByteReader,
  { cipher, header }: AuthenticHeader,
  verification: MessageVerification | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  for (let sequence = 1, final = false; !final; sequence += 1) {
    const head = await readFrameHead(input, sequence, header.frameBytes);
    const tagOffset = head.headBytes + head.contentBytes;
    const frame = await peekWhole(input, tagOffset + aes256Gcm.tagBytes);
    const plaintext = cipher.open(head, frame.subarray(head.headBytes, tagOffset), frame.subarray(tagOffset));
    if (plaintext === undefined) throw new CryptoError('crypto.ciphertext_invalid', `frame ${sequence}`);
    verification?.update(frame);
    input.consume(frame.length);
    final = head.final;
    if (final) {
      try {
        await readEnd(input, verification);
      } catch (error) {
        plaintext.fill(0);
        throw error;
      }
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

/** What follows the final frame: the footer of a signed message, and nothing else. */
async function readEnd(input: ByteReader, verification: MessageVerification | undefined): Promise<void> {
  if (verification === undefined) return requireNoMore(input);
  const signature = await readSignature(input);
  await requireNoMore(input);
  if (!verification.holds(signature)) throw new CryptoError('crypto.signature_invalid');
}

async function requireNoMore(input: ByteReader): Promise<void> {
  if ((await input.peek(1)).length > 0) throw new CryptoError('crypto.message_trailing_data');
}

async function readSignature(input: ByteReader): Promise<Buffer> {
  const length = parseFooterHead(await peekWhole(input, footerHeadBytes));
  const footer = await peekWhole(input, footerHeadBytes + length);
  const signature = Buffer.from(footer.subarray(footerHeadBytes));
  input.consume(footer.length);
  return signature;
}

async function peekWhole(input: ByteReader, length: number): Promise<Buffer> {
  const bytes = await input.peek(length);
  if (bytes.length < length) throw new CryptoError('crypto.message_truncated');
  return bytes;
}
