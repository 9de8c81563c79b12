import { openEscrowKey } from '@trialkeep/crypto';
import type { EncryptedDataKey, EscrowRecipient, Identity } from '@trialkeep/crypto';
import type { KeySource } from '../seal/keys.ts';
import { recipientKeys } from '../seal/recipient-keys.ts';
import { Openings } from './openings.ts';

export interface EscrowKeysOptions {
  /** The text of the private file. */
  readonly privateFile: string;
  readonly passphrase: string;
  /**
   * The file that lists what is opened; goes on where it ended, and is made (mode 0600) where there is none. A pair has one list: two
   * that both begin at 1 cannot both be brought into a ledger.
   */
  readonly openings: string;
  /** The clock that receipts are dated by, ms since 1970; the machine's by default. */
  readonly now?: () => number;
}

/** Opens with an escrow key, without any server. */
export interface EscrowKeys extends KeySource {
  /** The public part of the key. */
  readonly recipient: EscrowRecipient;
  /** Receipts that were on the list before; 0 where a new one was begun. */
  readonly openingsBefore: number;
  /** Gives the list back to other processes. */
  close(): Promise<void>;
}

/**
 * Takes private file, passphrase and list for this process. Takes seconds. The source opens what was sealed to the escrow key, and
 * `reportUse` puts a signed receipt on the list, durably, before what was opened is released (docs/formats/use-receipt.md).
 * It does not seal: whoever has the public file does.
 *
 * @throws CryptoError `crypto.passphrase_wrong` for another passphrase or an altered file, `crypto.escrow_key_malformed` and others of
 * `openEscrowKey`; TrialkeepError `escrow.openings_in_use`, `escrow.openings_unusable`, `escrow.openings_invalid`,
 * `escrow.openings_incomplete`, `escrow.openings_foreign`
 */
export async function escrowKeys(options: EscrowKeysOptions): Promise<EscrowKeys> {
  const { privateFile, passphrase, now = Date.now } = options;
  const key = await openEscrowKey(privateFile, passphrase);
  const openings = await Openings.open(options.openings, key, now);
  return {
    recipient: key.publicPart,
    openingsBefore: openings.before,
    close: () => openings.close(),
    sealingKey: recipientKeys({}).sealingKey,
    async openingKey(message, more) {
      let opened: EncryptedDataKey | undefined;
      const identity: Identity = {
        async unwrap(encrypted, context) {
          const dataKey = await key.identity.unwrap(encrypted, context);
          if (dataKey !== undefined) opened = encrypted;
          return dataKey;
        },
      };
      const found = await recipientKeys({ identities: [identity] }).openingKey(message, more);
      const dataKey = opened?.ciphertext;
      if (found === undefined || dataKey === undefined) return undefined;
      return { ...found, reportUse: () => openings.record({ dataKey, context: message.context }) };
    },
  };
}
