import { requireBytes } from '../checks.ts';
import type { EncryptionContext } from '../context.ts';
import { dataKeyBytes } from '../data-key.ts';
import { CryptoError } from '../errors.ts';
import { maximumEncryptedDataKeys, type EncryptedDataKey } from '../message/header.ts';

/**
 * The kind of a recipient's algorithm: a shared symmetric key, a classical public key, or a hybrid public key,
 * which holds as long as either its post-quantum or its classical half does.
 */
export type RecipientKind = 'symmetric' | 'classical' | 'hybrid';

/** Somebody who shall be able to open a message: wraps its data key. */
export interface Recipient {
  /** a `hybrid` recipient never stands beside a `classical` one: `checkRecipients` */
  readonly kind: RecipientKind;
  /**
   * The data key as this recipient gets it.
   *
   * @param dataKey 32 bytes; stays the caller's, who zeroes it
   * @throws CryptoError `crypto.argument_invalid`, `crypto.context_invalid`
   */
  wrap(dataKey: Uint8Array, context: EncryptionContext): Promise<EncryptedDataKey>;
}

/** Somebody who can open. */
export interface Identity {
  /** of whoever wraps for it: only for a `symmetric` one must they know a secret; left out, anybody can */
  readonly kind?: RecipientKind;
  /**
   * Attacker-controlled: `encrypted` and `context` are not authenticated yet.
   *
   * @returns the data key, 32 bytes, which the caller owns and zeroes; `undefined` where it is not meant for this
   *   identity
   * @throws CryptoError `crypto.ciphertext_invalid` where it is meant for this identity and does not open;
   *   `crypto.context_invalid`
   */
  unwrap(encrypted: EncryptedDataKey, context: EncryptionContext): Promise<Buffer | undefined>;
}

/**
 * Whether these can be the recipients of one message. A classical public key beside a hybrid one would undo
 * what the hybrid one is for: whoever breaks the classical key gets the data key.
 *
 * @param beside how many further encrypted data keys the message has, under symmetric keys
 * @throws CryptoError `crypto.recipients_invalid` for none at all and for more than 16;
 *   `crypto.recipients_mixed` for a hybrid beside a classical one
 */
export function checkRecipients(recipients: readonly Recipient[], beside = 0): void {
  const count = recipients.length + beside;
  if (count < 1 || count > maximumEncryptedDataKeys) {
    throw new CryptoError('crypto.recipients_invalid', `${count} recipients`);
  }
  const kinds = new Set(recipients.map(({ kind }) => kind));
  if (kinds.has('hybrid') && kinds.has('classical')) throw new CryptoError('crypto.recipients_mixed');
}

/** @throws CryptoError `crypto.argument_invalid` unless it is 32 bytes */
export function requireDataKey(dataKey: Uint8Array): void {
  requireBytes(dataKey, dataKeyBytes, 'dataKey');
}

const namespaceBytes = 255;
const reservedNamespaces = /^(?:aws-kms|trialkeep-)/;

/**
 * The name of a raw key: `namespace` becomes the provider id, `name` (the rest of) the provider information.
 *
 * @param nameBytes the most bytes of UTF-8 that `name` may have
 * @returns `name` in UTF-8
 * @throws CryptoError `crypto.argument_invalid`; so is a namespace that others have a meaning for
 */
export function requireKeyName(namespace: string, name: string, nameBytes: number): Buffer {
  requireText('namespace', namespace, namespaceBytes);
  if (reservedNamespaces.test(namespace)) {
    throw new CryptoError('crypto.argument_invalid', `the namespace ${namespace} is reserved`);
  }
  return requireText('name', name, nameBytes);
}

function requireText(field: string, text: string, most: number): Buffer {
  const encoded = typeof text === 'string' && text.isWellFormed() ? Buffer.from(text, 'utf8') : undefined;
  if (encoded === undefined || encoded.length < 1 || encoded.length > most) {
    throw new CryptoError('crypto.argument_invalid', `${field} must be 1 to ${most} bytes of UTF-8`);
  }
  return encoded;
}
