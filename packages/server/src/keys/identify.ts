import { compactKeyVersionId } from '@trialkeep/crypto';
import type { Operations, Output } from '@trialkeep/contract';
import { OperationError } from '../platform/errors.ts';
import { idOfBytes } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context } from '../platform/implementation.ts';
import type { UseParts } from './permitted.ts';
import { opening } from './use.ts';
import * as store from './store.ts';
import { keyArn } from './view.ts';

/**
 * The key whose version a ciphertext names. Nothing of the ciphertext is authenticated, and nothing is said of keys that the caller
 * may not use: they are answered like those that do not exist.
 */
export async function identify(
  parts: UseParts,
  context: Context<'keys.identify'>,
): Promise<Output<Operations['keys.identify']>> {
  const { input, caller, facts, record } = context;
  const tenant = tenantOf(caller);
  const ciphertext = Buffer.from(input.ciphertext, 'base64');
  const id = idOfBytes(await opening(async () => compactKeyVersionId(ciphertext)));
  const [named, naming, version] = await Promise.all([
    parts.keysOf(context),
    parts.naming(tenant),
    // Not kept: ids that nobody has would fill the place of facts.
    facts.read((snapshot) => store.findKeyOfVersion(snapshot, tenant, id)),
  ]);
  const isKnown = version !== undefined && (named.has(version.key) || caller.roles.includes('data-recovery'));
  if (!isKnown) throw new OperationError('key.unknown', { field: '/ciphertext' });
  record.key = version.key;
  return { key: version.key, arn: keyArn(naming, version.key), version: version.version };
}
