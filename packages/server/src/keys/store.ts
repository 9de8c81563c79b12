import type { KeyObject } from 'node:crypto';
import type { KeyState } from '@trialkeep/contract';
import type { Insertable, Selectable } from 'kysely';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';
import { checkRow, isSealed, sealRow } from './row-seal.ts';
import type { SealedFields, SealedTable } from './row-seal.ts';

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
    ...(row.recipient_period_days === null ? [] : ['recipient', row.recipient_period_days]),
    ...(row.destruction_due_at === null ? [] : ['destruction', row.destruction_due_at]),
    ...(row.imported === 1 ? ['imported'] : []),
    ...(row.exportable === 1 ? ['exportable'] : []),
    ...(row.protection === 'hsm' ? ['hsm'] : []),
  ];
}

type SealedVersion = Pick<
  Unsealed<Insertable<Tables['key_version']>>,
  'id' | 'key' | 'version' | 'public_key' | 'created_at' | 'token'
>;

/** Versions from before their date was sealed; those of symmetric keys as they were before there were others. */
function undatedVersion({ id, key, version, public_key: publicKey }: SealedVersion): SealedFields {
  return [id, key, version, ...(publicKey ? [Buffer.from(publicKey).toString('hex')] : [])];
}

/** With the date, for how long older versions process follows from it, and with the token that it stays in, if any. */
function sealedVersion(row: SealedVersion): SealedFields {
  const token = row.token === null || row.token === undefined ? [] : ['token', row.token];
  return [...undatedVersion(row), 'created', row.created_at, ...token];
}

/** A version carries one of the two seals, and nobody else can make the other. @throws StartupError `database.altered` */
function checkVersion(rowKey: KeyObject, row: SealedVersion & Pick<KeyVersionRow, 'seal'>): void {
  if (isSealed(rowKey, 'key_version', sealedVersion(row), row.seal)) return;
  checkRow(rowKey, 'key_version', undatedVersion(row), row.seal);
}

export type TenantKeyRow = Pick<Selectable<Tables['tenant']>, 'id' | 'key_version' | 'wrapped_key'>;
/** With the key of the rows of a tenant whose own key is destroyed. */
export type EndedKeyRow = TenantKeyRow & Pick<Selectable<Tables['tenant']>, 'wrapped_row_key'>;
export type TenantRootRow = Selectable<Tables['tenant_root']>;

/** How a tenant's key is wrapped: under the instance key, or as the row of the tenant's own root says. Its seal is not checked here. */
export async function findWrappings(
  tx: Tx,
  tenant: string,
): Promise<{ readonly key: EndedKeyRow; readonly root: TenantRootRow | undefined }> {
  const key = await tx
    .selectFrom('tenant')
    .select(['id', 'key_version', 'wrapped_key', 'wrapped_row_key'])
    .where('id', '=', tenant)
    .executeTakeFirstOrThrow();
  const root = await tx.selectFrom('tenant_root').selectAll().where('tenant', '=', tenant).executeTakeFirst();
  return { key, root };
}

