import type { KeyObject } from 'node:crypto';
import type { Insertable, Selectable } from 'kysely';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';
import { checkRow, sealRow } from './row-seal.ts';
import type { SealedFields } from './row-seal.ts';

export type KeyRow = Selectable<Tables['key']>;
export type KeyVersionRow = Selectable<Tables['key_version']>;
/** A version without its secret. */
export type KeyVersion = Omit<KeyVersionRow, 'wrapped_secret'>;
type Unsealed<Row> = Omit<Row, 'seal'>;

/** What a destroyed version holds. */
const noSecret = new Uint8Array(0);

function sealedFields(row: Unsealed<KeyRow>): SealedFields {
  return [
    row.id,
    row.tenant,
    row.system,
    row.algorithm,
    row.purpose,
    row.state,
    row.version,
    row.activates_at,
    row.expires_at,
    row.revocation_cause,
    row.revoked_at,
    // Keys from before there was this class are sealed without it.
    ...(row.use_logged === 1 ? ['use-logged'] : []),
  ];
}

export async function findTenantKey(
  tx: Tx,
  tenant: string,
): Promise<{ key_version: string; wrapped_key: Uint8Array }> {
  return tx
    .selectFrom('tenant')
    .select(['key_version', 'wrapped_key'])
    .where('id', '=', tenant)
    .executeTakeFirstOrThrow();
}

export async function insertKey(tx: Tx, rowKey: KeyObject, row: Unsealed<KeyRow>): Promise<void> {
  const seal = sealRow(rowKey, 'key', sealedFields(row));
  await tx
    .insertInto('key')
    .values({ ...row, seal })
    .execute();
}

/** Writes the fields that a change can touch, and the seal over all. */
export async function updateKey(tx: Tx, rowKey: KeyObject, row: Unsealed<KeyRow>): Promise<void> {
  await tx
    .updateTable('key')
    .set({
      state: row.state,
      version: row.version,
      rotation_due_at: row.rotation_due_at,
      revocation_cause: row.revocation_cause,
      revoked_at: row.revoked_at,
      seal: sealRow(rowKey, 'key', sealedFields(row)),
    })
    .where('id', '=', row.id)
    .execute();
}

/** The key with its seal checked; undefined where this tenant has no such key. */
export async function findKey(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
  id: string,
): Promise<KeyRow | undefined> {
  const row = await tx
    .selectFrom('key')
    .selectAll()
    .where('id', '=', id)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'key', sealedFields(row), row.seal);
  return row;
}

export async function listKeys(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
  system?: string,
): Promise<KeyRow[]> {
  let query = tx
    .selectFrom('key')
    .selectAll()
    .where('tenant', '=', tenant)
    .orderBy('created_at')
    .orderBy('id');
  if (system !== undefined) query = query.where('system', '=', system);
  const rows = await query.execute();
  for (const row of rows) checkRow(rowKey, 'key', sealedFields(row), row.seal);
  return rows;
}

export async function insertVersion(
  tx: Tx,
  rowKey: KeyObject,
  row: Unsealed<Insertable<Tables['key_version']>>,
): Promise<void> {
  const seal = sealRow(rowKey, 'key_version', [row.id, row.key, row.version]);
  await tx
    .insertInto('key_version')
    .values({ ...row, seal })
    .execute();
}

/** The versions of a key in the order of their numbers, their seals checked. */
export async function listVersions(tx: Tx, rowKey: KeyObject, key: string): Promise<KeyVersion[]> {
  const rows = await tx
    .selectFrom('key_version')
    .select(['id', 'key', 'version', 'created_at', 'seal'])
    .where('key', '=', key)
    .orderBy('version')
    .execute();
  for (const row of rows) checkRow(rowKey, 'key_version', [row.id, row.key, row.version], row.seal);
  return rows;
}

/** A version with its secret; undefined where there is none, or no secret any more. */
export async function findVersion(tx: Tx, key: string, id: string): Promise<KeyVersionRow | undefined> {
  const row = await tx
    .selectFrom('key_version')
    .selectAll()
    .where('id', '=', id)
    .where('key', '=', key)
    .executeTakeFirst();
  return row !== undefined && row.wrapped_secret.length > 0 ? row : undefined;
}

/** Overwrites the secrets of all versions of a key with nothing. */
export async function destroySecrets(tx: Tx, key: string): Promise<void> {
  await tx.updateTable('key_version').set({ wrapped_secret: noSecret }).where('key', '=', key).execute();
}

export async function systemExists(tx: Tx, tenant: string, system: string): Promise<boolean> {
  const row = await tx
    .selectFrom('system')
    .select('id')
    .where('id', '=', system)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  return row !== undefined;
}

/** Which of the context's names exist; read together, in the snapshot of the authorisation. */
export async function contextExists(
  tx: Tx,
  tenant: string,
  study: string,
  subject: string | undefined,
): Promise<{ study: boolean; subject: boolean }> {
  const found = await tx
    .selectFrom('study')
    .select('id')
    .where('id', '=', study)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  if (found === undefined || subject === undefined) return { study: found !== undefined, subject: false };
  const row = await tx
    .selectFrom('subject')
    .select('alias')
    .where('study', '=', study)
    .where('alias', '=', subject)
    .where('state', '=', 'active')
    .executeTakeFirst();
  return { study: true, subject: row !== undefined };
}

/** The systems of those of the keys that the tenant has, by key id. */
export async function keysKnown(
  tx: Tx,
  tenant: string,
  keys: readonly string[],
): Promise<Map<string, string>> {
  if (keys.length === 0) return new Map();
  const rows = await tx
    .selectFrom('key')
    .select(['id', 'system'])
    .where('tenant', '=', tenant)
    .where('id', 'in', [...keys])
    .execute();
  return new Map(rows.map(({ id, system }) => [id, system]));
}
