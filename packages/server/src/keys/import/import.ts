import type { KeyObject } from 'node:crypto';
import { maxImportTries } from '@trialkeep/contract';
import { CryptoError, hashSecret, readMaterial, unwrapRsaAes, wrapKey } from '@trialkeep/crypto';
import type { ImportableAlgorithm, KeyMaterial } from '@trialkeep/crypto';
import { OperationError } from '../../platform/errors.ts';
import { newId } from '../../platform/ids.ts';
import { tenantOf } from '../../platform/implementation.ts';
import type { Apply, Context } from '../../platform/implementation.ts';
import { changeKey } from '../change.ts';
import type { KeyChange } from '../change.ts';
import type { NewKey } from '../hierarchy.ts';
import { fingerprintOf } from '../material-index.ts';
import { recordedKey } from '../recorded-key.ts';
import { systemPlace } from '../places.ts';
import { policyDays } from '../rotation-policy-store.ts';
import { addVersion, nextRotation } from '../rotation.ts';
import { stateAt } from '../states.ts';
import { insertKey, insertVersion } from '../store.ts';
import { keyView } from '../view.ts';
import { endImport, wrappingKeyOf } from './parameters.ts';
import type { ImportParts } from './parameters.ts';
import * as store from './store.ts';
import type { ImportRow } from './store.ts';

type Bringing = 'keys.import' | 'keys.import-version';

/** Material that was opened and checked, wrapped for its place. */
interface Brought {
  readonly row: ImportRow;
  readonly made: NewKey;
  readonly fingerprint: Buffer;
}

/** Makes a key out of material that was made elsewhere. */
export async function importKey(
  parts: ImportParts,
  context: Context<'keys.import'>,
): Promise<Apply<'keys.import'>> {
  const { caller, record, payload, now } = context;
  const tenant = tenantOf(caller);
  const { row, made, fingerprint } = await bring(parts, context, undefined);
  if (row.key_expires_at !== null && row.key_expires_at <= now) throw new OperationError('date.past');
  const [rowKey, naming] = await Promise.all([parts.hierarchy.rowKey(tenant), parts.naming(tenant)]);
  return async (tx, time) => {
    await spend(tx, row, fingerprint, time);
    const key: KeyChange = {
      id: row.key,
      tenant,
      system: row.system,
      description: row.description,
      algorithm: row.algorithm,
      purpose: row.purpose,
      state: 'active',
      version: 1,
      created_at: time,
      activates_at: null,
      expires_at: row.key_expires_at,
      rotation_period_days: await policyDays(tx, rowKey, tenant),
      own_rotation: 0,
      rotation_due_at: 0,
      recipient_period_days: null,
      revocation_cause: null,
      revoked_at: null,
      use_logged: 0,
      destruction_due_at: null,
      protection: 'software',
      imported: 1,
      exportable: row.exportable,
    };
    // Nothing rotates it by itself: from then on it is overdue.
    key.rotation_due_at = nextRotation(time, key);
    await insertKey(tx, rowKey, key);
    await insertVersion(tx, rowKey, {
      id: made.versionId,
      key: key.id,
      version: 1,
      wrapped_secret: made.wrapped,
      public_key: made.publicKey ?? null,
      created_at: time,
    });
    payload['inventory'] = recordedKey(key);
    record.version = 1;
    record.state = stateAt(key, time);
    return keyView(key, naming, time);
  };
}

/** Rotates a key that was made elsewhere. Only an active key rotates. */
export async function importVersion(
  parts: ImportParts,
  context: Context<'keys.import-version'>,
): Promise<Apply<'keys.import-version'>> {
  const { row, made, fingerprint } = await bring(parts, context, context.input.key);
  const rowKey = await parts.hierarchy.rowKey(row.tenant);
  return changeKey(parts, context, async (tx, key, time) => {
    await spend(tx, row, fingerprint, time);
    if (key.imported !== 1) throw new OperationError('key.not_imported', { field: '/key' });
    if (stateAt(key, time) !== 'active')
      throw new OperationError('key.transition_undefined', { field: '/key' });
    context.payload['old'] = { version: key.version };
    await addVersion(tx, rowKey, key, made, time);
  });
}

