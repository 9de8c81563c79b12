import { createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Operations, Output } from '@trialkeep/contract';
import { checkRecipients, CryptoError, dataKeyBytes } from '@trialkeep/crypto';
import type { EncryptedDataKey, EncryptionContext, Recipient } from '@trialkeep/crypto';
import type { Caller, CallOptions } from '../client/index.ts';
import { sdkError, TrialkeepError } from '../errors.ts';
import type { DataKeyUse, UseReporter } from '../receipts/reporter.ts';
import { wrapForAll } from './keys.ts';
import { isOutlived } from './registry.ts';
import type { DataKeyRegistry, WrappedDataKey } from './registry.ts';
import type { KeyRequestOptions, KeySource, OpeningKey, SealedDataKeys, SealingKey } from './keys.ts';

/** The provider id under which an AWS Encryption SDK expects a data key of AWS KMS; Trialkeep speaks for its keys as KMS does. */
const providerId = 'aws-kms';
/** Name of a key: region, the tenant's twelve digits, the key's id. */
const arnPattern =
  /^arn:aws:kms:[a-z0-9-]{1,64}:[0-9]{12}:key\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

export interface ServerKeysOptions {
  /** The id of the key to seal under; without it the source only opens. */
  readonly key?: string;
  /** Who, besides the server, shall be able to open what is sealed. Under a use-logged key: escrow keys, whose openings are listed. */
  readonly recipients?: readonly Recipient[];
  /** Ids of the keys that may open; any that the message names and the credential may use where left out. */
  readonly keys?: readonly string[];
  /** Why, where opening needs a reason; goes on the record. */
  readonly reason?: string;
  /** Keeps a receipt of every use of a data key of a use-logged key; without it such a key is refused. */
  readonly reporter?: UseReporter;
  /**
   * Has every data key that is made registered, so that the server wraps it anew after a rotation; and where the wrapping in a message
   * does not open any more, opens the present one. Not for use-logged keys, whose data keys stay as they are.
   */
  readonly registry?: DataKeyRegistry;
}

/**
 * Data keys of a Trialkeep server. Each request leaves an entry in its ledger, and may be refused with a TrialkeepError of
 * `keys.generate-data-key` or `keys.decrypt-data-key`.
 *
 * @throws CryptoError `crypto.recipients_invalid` for recipients that do not go together; TrialkeepError `client.invalid_input` for a
 * reporter or registry of another client
 */
export function serverKeys(client: Caller, options: ServerKeysOptions = {}): KeySource {
  const { recipients = [], registry, reporter } = options;
  if (reporter?.client !== undefined && reporter.client !== client) {
    throw sdkError('client.invalid_input', { field: '/reporter', detail: 'it reports to another client' });
  }
  if (registry !== undefined && registry.client !== client) {
    throw sdkError('client.invalid_input', { field: '/registry', detail: 'it is of another client' });
  }
  checkRecipients(recipients, 1);
  return {
    sealingKey: (context, more) => generate(client, options, context, more),
    openingKey: (message, more) => release(client, options, message, more),
  };
}

async function generate(
  client: Caller,
  { key, recipients = [], registry, reporter }: ServerKeysOptions,
  context: EncryptionContext,
  more?: KeyRequestOptions,
): Promise<SealingKey> {
  if (key === undefined) {
    throw sdkError('client.invalid_input', { field: '/key', detail: 'no key to seal under is named' });
  }
  // What comes for those whom the server demands beside itself goes into the message, with the rest.
  const input = { key, context, recipients: true };
  const answer = await client.call('keys.generate-data-key', input, callOptions(more));
  if (arnPattern.exec(answer.arn)?.[1] !== key)
    throw sdkError('client.bad_answer', { detail: 'name of the key' });
  const ciphertext = Buffer.from(answer.ciphertext, 'base64');
  if (answer.useLogged && recipients.some(({ kind }) => kind !== 'hybrid')) {
    throw sdkError('receipts.recipient_unlogged');
  }
  const demanded = demandedRecipients(answer.recipients, recipients);
  const reporting = reportingOf(answer, reporter, { use: 'seal', key, dataKey: ciphertext, context });
  const dataKey = secretOf(answer.plaintext);
  if (!answer.useLogged) await registry?.add({ key, ciphertext, context });
  const own = { providerId, providerInfo: Buffer.from(answer.arn, 'utf8'), ciphertext };
  return {
    dataKey,
    encryptedDataKeys: [own, ...demanded, ...(await wrapForAll(recipients, dataKey, context))],
    wrappedBy: { key, version: answer.version },
    ...reporting,
  };
}

