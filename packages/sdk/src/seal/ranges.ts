import type { KeyObject } from 'node:crypto';
import { CryptoError, openRanges as openMessageRanges } from '@trialkeep/crypto';
import type { EncryptionContext, MessageHeader, MessageRanges } from '@trialkeep/crypto';
import { meaningOf, openingFailures } from './failure.ts';
import type { KeySource, OpeningKey } from './keys.ts';
import type { RangeSource } from './range-source.ts';
import type { OpenOptions } from './stream.ts';

export interface OpenRangesOptions extends OpenOptions {
  /**
   * Opens a signed message too, which is refused otherwise. Gives up the signature: it is over the whole message, of which a range is a
   * part, and is not verified.
   */
  readonly ignoreSignature?: boolean;
}

/** A sealed message of which any range can be read, several at a time. */
export interface SealedRanges {
  /** The context that the message carries. */
  readonly context: EncryptionContext;
  /** The id of the server's key that released the data key, or the provider id of the recipient that did. */
  readonly key: string;
  /** Bytes of the plaintext. Reads, and authenticates, the message's last frame. @throws as `read` */
  plaintextBytes(): Promise<number>;
  /**
   * The plaintext bytes [start, end), or from `start` on, as far as there are any, authenticated frame by frame. A range proves
   * nothing about the frames that it does not touch.
   *
   * Each read asks the key source again whether the message may be opened, and is a use of its own: a revocation bites as it does
   * everywhere. Read under `cachedKeys`, so that this costs a request once in its bound only.
   *
   * @throws SealError `seal.damaged`; the errors of `keys`; CryptoError `crypto.argument_invalid` unless 0 ≤ start ≤ end; the source's errors
   */
  read(start: number, end?: number): AsyncGenerator<Buffer, void, undefined>;
}

/**
 * Opens a sealed message to read ranges of it without the rest: of a file (`fileRanges`), of an object in S3 (`httpRanges`) or of
 * anything else. The source stays the caller's, who closes it.
 *
 * @throws SealError `seal.not_sealed`, `seal.damaged`, `seal.no_key`, `seal.context_mismatch`, `seal.signature_unchecked`; the errors of
 * `keys` and of the source
 */
export async function openRanges(
  keys: KeySource,
  source: RangeSource,
  { context: requiredContext, signed: requireSignature, ignoreSignature, signal }: OpenRangesOptions = {},
): Promise<SealedRanges> {
  const releaseKey = async (header: MessageHeader): Promise<OpeningKey> => {
    const key = await keys.openingKey(header, { signal });
    if (key === undefined) throw new CryptoError('crypto.data_key_missing');
    return key;
  };
  try {
    let name = '';
    const dataKeyFor = async (header: MessageHeader): Promise<KeyObject> => {
      const { dataKey, key } = await releaseKey(header);
      name = key;
      return dataKey;
    };
    const ranges = await openMessageRanges(source, {
      dataKeyFor,
      requiredContext,
      requireSignature,
      ignoreSignature,
    });
    const beforeRead = async (): Promise<void> => {
      signal?.throwIfAborted();
      await (await releaseKey(ranges.header)).reportUse?.();
    };
    return new OpenedRanges(ranges, name, beforeRead);
  } catch (error) {
    throw meaningOf(error, openingFailures);
  }
}

class OpenedRanges implements SealedRanges {
  readonly context: EncryptionContext;
  readonly key: string;
  readonly #ranges: MessageRanges;
  readonly #beforeRead: () => Promise<void>;

  constructor(ranges: MessageRanges, key: string, beforeRead: () => Promise<void>) {
    this.context = ranges.header.context;
    this.key = key;
    this.#ranges = ranges;
    this.#beforeRead = beforeRead;
  }

  async plaintextBytes(): Promise<number> {
    try {
      return await this.#ranges.plaintextBytes();
    } catch (error) {
      throw meaningOf(error, openingFailures);
    }
  }

  async *read(start: number, end?: number): AsyncGenerator<Buffer, void, undefined> {
    try {
      await this.#beforeRead();
      yield* this.#ranges.read(start, end);
    } catch (error) {
      throw meaningOf(error, openingFailures);
    }
  }
}