/** Whoever commits first has the token and the material. */
async function spend(
  tx: Parameters<typeof store.remove>[0],
  row: ImportRow,
  fingerprint: Buffer,
  time: number,
): Promise<void> {
  const isOpen = await endImport(tx, row.id);
  if (!isOpen || row.ends_at <= time) throw invalidToken();
  if (!(await store.noteMaterial(tx, fingerprint))) throw new OperationError('import.material_known');
}

/**
 * Opens what was brought with a token, once for each request, and counts that before anything is looked at.
 *
 * @param key the key that gets a version; undefined for a key of its own
 */
async function bring(
  parts: ImportParts,
  context: Context<Bringing>,
  key: string | undefined,
): Promise<Brought> {
  const { input, caller, record, facts, now } = context;
  const tenant = tenantOf(caller);
  if (key !== undefined) record.key = key;
  const rowKey = await parts.hierarchy.rowKey(tenant);
  const hash = hashSecret(input.token);
  const row = await facts.read((snapshot) => store.findByToken(snapshot, rowKey, tenant, hash));
  if (row === undefined || row.requester !== caller.actor || row.ends_at <= now) throw invalidToken();
  record.import = row.id;
  if ((row.is_version === 1 ? row.key : undefined) !== key) throw invalidToken();
  record.key = row.key;
  record.system = row.system;
  const brought = await context.once(async () => {
    const { database, hierarchy } = parts;
    // What may be away is asked before a try is taken.
    const keys = { own: await wrappingKeyOf(hierarchy, row), tenant: await hierarchy.tenantKey(tenant) };
    if (!(await database.write((tx) => store.takeTry(tx, row.id, maxImportTries)))) throw invalidToken();
    try {
      return await open(parts, row, keys, Buffer.from(input.wrapped, 'base64'));
    } catch (error) {
      // Only what was brought costs a try, not what failed here.
      const isOfMaterial = error instanceof OperationError && error.code.startsWith('import.');
      await database.write((tx) =>
        isOfMaterial ? store.removeSpent(tx, row.id, maxImportTries) : store.giveBackTry(tx, row.id),
      );
      throw error;
    }
  });
  record.material = brought.fingerprint.toString('hex');
  return brought;
}

/** Checked, and wrapped at the place of the version that it becomes; the clear bytes are zeroed. */
async function open(
  { hierarchy, database }: ImportParts,
  row: ImportRow,
  keys: { readonly own: KeyObject; readonly tenant: KeyObject },
  wrapped: Buffer,
): Promise<Brought> {
  const bytes = refusing(() => unwrapRsaAes(keys.own, wrapped));
  let material: KeyMaterial;
  try {
    material = await readMaterial(row.algorithm as ImportableAlgorithm, bytes).catch(refuse);
  } finally {
    bytes.fill(0);
  }
  const fingerprint = await fingerprintOf(hierarchy, row.algorithm, material);
  if (await database.read((snapshot) => store.isKnown(snapshot, fingerprint))) {
    throw new OperationError('import.material_known');
  }
  const versionId = newId();
  const { secret, publicKey } = material;
  const place = systemPlace(row.tenant, row.key, versionId, {
    algorithm: row.algorithm,
    purpose: row.purpose,
  });
  const stored = wrapKey({ wrappingKey: keys.tenant, place, key: secret });
  const made: NewKey = { versionId, wrapped: stored, ...(publicKey !== undefined && { publicKey }) };
  return { row, made, fingerprint };
}

function invalidToken(): OperationError {
  return new OperationError('import.token_invalid', { field: '/token' });
}

const refusals = {
  'crypto.ciphertext_invalid': 'import.unwrap_failed',
  'crypto.material_invalid': 'import.material_invalid',
  'crypto.material_weak': 'import.material_weak',
} as const;

function refuse(error: unknown): never {
  if (!(error instanceof CryptoError) || !Object.hasOwn(refusals, error.code)) throw error;
  const code = refusals[error.code as keyof typeof refusals];
  const detail = code === 'import.unwrap_failed' ? {} : { detail: error.message };
  throw new OperationError(code, { field: '/wrapped', ...detail });
}

function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    return refuse(error);
  }
}
