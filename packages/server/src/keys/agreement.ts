import { randomBytes } from 'node:crypto';
import { CryptoError, decapsulateMlKem768, deriveSharedSecret } from '@trialkeep/crypto';
import type { Operations, Output } from '@trialkeep/contract';
import { roles } from '@trialkeep/contract';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context } from '../platform/implementation.ts';
import { chosenVersion, permitted, released, secretOf } from './permitted.ts';
import type { UseParts } from './permitted.ts';
import { stateAt } from './states.ts';
import * as store from './store.ts';
import { opening } from './use.ts';
import { keyView } from './view.ts';

/** The derive operation: the bare secret Z, which is what AWS KMS returns too; the caller derives a key from it. */
export async function derive(
  parts: UseParts,
  context: Context<'keys.derive-shared-secret'>,
): Promise<Output<Operations['keys.derive-shared-secret']>> {
  const { input } = context;
  const key = await permitted(parts, context, 'keys.derive-shared-secret');
  const chosen = chosenVersion(context, key, input.version);
  const secret = await secretOf(parts, key, chosen);
  try {
    const shared = deriveSharedSecret(key.row.algorithm, secret, Buffer.from(input.publicKey, 'base64'));
    return { sharedSecret: released(shared), key: key.row.id, version: chosen.version };
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw new OperationError('agreement.public_key_unsuitable', { field: '/publicKey', cause: error });
  }
}

/** The decapsulate operation. A ciphertext for another key gives another secret, and no error (FIPS 203 section 7.3). */
export async function decapsulate(
  parts: UseParts,
  context: Context<'keys.decapsulate'>,
): Promise<Output<Operations['keys.decapsulate']>> {
  const { input } = context;
  const key = await permitted(parts, context, 'keys.decapsulate');
  const chosen = chosenVersion(context, key, input.version);
  const secret = await secretOf(parts, key, chosen);
  return opening(async () => {
    const shared = decapsulateMlKem768(secret, Buffer.from(input.ciphertext, 'base64'));
    return { sharedSecret: released(shared), key: key.row.id, version: chosen.version };
  });
}

/**
 * The public key of a version. It outlives the private one: what was signed is still checked when the key is destroyed. A service gets
 * those of the keys that its credential names.
 */
export async function showPublicKey(
  parts: UseParts,
  context: Context<'keys.public-key'>,
): Promise<Output<Operations['keys.public-key']>> {
  const { input, caller, facts, record, now } = context;
  const tenant = tenantOf(caller);
  record.key = input.key;
  const rowKey = await parts.hierarchy.rowKey(tenant);
  const seesAll = caller.roles.some((role) => (roles[role] as readonly string[]).includes('keys:read'));
  const [named, naming, key] = await Promise.all([
    seesAll ? undefined : parts.keysOf(context),
    parts.naming(tenant),
    facts.get(`key ${input.key}`, async (snapshot) => {
      const row = await store.findKey(snapshot, rowKey, tenant, input.key);
      return row && { row, versions: await store.listVersions(snapshot, rowKey, input.key) };
    }),
  ]);
  if (key === undefined || named?.has(key.row.id) === false) {
    throw new OperationError('key.unknown', { field: '/key' });
  }
  record.system = key.row.system;
  const wanted = input.version ?? key.row.version;
  const found = key.versions.find(({ version }) => version === wanted);
  if (found === undefined) throw new OperationError('key.version_unknown', { field: '/version' });
  record.version = found.version;
  if (found.public_key === null) throw new OperationError('key.wrong_purpose', { field: '/key' });
  const { algorithm, purpose } = keyView(key.row, naming, now);
  const publicKey = Buffer.from(found.public_key).toString('base64');
  return { publicKey, key: key.row.id, version: wanted, algorithm, purpose, state: stateAt(key.row, now) };
}

/** The random operation: from the generator of the platform, which keys come from too. */
export async function random({
  input,
}: Context<'random.generate'>): Promise<Output<Operations['random.generate']>> {
  return { random: released(randomBytes(input.bytes)) };
}
