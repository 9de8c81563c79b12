import type { KeyObject } from 'node:crypto';
import type { EncryptedDataKey, EncryptionContext, Recipient } from '@trialkeep/crypto';

/** A data key to seal under, and what a message carries of it: one encrypted data key for each recipient. */
export interface SealingKey {
  readonly dataKey: KeyObject;
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  /** The server's key, and its version, that wrapped the data key; absent where no server took part. */
  readonly wrappedBy?: { readonly key: string; readonly version: number };
  /** Puts one use on the record, where each must be; awaited before what it gave is released. */
  reportUse?(): Promise<void>;
}

/** The data key of a message that is to be opened. */
export interface OpeningKey {
  readonly dataKey: KeyObject;
  /** The id of the server's key that released it, or the provider id of the recipient that did. */
  readonly key: string;
  /**
   * Only somebody whom the key trusts to seal could have wrapped this data key: a server, or a holder of the same shared key. For a
   * public key anybody can, so nothing new is sealed under such a data key that comes from elsewhere. Not so where left out.
   */
  readonly sealerAuthenticated?: boolean;
  /** Puts one use on the record, where each must be; awaited before what it gave is released. */
  reportUse?(): Promise<void>;
}

export interface KeyRequestOptions {
  /** Ends the request early; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Plaintext bytes of the message to seal, where known; what a cache counts. */
  readonly bytes?: number | undefined;
}

/** The part of a message by which its data key is found. Nothing of it is authenticated yet. */
export interface SealedDataKeys {
  readonly context: EncryptionContext;
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
}

/** Where data keys come from: a server (`serverKeys`), recipients of one's own (`recipientKeys`), or a combination. */
export interface KeySource {
  /** A data key that is bound to `context`. */
  sealingKey(context: EncryptionContext, options?: KeyRequestOptions): Promise<SealingKey>;
  /** The data key of a message; undefined where none of its encrypted data keys is for this source. */
  openingKey(message: SealedDataKeys, options?: KeyRequestOptions): Promise<OpeningKey | undefined>;
}

/** A data key as each of the recipients gets it. */
export async function wrapForAll(
  recipients: readonly Recipient[],
  dataKey: KeyObject,
  context: EncryptionContext,
): Promise<EncryptedDataKey[]> {
  const bytes = dataKey.export();
  try {
    return await Promise.all(recipients.map((recipient) => recipient.wrap(bytes, context)));
  } finally {
    bytes.fill(0);
  }
}
