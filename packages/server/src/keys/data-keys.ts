import { createHash } from 'node:crypto';
import { encodePublicKey, generateDataKey } from '@trialkeep/crypto';
import type { KeyMaterial } from '@trialkeep/crypto';
import type { Operations, Output } from '@trialkeep/contract';
import type { Profile } from '../platform/config.ts';
import { OperationError } from '../platform/errors.ts';
import type { Context } from '../platform/implementation.ts';
import { contextKey } from './context.ts';
import { sharing } from './further-recipients.ts';
import { refuseUnapproved } from './kind.ts';
import { currentVersion, isUseLogged, namedVersion, permitted, released } from './permitted.ts';
import type { PermittedKey, UseParts } from './permitted.ts';
import { outerKeyOf } from './outer-key.ts';
import { opening, sealing } from './use.ts';
import { keyArn } from './view.ts';

/** Names on the entry, where uses are reported, the data key that their receipts will name. */
function recordDataKey({ row, record }: PermittedKey, wrapped: Uint8Array): void {
  if (isUseLogged(row)) record.dataKey = createHash('sha256').update(wrapped).digest('hex');
}

async function orZeroed<T extends readonly unknown[]>(
  secret: Buffer,
  work: () => Promise<readonly [...T]>,
): Promise<readonly [...T]> {
  try {
    return await work();
  } catch (error) {
    secret.fill(0);
    throw error;
  }
}

/** A fresh data key, in clear and wrapped; the caller releases or zeroes the clear one. */
async function make(
  parts: UseParts,
  context: Context<'keys.generate-data-key' | 'keys.generate-wrapped-data-key'>,
  key: PermittedKey,
) {
  const share = await sharing(parts, context, key, context.input.recipients === true);
  const inner = await contextKey(parts.hierarchy, context.facts, key.tenant, key.record);
  const current = currentVersion(key);
  const [outer, naming] = await Promise.all([outerKeyOf(parts, key, current), parts.naming(key.tenant)]);
  const dataKey = generateDataKey();
  const [wrapped, recipients] = await orZeroed(dataKey, async () => [
    await outer.sealDataKey({ dataKey, inner, context: key.context }),
    await share(dataKey),
  ]);
  recordDataKey(key, wrapped);
  const answer = {
    ciphertext: wrapped.toString('base64'),
    key: key.row.id,
    arn: keyArn(naming, key.row.id),
    version: current.version,
    useLogged: isUseLogged(key.row),
    recipients,
  };
  return { dataKey, answer };
}

/** A fresh data key, in clear and wrapped. */
export async function generate(
  parts: UseParts,
  context: Context<'keys.generate-data-key'>,
): Promise<Output<Operations['keys.generate-data-key']>> {
  const key = await permitted(parts, context, 'keys.generate-data-key');
  const { dataKey, answer } = await make(parts, context, key);
  return { plaintext: released(dataKey), ...answer };
}

/** A fresh data key, wrapped only. */
export async function generateWrapped(
  parts: UseParts,
  context: Context<'keys.generate-wrapped-data-key'>,
): Promise<Output<Operations['keys.generate-wrapped-data-key']>> {
  const key = await permitted(parts, context, 'keys.generate-wrapped-data-key');
  const { dataKey, answer } = await make(parts, context, key);
  dataKey.fill(0);
  return answer;
}

/** A data key out of its wrapped form. */
export async function release(
  parts: UseParts,
  context: Context<'keys.decrypt-data-key'>,
): Promise<Output<Operations['keys.decrypt-data-key']>> {
  const key = await permitted(parts, context, 'keys.decrypt-data-key');
  const inner = await contextKey(parts.hierarchy, context.facts, key.tenant, context.record);
  const ciphertext = Buffer.from(context.input.ciphertext, 'base64');
  return opening(async () => {
    const named = namedVersion(context, key, ciphertext);
    const outer = await outerKeyOf(parts, key, named);
    const dataKey = await outer.openDataKey({ ciphertext, inner, context: key.context });
    recordDataKey(key, ciphertext);
    return {
      plaintext: released(dataKey),
      key: key.row.id,
      version: named.version,
      useLogged: isUseLogged(key.row),
    };
  });
}

type PairParts = UseParts & { readonly profile: Profile };
type PairOperation = 'keys.generate-data-key-pair' | 'keys.generate-wrapped-data-key-pair';

/** A fresh key pair; its private key, PKCS #8, encrypted as the encrypt operation does it. The caller releases or zeroes the clear one. */
async function makePair(parts: PairParts, context: Context<PairOperation>, id: PairOperation) {
  const key = await permitted(parts, context, id);
  // What is done with the private key nobody could report.
  if (isUseLogged(key.row)) throw new OperationError('key.use_logged', { field: '/key' });
  const { algorithm } = context.input;
  refuseUnapproved(parts.profile, algorithm);
  // Before the pair is made, which can take long.
  const seal = await sealing(parts, context, key);
  const { secret } = await context.once((): Promise<KeyMaterial> =>
    parts.hierarchy.newMaterial(key.tenant, algorithm, 'pair'),
  );
  const privateKey = secret.export({ format: 'der', type: 'pkcs8' });
  const ciphertext = await seal(privateKey, '/algorithm');
  const answer = {
    algorithm,
    publicKey: encodePublicKey(secret).toString('base64'),
    ciphertext: ciphertext.toString('base64'),
    key: key.row.id,
    version: key.row.version,
  };
  return { privateKey, answer };
}

/** A fresh key pair, its private key in clear and encrypted. */
export async function generatePair(
  parts: PairParts,
  context: Context<'keys.generate-data-key-pair'>,
): Promise<Output<Operations['keys.generate-data-key-pair']>> {
  const { privateKey, answer } = await makePair(parts, context, 'keys.generate-data-key-pair');
  return { ...answer, privateKey: released(privateKey) };
}

/** A fresh key pair, its private key encrypted only. */
export async function generateWrappedPair(
  parts: PairParts,
  context: Context<'keys.generate-wrapped-data-key-pair'>,
): Promise<Output<Operations['keys.generate-wrapped-data-key-pair']>> {
  const { privateKey, answer } = await makePair(parts, context, 'keys.generate-wrapped-data-key-pair');
  privateKey.fill(0);
  return answer;
}
