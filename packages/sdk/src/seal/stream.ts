import { openMessage, sealMessage } from '@trialkeep/crypto';
import type { EncryptionContext, MessageHeader } from '@trialkeep/crypto';
import type { Caller, CallOptions } from '../client/index.ts';
import { generateDataKey, releaseDataKey } from './data-key.ts';
import { meaningOf, openingFailures, sealingFailures } from './failure.ts';

/** Bytes in chunks of any size: a Node stream, a web stream, an async or plain iterable. No chunk is kept after the next is asked for. */
export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

export interface SealStreamOptions extends CallOptions {
  /** The id of the key to seal under. */
  readonly key: string;
  /** Pairs bound to the message, readable by anyone who holds it: aliases only. */
  readonly context?: EncryptionContext;
  /** Plaintext bytes of each frame, 1 to 1,048,576; 262,144 by default. */
  readonly frameBytes?: number;
}

export interface OpenStreamOptions extends CallOptions {
  /** Ids of the keys that may be used; any that the message names and the credential may use where left out. */
  readonly keys?: readonly string[];
  /** Pairs that the message must carry; it is not opened otherwise, and no key is asked for. */
  readonly context?: EncryptionContext;
  /** Why, where the use needs a reason; goes on the record. */
  readonly reason?: string;
}

/**
 * Seals a stream of unknown length under a data key of its own (AWS Encryption SDK message format 2.0). Memory stays at a
 * few frames. `Readable.from` and `ReadableStream.from` make a stream of the result.
 *
 * @returns the sealed message in chunks that the caller owns; unless the generator ends without an error it is not whole
 * @throws SealError `seal.context_invalid`; TrialkeepError of `keys.generate-data-key`; the source's errors
 */
export async function* sealStream(
  client: Caller,
  source: ByteSource,
  options: SealStreamOptions,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* (await startSealing(client, source, options)).chunks;
  } catch (error) {
    throw meaningOf(error, sealingFailures);
  }
}

/**
 * Opens a sealed stream. Only authenticated bytes are released, frame by frame; until the generator has ended without
 * an error the caller has a part of the message only, and discards it if there is one.
 *
 * @returns the plaintext in chunks that the caller owns
 * @throws SealError `seal.not_sealed`, `seal.damaged`, `seal.no_key`, `seal.context_mismatch`; TrialkeepError of
 * `keys.decrypt-data-key`; the source's errors
 */
export async function* openStream(
  client: Caller,
  source: ByteSource,
  options: OpenStreamOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* startOpening(client, source, options).chunks;
  } catch (error) {
    throw meaningOf(error, openingFailures);
  }
}

/** A message being sealed. */
export interface Sealing {
  readonly chunks: AsyncGenerator<Buffer, void, undefined>;
  /** The version of the key that wrapped the data key. */
  readonly version: number;
}

export async function startSealing(
  client: Caller,
  source: ByteSource,
  { key, context = {}, frameBytes, signal }: SealStreamOptions,
): Promise<Sealing> {
  const { dataKey, encrypted, version } = await generateDataKey(client, key, context, callOptions(signal));
  return {
    chunks: sealMessage(source, { dataKey, encryptedDataKeys: [encrypted], context, frameBytes }),
    version,
  };
}

/** A message being opened. What it says of itself is authenticated once the first chunk, or the end, has come. */
export interface Opening {
  readonly chunks: AsyncGenerator<Buffer, void, undefined>;
  readonly opened: { key?: string; context?: EncryptionContext };
}

export function startOpening(client: Caller, source: ByteSource, options: OpenStreamOptions): Opening {
  const { context: requiredContext, ...release } = options;
  const opened: Opening['opened'] = {};
  const dataKeyFor = async (header: MessageHeader) => {
    const released = await releaseDataKey(client, header, release);
    if (released === undefined) return undefined;
    opened.key = released.key;
    opened.context = header.context;
    return released.dataKey;
  };
  return { chunks: openMessage(source, { dataKeyFor, requiredContext }), opened };
}

function callOptions(signal: AbortSignal | undefined): CallOptions {
  return signal === undefined ? {} : { signal };
}
