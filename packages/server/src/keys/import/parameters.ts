import type { KeyObject } from 'node:crypto';
import { importTokenHours, transferWrap } from '@trialkeep/contract';
import type { Input, Operations, Output } from '@trialkeep/contract';
import { generateSecret, hashSecret, unwrapKey, wrapKey } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import type { Profile } from '../../platform/config.ts';
import type { Database, Tx } from '../../platform/database.ts';
import { OperationError } from '../../platform/errors.ts';
import { idBytes, newId } from '../../platform/ids.ts';
import { tenantOf } from '../../platform/implementation.ts';
import type { Apply, Context } from '../../platform/implementation.ts';
import { remove as removeJob, schedule } from '../../platform/jobs/index.ts';
import type { JobHandler } from '../../platform/jobs/index.ts';
import type { LifecycleParts } from '../change.ts';
import type { Hierarchy } from '../hierarchy.ts';
import { chooseKind } from '../kind.ts';
import { chooseProtection } from '../protection.ts';
import type { ProtectionPolicy } from '../protection.ts';
import { stateAt } from '../states.ts';
import { findKey, systemType } from '../store.ts';
import * as store from './store.ts';
import type { ImportRow } from './store.ts';

/** The task of the jobs that take away imports which nobody completed. */
export const importEndTask = 'keys.end-import';

const hourMs = 3_600_000;
/** Imports that a tenant may have open at once: each has a pair of its own. */
const maxOpenImports = 100;

export type ImportParts = LifecycleParts & {
  readonly database: Database;
  readonly profile: Profile;
  readonly protection: ProtectionPolicy;
};
type Asking = 'keys.import-parameters' | 'keys.import-version-parameters';
type Parameters = Output<Operations[Asking]>;
type Wanted = Pick<
  ImportRow,
  'key' | 'is_version' | 'system' | 'algorithm' | 'purpose' | 'description' | 'exportable' | 'key_expires_at'
>;

function jobName(id: string): string {
  return `${importEndTask}/${id}`;
}

/** What a new key is brought under. */
export async function newKeyParameters(
  parts: ImportParts,
  context: Context<'keys.import-parameters'>,
): Promise<Apply<'keys.import-parameters'>> {
  const { input, record, facts, now, caller } = context;
  const { system, expiresAt } = input;
  record.system = system;
  if (expiresAt !== undefined && expiresAt <= now)
    throw new OperationError('date.past', { field: '/expiresAt' });
  const type = await facts.get(`type of system ${system}`, (snapshot) =>
    systemType(snapshot, tenantOf(caller), system),
  );
  if (type === undefined) throw new OperationError('system.unknown', { field: '/system' });
  const kind = chooseKind(parts.profile, kindOf(input));
  // What came from outside was never inside an HSM alone.
  chooseProtection(parts.protection, kind, type, 'software');
  const { algorithm, purpose } = kind;
  return begin(parts, context, {
    key: newId(),
    is_version: 0,
    system,
    algorithm,
    purpose,
    description: input.description ?? '',
    exportable: input.exportable === true ? 1 : 0,
    key_expires_at: expiresAt ?? null,
  });
}

function kindOf({ system, algorithm, purpose }: Input<Operations['keys.import-parameters']>) {
  return { system, algorithm, ...(purpose !== undefined && { purpose }) };
}

/** What the next version of an imported key is brought under. */
export async function versionParameters(
  parts: ImportParts,
  context: Context<'keys.import-version-parameters'>,
): Promise<Apply<'keys.import-version-parameters'>> {
  const { input, record, facts, now, caller } = context;
  const tenant = tenantOf(caller);
  record.key = input.key;
  const rowKey = await parts.hierarchy.rowKey(tenant);
  const row = await facts.read((snapshot) => findKey(snapshot, rowKey, tenant, input.key));
  if (row === undefined) throw new OperationError('key.unknown', { field: '/key' });
  record.system = row.system;
  if (row.imported !== 1) throw new OperationError('key.not_imported', { field: '/key' });
  if (stateAt(row, now) !== 'active') throw new OperationError('key.transition_undefined', { field: '/key' });
  const { id: key, system, algorithm, purpose, description, exportable } = row;
  const wanted = { key, system, algorithm, purpose, description, exportable };
  return begin(parts, context, { ...wanted, is_version: 1, key_expires_at: null });
}

