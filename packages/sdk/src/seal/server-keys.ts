import { createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { dataKeyBytes } from '@trialkeep/crypto';
import type { EncryptedDataKey, EncryptionContext, MessageHeader } from '@trialkeep/crypto';
import type { Caller, CallOptions } from '../client/index.ts';
import { sdkError, TrialkeepError } from '../errors.ts';

/** The provider id under which an AWS Encryption SDK expects a data key of AWS KMS; Trialkeep speaks for its keys as KMS does. */
const providerId = 'aws-kms';
/** Name of a key: region, the tenant's twelve digits, the key's id. */
const arnPattern =
  /^arn:aws:kms:[a-z0-9-]{1,64}:[0-9]{12}:key\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

/** A data key fresh from the server, and what a message carries of it. `version` is that of the key which wrapped it. */
export interface NewDataKey {
  readonly dataKey: KeyObject;
  readonly encrypted: EncryptedDataKey;
  readonly version: number;
}

/** @throws TrialkeepError of `keys.generate-data-key` */
export async function generateDataKey(
  client: Caller,
  key: string,
  context: EncryptionContext,
  calling: CallOptions,
): Promise<NewDataKey> {
  const answer = await client.call('keys.generate-data-key', { key, context }, calling);
  if (arnPattern.exec(answer.arn)?.[1] !== key)
    throw sdkError('client.bad_answer', { detail: 'name of the key' });
  return {
    dataKey: secretOf(answer.plaintext),
    encrypted: {
      providerId,
      providerInfo: Buffer.from(answer.arn, 'utf8'),
      ciphertext: Buffer.from(answer.ciphertext, 'base64'),
    },
    version: answer.version,
  };
}

export interface ReleaseOptions extends CallOptions {
  /** Ids of the keys that may be used; any that the message names and the credential may use where left out. */
  readonly keys?: readonly string[];
  /** Why, where the use needs a reason; goes on the record. */
  readonly reason?: string;
}

/**
 * Has the data key of a message released. Of its recipients those count whose name is a key of Trialkeep, and an allowed one; the first
 * that this tenant has is asked.
 *
 * @returns the data key and the id of the key that released it; undefined where no recipient counts
 * @throws TrialkeepError of `keys.decrypt-data-key`
 */
export async function releaseDataKey(
  client: Caller,
  header: MessageHeader,
  { keys: allowed, reason, signal }: ReleaseOptions,
): Promise<{ dataKey: KeyObject; key: string } | undefined> {
  let unknown: TrialkeepError | undefined;
  for (const recipient of header.encryptedDataKeys) {
    const key = keyOf(recipient);
    if (key === undefined || (allowed !== undefined && !allowed.includes(key))) continue;
    try {
      const { plaintext } = await client.call(
        'keys.decrypt-data-key',
        {
          key,
          ciphertext: Buffer.from(recipient.ciphertext).toString('base64'),
          context: header.context,
          ...(reason !== undefined && { reason }),
        },
        signal === undefined ? {} : { signal },
      );
      return { dataKey: secretOf(plaintext), key };
    } catch (error) {
      if (!(error instanceof TrialkeepError && error.code === 'key.unknown')) throw error;
      unknown ??= error;
    }
  }
  if (unknown !== undefined) throw unknown;
  return undefined;
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
