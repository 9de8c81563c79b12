import { openBytes as openMessageBytes, sealBytes as sealMessageBytes } from '@trialkeep/crypto';
import type { EncryptionContext } from '@trialkeep/crypto';
import { meaningOf, openingFailures, sealingFailures } from './failure.ts';
import type { KeySource } from './keys.ts';
import { dataKeyFinder, prepareSealing } from './stream.ts';
import type { Opened, OpenOptions, SealOptions } from './stream.ts';

/**
 * Seals bytes as one message (AWS Encryption SDK message format 2.0).
 *
 * @param plaintext stays the caller's
 * @returns the sealed message, owned by the caller
 * @throws SealError `seal.context_invalid`; the errors of `keys`
 */
export async function sealBytes(
  keys: KeySource,
  plaintext: Uint8Array,
  { frameBytes, ...options }: Omit<SealOptions, 'bytes'> = {},
): Promise<Buffer> {
  try {
    const { key, ...message } = await prepareSealing(keys, { ...options, bytes: plaintext.length });
    const sealed = await sealMessageBytes(plaintext, { ...message, frameBytes });
    await key.reportUse?.();
    return sealed;
  } catch (error) {
    throw meaningOf(error, sealingFailures);
  }
}

/** What a sealed message held. */
export interface OpenedBytes {
  /** Owned by the caller, who zeroes it where it is secret. */
  readonly plaintext: Buffer;
  /** The id of the server's key that released the data key, or the provider id of the recipient that did. */
  readonly key: string;
  /** The context that the message carries. */
  readonly context: EncryptionContext;
}

/**
 * Opens one whole message; nothing is released unless all of it is authentic.
 *
 * @throws SealError `seal.not_sealed`, `seal.damaged`, `seal.no_key`, `seal.context_mismatch`; the errors of `keys`
 */
export async function openBytes(
  keys: KeySource,
  message: Uint8Array,
  { context: requiredContext, signed: requireSignature, signal }: OpenOptions = {},
): Promise<OpenedBytes> {
  const opened: Opened = {};
  const dataKeyFor = dataKeyFinder(keys, opened, signal);
  try {
    const plaintext = await openMessageBytes(message, { dataKeyFor, requiredContext, requireSignature });
    const { key = '', context = {} } = opened;
    return { plaintext, key, context };
  } catch (error) {
    throw meaningOf(error, openingFailures);
  }
}