/** Puts the tenant's key where `root` says, and takes it away where it was. */
export async function putWrappings(tx: Tx, key: TenantKeyRow, root: TenantRootRow): Promise<void> {
  await tx.updateTable('tenant').set({ wrapped_key: key.wrapped_key }).where('id', '=', key.id).execute();
  const { tenant: _, ...rest } = root;
  await tx
    .insertInto('tenant_root')
    .values(root)
    .onConflict((conflict) => conflict.column('tenant').doUpdateSet(rest))
    .execute();
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
      rotation_period_days: row.rotation_period_days,
      own_rotation: row.own_rotation,
      recipient_period_days: row.recipient_period_days,
      rotation_due_at: row.rotation_due_at,
      revocation_cause: row.revocation_cause,
      revoked_at: row.revoked_at,
      destruction_due_at: row.destruction_due_at,
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

/** Whether the row carries the seal that was written with it. @throws StartupError `database.altered` */
export function checkKey(rowKey: KeyObject, row: KeyRow): void {
  checkRow(rowKey, 'key', sealedFields(row), row.seal);
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

/**
 * The first keys of the systems, oldest first, of those behind `after`, that are in one of the states; of those in `once` only what
 * was not revoked. Their seals are checked.
 */
export async function listKeysIn(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
  which: {
    readonly systems: readonly string[];
    readonly states: readonly KeyState[];
    readonly once: readonly KeyState[];
    readonly after: Pick<KeyRow, 'created_at' | 'id'> | undefined;
    readonly limit: number;
  },
): Promise<KeyRow[]> {
  const { systems, states, once, after, limit } = which;
  let query = tx
    .selectFrom('key')
    .selectAll()
    .where('tenant', '=', tenant)
    .where('system', 'in', systems)
    .where('state', 'in', states);
  if (once.length > 0) {
    query = query.where((eb) => eb.or([eb('revoked_at', 'is', null), eb('state', 'not in', once)]));
  }
  if (after !== undefined) {
    query = query.where((eb) =>
      eb.or([
        eb('created_at', '>', after.created_at),
        eb.and([eb('created_at', '=', after.created_at), eb('id', '>', after.id)]),
      ]),
    );
  }
  const rows = await query.orderBy('created_at').orderBy('id').limit(limit).execute();
  for (const row of rows) checkKey(rowKey, row);
  return rows;
}

export async function insertVersion(
  tx: Tx,
  rowKey: KeyObject,
  row: Unsealed<Insertable<Tables['key_version']>>,
): Promise<void> {
  const seal = sealRow(rowKey, 'key_version', sealedVersion(row));
  await tx
    .insertInto('key_version')
    .values({ ...row, seal })
    .execute();
}

/** The versions of a key in the order of their numbers, their seals checked. */
export async function listVersions(tx: Tx, rowKey: KeyObject, key: string): Promise<KeyVersion[]> {
  const rows = await tx
    .selectFrom('key_version')
    .select(['id', 'key', 'version', 'public_key', 'created_at', 'token', 'seal'])
    .where('key', '=', key)
    .orderBy('version')
    .execute();
  for (const row of rows) checkVersion(rowKey, row);
  return rows;
}

/** The next keys that stay in an HSM, behind `after` by their ids, but for those that are destroyed; their seals are not checked. */
export async function residentKeys(
  tx: Tx,
  after: string,
  limit: number,
): Promise<Pick<KeyRow, 'id' | 'tenant'>[]> {
  return tx
    .selectFrom('key')
    .select(['id', 'tenant'])
    .where('protection', '=', 'hsm')
    .where('state', '<>', 'destroyed')
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** Keys that are in no HSM and not destroyed, of systems of these types. */
export async function countSoftwareKeys(tx: Tx, types: readonly string[]): Promise<number> {
  const row = await tx
    .selectFrom('key')
    .innerJoin('system', 'system.id', 'key.system')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('system.type', 'in', types)
    .where('key.protection', '=', 'software')
    .where('key.state', '<>', 'destroyed')
    .executeTakeFirstOrThrow();
  return row.count;
}

/** A version with its secret, or what stays in an HSM and has none; undefined where there is no such version, or no secret any more. */
export async function findVersion(tx: Tx, key: string, id: string): Promise<KeyVersionRow | undefined> {
  const row = await tx
    .selectFrom('key_version')
    .selectAll()
    .where('id', '=', id)
    .where('key', '=', key)
    .executeTakeFirst();
  return row !== undefined && (row.wrapped_secret.length > 0 || row.token !== null) ? row : undefined;
}

/** The key of the tenant that has this version, and its number; the row decides nothing. */
export async function findKeyOfVersion(
  tx: Tx,
  tenant: string,
  id: string,
): Promise<{ key: string; version: number } | undefined> {
  return tx
    .selectFrom('key_version')
    .innerJoin('key', 'key.id', 'key_version.key')
    .select(['key_version.key as key', 'key_version.version as version'])
    .where('key_version.id', '=', id)
    .where('key.tenant', '=', tenant)
    .executeTakeFirst();
}

/** Overwrites the secrets of all versions of a key with nothing, and takes away what was exported of it and waits to be fetched. */
export async function destroySecrets(tx: Tx, key: string): Promise<void> {
  await tx.updateTable('key_version').set({ wrapped_secret: noSecret }).where('key', '=', key).execute();
  await tx.deleteFrom('key_export').where('key', '=', key).execute();
}

/** What kind of system it is; undefined where the tenant has no such system. */
export async function systemType(tx: Tx, tenant: string, system: string): Promise<string | undefined> {
  const row = await tx
    .selectFrom('system')
    .select('type')
    .where('id', '=', system)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  return row?.type;
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

/** When the newest version that there is was made, ms; of a key whose newest ones were lost, an older one. */
export async function newestMadeAt(tx: Tx, key: string): Promise<number> {
  const row = await tx
    .selectFrom('key_version')
    .select('created_at')
    .where('key', '=', key)
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow();
  return row.created_at;
}

/** Keys without a period of their own whose dates go by another one than this, of those that may rotate at this time or later. */
export async function keysOfOtherPeriod(
  tx: Tx,
  { tenant, days, time, limit }: { tenant: string; days: number; time: number; limit: number },
): Promise<string[]> {
  const rows = await tx
    .selectFrom('key')
    .select('id')
    .where('tenant', '=', tenant)
    .where('own_rotation', '=', 0)
    .where('rotation_period_days', '<>', days)
    .where('state', 'in', ['active', 'suspended'])
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', time)]))
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}

/** How the rows of keys are sealed. */
export const keyTables: readonly SealedTable[] = [
  { table: 'key', identity: ['id'], owner: 'tenant', forms: [sealedFields] },
  {
    table: 'key_version',
    identity: ['id'],
    owner: { column: 'key', table: 'key' },
    forms: [sealedVersion, undatedVersion],
  },
];
