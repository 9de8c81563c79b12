import { timingSafeEqual } from 'node:crypto';
import type { EncryptionContext } from '../context.ts';
import { CryptoError } from '../errors.ts';
import { deriveMessageKeys, FrameCipher, maximumFrameBytes, verifyHeaderTag, type DataKey } from './frame.ts';
import { parseHeader, type MessageHeader, type ParsedHeader } from './header.ts';
import type { ByteReader } from './reader.ts';

/** Enough for most headers; a longer one is parsed again when more of it is there. */
export const usualHeaderBytes = 2048;

/** What every way of opening a message needs. */
export type HeaderOptions = Readonly<{
  /**
   * Finds the data key by the header, of which nothing is authenticated yet: 32 bytes, which stay with
   * whoever returned them; or `undefined` where no encrypted data key is for us. Asked once.
   */
  dataKeyFor: (header: MessageHeader) => Promise<DataKey | undefined> | DataKey | undefined;
  /** the longest frame to hold in memory; default 1,048,576 */
  maxFrameBytes?: number | undefined;
  /** pairs that the message must carry; checked before a data key is asked for */
  requiredContext?: EncryptionContext | undefined;
  /** refuses a message that is not signed (suite 0x0578), before a data key is asked for */
  requireSignature?: boolean | undefined;
}>;

/** A header that is authentic, with what opens the frames after it. */
export type AuthenticHeader = ParsedHeader & Readonly<{ cipher: FrameCipher }>;

/**
 * Reads and authenticates the header at the start of a message, and consumes it.
 *
 * @param unchecked whether the caller does without the signature, or holds all plaintext back until it holds
 */
export async function openHeader(
  input: ByteReader,
  o: HeaderOptions,
  unchecked: boolean,
): Promise<AuthenticHeader> {
  return authenticate(await readHeader(input), o, unchecked);
}

/** As `openHeader`, of a message that is there whole. */
export async function openWholeHeader(message: Uint8Array, o: HeaderOptions): Promise<AuthenticHeader> {
  const parsed = parseHeader(message);
  if (typeof parsed === 'number') throw new CryptoError('crypto.message_truncated');
  return authenticate(parsed, o, true);
}

async function authenticate(
  parsed: ParsedHeader,
  o: HeaderOptions,
  unchecked: boolean,
): Promise<AuthenticHeader> {
  requireFrameBound(parsed.header, o.maxFrameBytes ?? maximumFrameBytes);
  requireContext(parsed.header, o.requiredContext ?? {});
  if (parsed.verificationKey === undefined && o.requireSignature === true) {
    throw new CryptoError('crypto.signature_missing');
  }
  if (parsed.verificationKey !== undefined && !unchecked) {
    throw new CryptoError('crypto.signature_unchecked');
  }
  return requireAuthentic(parsed, await o.dataKeyFor(parsed.header));
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
    // Without a value nothing would be required.
    if (typeof value !== 'string') throw new CryptoError('crypto.argument_invalid', `no value for ${name}`);
    if (header.context[name] !== value) throw new CryptoError('crypto.context_mismatch', name);
  }
}

function requireAuthentic(parsed: ParsedHeader, dataKey: DataKey | undefined): AuthenticHeader {
  if (dataKey === undefined) throw new CryptoError('crypto.data_key_missing');
  const { header, body, tag } = parsed;
  const { key, commitment } = deriveMessageKeys(dataKey, header.messageId, header.suite);
  const authentic = timingSafeEqual(commitment, header.commitment) && verifyHeaderTag(key, body, tag);
  if (!authentic) throw new CryptoError('crypto.ciphertext_invalid');
  return { ...parsed, cipher: new FrameCipher(key, header.messageId) };
}