/** A fresh pair and token, which only the requester can use, once, and only for this key. */
async function begin(
  { hierarchy }: ImportParts,
  context: Context<Asking>,
  wanted: Wanted,
): Promise<(tx: Tx, time: number) => Promise<Parameters>> {
  const { input, caller, record, facts } = context;
  const tenant = tenantOf(caller);
  const algorithm = input.wrappingAlgorithm ?? 'RSA_4096';
  const [tenantKey, rowKey, open] = await Promise.all([
    hierarchy.tenantKey(tenant),
    hierarchy.rowKey(tenant),
    facts.read((snapshot) => store.listIds(snapshot, tenant)),
  ]);
  if (open.length >= maxOpenImports) throw new OperationError('import.too_many');
  // Making an RSA key takes long.
  const made = await context.once(async () => {
    const id = newId();
    const { secret, publicKey } = await hierarchy.newMaterial(tenant, algorithm, 'key');
    if (publicKey === undefined) throw new Error(`${algorithm} has no public key.`);
    const place = importPlace({ tenant, key: wanted.key, id, wrapping_algorithm: algorithm });
    return {
      id,
      publicKey,
      wrapped: wrapKey({ wrappingKey: tenantKey, place, key: secret }),
      key: wanted.key,
    };
  });
  record.import = made.id;
  record.key = made.key;
  return async (tx, time) => {
    if ((await store.listIds(tx, tenant)).length >= maxOpenImports) {
      throw new OperationError('import.too_many');
    }
    const token = generateSecret('import');
    const ends_at = time + importTokenHours * hourMs;
    record.dueAt = ends_at;
    await store.insert(tx, rowKey, {
      ...wanted,
      key: made.key,
      id: made.id,
      tenant,
      requester: caller.actor,
      token_hash: hashSecret(token),
      wrapping_algorithm: algorithm,
      wrapped_key: made.wrapped,
      tries: 0,
      ends_at,
    });
    const job = { name: jobName(made.id), task: importEndTask, input: { import: made.id }, dueAt: ends_at };
    await schedule(tx, job);
    return {
      key: made.key,
      algorithm: wanted.algorithm as Parameters['algorithm'],
      wrap: transferWrap,
      publicKey: Buffer.from(made.publicKey).toString('base64'),
      token,
      expiresAt: ends_at,
    };
  };
}

/** The private key that material was wrapped for. */
export async function wrappingKeyOf(hierarchy: Hierarchy, row: ImportRow): Promise<KeyObject> {
  const wrappingKey = await hierarchy.tenantKey(row.tenant);
  return unwrapKey({ wrappingKey, place: importPlace(row), wrapped: row.wrapped_key });
}

/** Bound to the import and to the key that it is for (docs/formats/wrapped-key.md). */
function importPlace({
  tenant,
  key,
  id,
  wrapping_algorithm: algorithm,
}: Pick<ImportRow, 'tenant' | 'key' | 'id' | 'wrapping_algorithm'>): KeyPlace {
  return {
    kind: 'import',
    tenantId: idBytes(tenant),
    keyId: idBytes(key),
    versionId: idBytes(id),
    purpose: 'decrypt',
    algorithm: algorithm as NonNullable<KeyPlace['algorithm']>,
  };
}

/** Ends an import that was completed, in its transaction: pair, token and job. False where somebody else has ended it. */
export async function endImport(tx: Tx, id: string): Promise<boolean> {
  await removeJob(tx, jobName(id));
  return store.remove(tx, id);
}

/** Takes away what nobody completed in time; its parameters' entry said when. */
export function importEndHandler({ database }: { readonly database: Database }): JobHandler {
  return async (job) => {
    await database.write(async (tx) => {
      await store.removeEnded(tx, String(job.input['import']), job.beganAt);
      await job.complete(tx);
    });
  };
}
