import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type SystemRow = Pick<Selectable<Tables['system']>, 'id' | 'name' | 'vendor'>;
export type DrillRow = Selectable<Tables['drill']>;
export type ScheduleRow = Selectable<Tables['drill_schedule']>;
type Unsealed<Row> = Omit<Row, 'seal'>;

/** The systems of a vendor, or the one of that id. */
export async function systemsOf(
  tx: Tx,
  tenant: string,
  which: { readonly vendor: string } | { readonly id: string },
): Promise<SystemRow[]> {
  const query = tx.selectFrom('system').select(['id', 'name', 'vendor']).where('tenant', '=', tenant);
  const narrowed =
    'id' in which ? query.where('id', '=', which.id) : query.where('vendor', '=', which.vendor);
  return narrowed.orderBy('created_at').orderBy('id').execute();
}

export async function studyExists(tx: Tx, tenant: string, study: string): Promise<boolean> {
  const row = await tx
    .selectFrom('study')
    .select('id')
    .where('id', '=', study)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  return row !== undefined;
}

/** How many entries the log has, and the first that is still on the server. */
export async function extentOf(tx: Tx, log: number): Promise<{ size: number; first: number }> {
  return tx
    .selectFrom('head')
    .innerJoin('log', 'log.id', 'head.log')
    .select(['head.size', 'log.pruned_below as first'])
    .where('head.log', '=', log)
    .executeTakeFirstOrThrow();
}

function drillFields(row: Unsealed<DrillRow>): (string | number | null)[] {
  const { id, log, scope, system, key, credential, state, begun_at, ended_at, hash } = row;
  return [id, log, scope, system, key, credential, state, begun_at, ended_at, hash];
}

export async function putDrill(tx: Tx, rowKey: KeyObject, row: Unsealed<DrillRow>): Promise<void> {
  const sealed = { ...row, seal: sealRow(rowKey, 'drill', drillFields(row)) };
  await tx
    .insertInto('drill')
    .values(sealed)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(sealed))
    .execute();
}

export async function findDrill(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<DrillRow | undefined> {
  const row = await tx
    .selectFrom('drill')
    .selectAll()
    .where('id', '=', id)
    .where('log', '=', log)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'drill', drillFields(row), row.seal);
  return row;
}

/** The newest drills of the log, newest first. */
export async function listDrills(tx: Tx, rowKey: KeyObject, log: number, limit: number): Promise<DrillRow[]> {
  const rows = await tx
    .selectFrom('drill')
    .selectAll()
    .where('log', '=', log)
    .orderBy('begun_at', 'desc')
    .orderBy('id')
    .limit(limit)
    .execute();
  for (const row of rows) checkRow(rowKey, 'drill', drillFields(row), row.seal);
  return rows;
}

function scheduleFields(row: Unsealed<ScheduleRow>): (string | number)[] {
  return [row.log, row.every_days, row.scope, row.next_at];
}

export async function putSchedule(tx: Tx, rowKey: KeyObject, row: Unsealed<ScheduleRow>): Promise<void> {
  const sealed = { ...row, seal: sealRow(rowKey, 'drill_schedule', scheduleFields(row)) };
  await tx
    .insertInto('drill_schedule')
    .values(sealed)
    .onConflict((conflict) => conflict.column('log').doUpdateSet(sealed))
    .execute();
}

export async function findSchedule(tx: Tx, rowKey: KeyObject, log: number): Promise<ScheduleRow | undefined> {
  const row = await tx.selectFrom('drill_schedule').selectAll().where('log', '=', log).executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'drill_schedule', scheduleFields(row), row.seal);
  return row;
}

export async function deleteSchedule(tx: Tx, log: number): Promise<void> {
  await tx.deleteFrom('drill_schedule').where('log', '=', log).execute();
}

/** How many tenants have a drill that should have been done by then. */
export async function countOverdue(tx: Tx, before: number): Promise<number> {
  const row = await tx
    .selectFrom('drill_schedule')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('next_at', '<', before)
    .executeTakeFirstOrThrow();
  return row.count;
}

/** Registers the system that a drill makes up. */
export async function insertSystem(tx: Tx, row: Selectable<Tables['system']>): Promise<void> {
  await tx.insertInto('system').values(row).execute();
}

/** The keys and credentials of a system that somebody can still use, or destroy. */
export async function leftIn(tx: Tx, system: string): Promise<{ keys: string[]; credentials: string[] }> {
  const keys = await tx
    .selectFrom('key')
    .select('id')
    .where('system', '=', system)
    .where('state', '!=', 'destroyed')
    .orderBy('id')
    .execute();
  const credentials = await tx
    .selectFrom('credential')
    .select('id')
    .where('system', '=', system)
    .where('state', '=', 'active')
    .orderBy('id')
    .execute();
  return { keys: keys.map(({ id }) => id), credentials: credentials.map(({ id }) => id) };
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'drill', identity: ['id'], owner: 'log', forms: [drillFields] },
  { table: 'drill_schedule', identity: ['log'], owner: 'log', forms: [scheduleFields] },
];