type Demanded = Output<Operations['keys.generate-data-key']>['recipients'];

/**
 * The data key as those get it whom the server demands beside itself.
 *
 * @throws CryptoError `crypto.recipients_mixed`, `crypto.recipients_invalid` where they do not go together with the caller's own
 */
function demandedRecipients(demanded: Demanded, own: readonly Recipient[]): EncryptedDataKey[] {
  const isHybrid = demanded.some(({ providerId }) => providerId.startsWith('trialkeep-hpke-'));
  if (isHybrid && own.some(({ kind }) => kind === 'classical'))
    throw new CryptoError('crypto.recipients_mixed');
  if (demanded.length > 0) checkRecipients(own, 1 + demanded.length);
  return demanded.map(({ providerId, providerInfo, ciphertext }) => ({
    providerId,
    providerInfo: Buffer.from(providerInfo, 'base64'),
    ciphertext: Buffer.from(ciphertext, 'base64'),
  }));
}

/** What puts each use on the record, where the key demands it. */
function reportingOf(
  { useLogged }: { readonly useLogged: boolean },
  reporter: UseReporter | undefined,
  use: DataKeyUse,
): Pick<SealingKey, 'reportUse'> {
  if (!useLogged) return {};
  if (reporter === undefined) throw sdkError('receipts.required');
  return { reportUse: () => reporter.record(use) };
}

/** Of a message's recipients those count whose name is a key of Trialkeep, and an allowed one; the first that this tenant has is asked. */
async function release(
  client: Caller,
  options: ServerKeysOptions,
  { context, encryptedDataKeys }: SealedDataKeys,
  more?: KeyRequestOptions,
): Promise<OpeningKey | undefined> {
  let unknown: TrialkeepError | undefined;
  for (const recipient of encryptedDataKeys) {
    const key = keyOf(recipient);
    if (key === undefined || (options.keys !== undefined && !options.keys.includes(key))) continue;
    try {
      return await releaseWrapped(client, options, { key, context, ciphertext: recipient.ciphertext }, more);
    } catch (error) {
      if (!(error instanceof TrialkeepError && error.code === 'key.unknown')) throw error;
      unknown ??= error;
    }
  }
  if (unknown !== undefined) throw unknown;
  return undefined;
}

/** Opens one wrapping; the one that the registry has in its place, where it does not open any more. */
async function releaseWrapped(
  client: Caller,
  options: ServerKeysOptions,
  wrapped: WrappedDataKey,
  more?: KeyRequestOptions,
): Promise<OpeningKey> {
  const { reason, registry, reporter } = options;
  const { key, context } = wrapped;
  try {
    const ciphertext = Buffer.from(wrapped.ciphertext).toString('base64');
    const input = { key, ciphertext, context, ...(reason !== undefined && { reason }) };
    const answer = await client.call('keys.decrypt-data-key', input, callOptions(more));
    const use = { use: 'open', key, dataKey: wrapped.ciphertext, context } as const;
    const reporting = reportingOf(answer, reporter, use);
    return { ...reporting, dataKey: secretOf(answer.plaintext), key, sealerAuthenticated: true };
  } catch (error) {
    if (registry === undefined || !isOutlived(error)) throw error;
    const present = await registry.current(wrapped, { ...callOptions(more), reason });
    // The same one again would be refused again.
    if (present === undefined || Buffer.compare(present, wrapped.ciphertext) === 0) throw error;
    const { registry: _, ...rest } = options;
    return releaseWrapped(client, rest, { key, context, ciphertext: present }, more);
  }
}

/** The id of the key that a recipient names, if it has the name of one. */
function keyOf(recipient: EncryptedDataKey): string | undefined {
  if (recipient.providerId !== providerId) return undefined;
  return arnPattern.exec(Buffer.from(recipient.providerInfo).toString('latin1'))?.[1];
}

/** The data key in a form that is not copied about; the bytes it came in are zeroed. */
function secretOf(base64: string): KeyObject {
  const bytes = Buffer.from(base64, 'base64');
  try {
    if (bytes.length !== dataKeyBytes)
      throw sdkError('client.bad_answer', { detail: 'length of the data key' });
    return createSecretKey(bytes);
  } finally {
    bytes.fill(0);
  }
}

function callOptions(more: KeyRequestOptions | undefined): CallOptions {
  return more?.signal === undefined ? {} : { signal: more.signal };
}
