import { createSecretKey } from 'node:crypto';
import { checkRecipients, CryptoError, generateDataKey } from '@trialkeep/crypto';
import type { Identity, Recipient } from '@trialkeep/crypto';
import { sdkError } from '../errors.ts';
import { wrapForAll } from './keys.ts';
import type { KeySource } from './keys.ts';

export interface RecipientKeysOptions {
  /** Who shall be able to open what is sealed; at least one, to seal. */
  readonly recipients?: readonly Recipient[];
  /** Who opens. */
  readonly identities?: readonly Identity[];
}

/**
 * Data keys without a server: made here for recipients, and opened by identities. Nobody but the holder of an identity knows what is
 * opened, so nothing of it reaches a ledger by itself.
 *
 * @throws CryptoError `crypto.recipients_invalid` for recipients that do not go together
 */
export function recipientKeys({ recipients = [], identities = [] }: RecipientKeysOptions): KeySource {
  if (recipients.length > 0) checkRecipients(recipients);
  return {
    async sealingKey(context) {
      if (recipients.length === 0) throw sdkError('client.invalid_input', { field: '/recipients' });
      const bytes = generateDataKey();
      const dataKey = createSecretKey(bytes);
      bytes.fill(0);
      return { dataKey, encryptedDataKeys: await wrapForAll(recipients, dataKey, context) };
    },
    async openingKey({ context, encryptedDataKeys }) {
      let refusal: CryptoError | undefined;
      for (const encrypted of encryptedDataKeys) {
        for (const identity of identities) {
          try {
            const bytes = await identity.unwrap(encrypted, context);
            if (bytes === undefined) continue;
            const dataKey = createSecretKey(bytes);
            bytes.fill(0);
            const sealerAuthenticated = identity.kind === 'symmetric';
            return { dataKey, key: encrypted.providerId, sealerAuthenticated };
          } catch (error) {
            // Two keys may have one name; another encrypted data key may still open.
            if (!(error instanceof CryptoError)) throw error;
            refusal ??= error;
          }
        }
      }
      if (refusal !== undefined) throw refusal;
      return undefined;
    },
  };
}
