import type { EscrowRecipient } from '@trialkeep/crypto';
import { OperationError } from '../platform/errors.ts';
import type { Context } from '../platform/implementation.ts';
import type { PermittedKey, UseParts } from './permitted.ts';
import type { KeyUses } from './purposes.ts';

/** A registered party that has to be able to open something without the server. */
export interface FurtherRecipient {
  readonly id: string;
  readonly name: string;
  readonly recipient: EscrowRecipient['recipient'];
}

/** Who has to be able to read what is protected, beside whoever has the tenant's keys. */
export interface FurtherRecipients {
  /**
   * Those that cover what the key and its context are about; none where nobody is demanded.
   *
   * @throws OperationError `second_recipient.lost` where the public key of one is not there any more
   */
  covering(
    context: Pick<Context<KeyUses>, 'caller' | 'facts'>,
    about: { readonly study?: string; readonly system: string; readonly class?: string },
  ): Promise<readonly FurtherRecipient[]>;
}

/** A data key as one of them gets it: an encrypted data key of docs/formats/sealed-message.md. */
export interface FurtherDataKey {
  readonly id: string;
  readonly name: string;
  readonly providerId: string;
  /** base64 */
  readonly providerInfo: string;
  readonly ciphertext: string;
}

/**
 * What makes a data key open for everybody who has to be able to open it; before there is a data key, what refuses to make one.
 *
 * @param isKept whether the caller keeps what comes for them beside the data
 * @throws OperationError `second_recipient.required`, `second_recipient.lost`
 */
export async function sharing(
  parts: Pick<UseParts, 'further'>,
  context: Context<KeyUses>,
  key: PermittedKey,
  isKept: boolean,
): Promise<(dataKey: Uint8Array) => Promise<FurtherDataKey[]>> {
  const covering = await coveringOf(parts, context, key);
  if (covering.length > 0 && !isKept) throw new OperationError('second_recipient.required');
  return (dataKey) =>
    Promise.all(
      covering.map(async ({ id, name, recipient }) => {
        const { providerId, providerInfo, ciphertext } = await recipient.wrap(dataKey, key.context);
        return { id, name, providerId, providerInfo: base64(providerInfo), ciphertext: base64(ciphertext) };
      }),
    );
}

/** Refuses what only the server could ever open again, where a second party has to be able to. */
export async function refuseUnshared(
  parts: Pick<UseParts, 'further'>,
  context: Context<KeyUses>,
  key: PermittedKey,
): Promise<void> {
  const covering = await coveringOf(parts, context, key);
  if (covering.length > 0) throw new OperationError('second_recipient.required');
}

async function coveringOf(
  { further }: Pick<UseParts, 'further'>,
  context: Context<KeyUses>,
  { row, record }: PermittedKey,
): Promise<readonly FurtherRecipient[]> {
  const { study, class: kind } = record;
  const covering = await further.covering(context, {
    system: row.system,
    ...(study !== undefined && { study }),
    ...(kind !== undefined && { class: kind }),
  });
  if (covering.length > 0) record.recipients = covering.map(({ id }) => id).sort();
  return covering;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
