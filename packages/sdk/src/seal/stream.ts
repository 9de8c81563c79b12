import { generateMessageSigner, openMessage, sealMessage } from '@trialkeep/crypto';
import type { EncryptionContext, MessageHeader } from '@trialkeep/crypto';
import { SealError } from '../errors.ts';
import { meaningOf, openingFailures, sealingFailures } from './failure.ts';
import type { KeySource, OpeningKey, SealingKey } from './keys.ts';

/** Bytes in chunks of any size: a Node stream, a web stream, an async or plain iterable. No chunk is kept after the next is asked for. */
export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

export interface SealOptions {
  /** Pairs bound to the message, readable by anyone who holds it: aliases only. */
  readonly context?: EncryptionContext;
  /** Plaintext bytes of each frame, 1 to 1,048,576; 262,144 by default. */
  readonly frameBytes?: number;
  /** Plaintext bytes in all, where known. A cached data key seals only what is known to stay within its bound. */
  readonly bytes?: number;
  /**
   * Whether to sign the whole message (suite 0x0578), so that nobody who may only open it under the server's key can make another in its
   * place. A recipient with an RSA or an HPKE key does not keep that: to it, anybody who has the public key can send what they like. Costs a
   * data key of its own for each message. A signed message is opened whole: as bytes, or as a file.
   */
  readonly signed?: boolean;
  /** Ends the work early; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface OpenOptions {
  /** Pairs that the message must carry; it is not opened otherwise, and no key is asked for. */
  readonly context?: EncryptionContext;
  /** Whether the message must be signed; it is not opened otherwise, and no key is asked for. */
  readonly signed?: boolean;
  /** Ends the work early; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface OpenStreamOptions extends OpenOptions {
  /**
   * Opens a signed stream too, which is refused otherwise. Gives up that whatever is released was signed: the signature is verified at
   * the end, before the last frame is released. Whoever uses plaintext earlier must be able to undo that.
   */
  readonly releaseBeforeSignature?: boolean;
}

/**
 * Seals a stream of unknown length (AWS Encryption SDK message format 2.0). Memory stays at a few frames. `Readable.from` and
 * `ReadableStream.from` make a stream of the result, `pipeline` takes it as a step.
 *
 * @returns the sealed message in chunks that the caller owns; unless the generator ends without an error it is not whole
 * @throws SealError `seal.context_invalid`, `seal.longer_than_stated`; the errors of `keys`; the source's errors
 */
export async function* sealStream(
  keys: KeySource,
  source: ByteSource,
  options: SealOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* (await startSealing(keys, source, options)).chunks;
  } catch (error) {
    throw meaningOf(error, sealingFailures);
  }
}

/**
 * Opens a sealed stream. Only authenticated bytes are released, frame by frame; until the generator has ended without
 * an error the caller has a part of the message only, and discards it if there is one.
 *
 * @returns the plaintext in chunks that the caller owns
 * @throws SealError `seal.not_sealed`, `seal.damaged`, `seal.no_key`, `seal.context_mismatch`, `seal.signature_unchecked`; the errors of
 * `keys`; the source's errors
 */
export async function* openStream(
  keys: KeySource,
  source: ByteSource,
  options: OpenStreamOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* startOpening(keys, source, options).chunks;
  } catch (error) {
    throw meaningOf(error, openingFailures);
  }
}

/** A message being sealed. */
export interface Sealing {
  readonly chunks: AsyncGenerator<Buffer, void, undefined>;
  readonly wrappedBy: SealingKey['wrappedBy'];
}

export async function startSealing(
  keys: KeySource,
  source: ByteSource,
  { frameBytes, ...options }: SealOptions,
): Promise<Sealing> {
  try {
    const { key, ...message } = await prepareSealing(keys, options);
    const plaintext = options.bytes === undefined ? source : upTo(source, options.bytes);
    const chunks = sealMessage(plaintext, { ...message, frameBytes });
    await key.reportUse?.();
    return { chunks, wrappedBy: key.wrappedBy };
  } catch (error) {
    await letGo(source);
    throw error;
  }
}

/** A source that ends with an error where it is longer than was stated: what may be sealed under a data key rests on that. */
async function* upTo(source: ByteSource, mostBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new SealError('seal.longer_than_stated');
    yield chunk;
  }
}

/** Tells a source of which nothing was read that nothing is wanted, as reading it to its end or to an error would have. */
async function letGo(source: ByteSource): Promise<void> {
  try {
    const iterator =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    await iterator.return?.();
  } catch {
    // What went wrong before is what matters.
  }
}

/** What the format needs to seal a message: a data key bound to the context, to which a signer adds its verification key. */
export async function prepareSealing(
  keys: KeySource,
  { context = {}, signed = false, bytes, signal }: Omit<SealOptions, 'frameBytes'>,
) {
  const signer = signed ? generateMessageSigner() : undefined;
  const whole = signer === undefined ? context : signer.contextWith(context);
  const key = await keys.sealingKey(whole, { bytes, signal });
  const { dataKey, encryptedDataKeys } = key;
  return { key, dataKey, encryptedDataKeys, context: whole, signer };
}

/** A message being opened. What it says of itself is authenticated once the first chunk, or the end, has come. */
export interface Opening {
  readonly chunks: AsyncGenerator<Buffer, void, undefined>;
  readonly opened: Opened;
}

/** By whose key a message was opened, and the context that it carries. */
export interface Opened {
  key?: string;
  context?: EncryptionContext;
}

export function startOpening(
  keys: KeySource,
  source: ByteSource,
  { context: requiredContext, signed: requireSignature, releaseBeforeSignature, signal }: OpenStreamOptions,
): Opening {
  const opened: Opened = {};
  const dataKeyFor = dataKeyFinder(keys, opened, signal);
  const format = { dataKeyFor, requiredContext, requireSignature, releaseBeforeSignature };
  return { chunks: openMessage(source, format), opened };
}

/** What finds the data key of a message by its header, has the use put on the record, and fills in `opened`. */
export function dataKeyFinder(
  keys: KeySource,
  opened: Opened,
  signal: AbortSignal | undefined,
): (header: MessageHeader) => Promise<OpeningKey['dataKey'] | undefined> {
  return async (header) => {
    const key = await keys.openingKey(header, { signal });
    if (key === undefined) return undefined;
    await key.reportUse?.();
    opened.key = key.key;
    opened.context = header.context;
    return key.dataKey;
  };
}
