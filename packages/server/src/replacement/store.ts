import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedFields, SealedTable } from '../keys/index.ts';
import { systemClock } from '../platform/clock.ts';
import { databaseTime, dialectOf } from '../platform/database.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type ReplacementRow = Selectable<Tables['root_replacement']>;
export type ReplacementLogRow = Selectable<Tables['root_replacement_log']>;
type Unsealed<Row> = Omit<Row, 'seal'>;

function replacementFields(row: Unsealed<ReplacementRow>): SealedFields {
  return [
    row.id,
    row.root,
    row.reason,
    row.approval,
    row.break_glass,
    row.epoch,
    row.state,
    row.begun_at,
    row.ended_at,
  ];
}

function logFields({
  replacement,
  log,
  old_version,
  old_key,
  state,
}: Unsealed<ReplacementLogRow>): SealedFields {
  return [replacement, log, old_version, createHash('sha256').update(old_key).digest('hex'), state];
}

/** How the rows of this slice are sealed. */
export const replacementTables: readonly SealedTable[] = [
  { table: 'root_replacement', identity: ['id'], owner: 'instance', forms: [replacementFields] },
  { table: 'root_replacement_log', identity: ['replacement', 'log'], owner: 'instance', forms: [logFields] },
];

/** The replacement that was begun and not ended, its seal checked. */
export async function findOpen(tx: Tx, rowKey: KeyObject): Promise<ReplacementRow | undefined> {
  const row = await tx
    .selectFrom('root_replacement')
    .selectAll()
    .where('state', '=', 'open')
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'root_replacement', replacementFields(row), row.seal);
  return row;
}

export async function putReplacement(
  tx: Tx,
  rowKey: KeyObject,
  row: Unsealed<ReplacementRow>,
): Promise<void> {
  const sealed = { ...row, seal: sealRow(rowKey, 'root_replacement', replacementFields(row)) };
  await tx
    .insertInto('root_replacement')
    .values(sealed)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(sealed))
    .execute();
}

/** What is left to do, or was done, for each log, the seals checked. */
export async function listLogs(tx: Tx, rowKey: KeyObject, replacement: string): Promise<ReplacementLogRow[]> {
  const rows = await tx
    .selectFrom('root_replacement_log')
    .selectAll()
    .where('replacement', '=', replacement)
    .orderBy('log')
    .execute();
  for (const row of rows) checkRow(rowKey, 'root_replacement_log', logFields(row), row.seal);
  return rows;
}

export async function putLog(tx: Tx, rowKey: KeyObject, row: Unsealed<ReplacementLogRow>): Promise<void> {
  const sealed = { ...row, seal: sealRow(rowKey, 'root_replacement_log', logFields(row)) };
  await tx
    .insertInto('root_replacement_log')
    .values(sealed)
    .onConflict((conflict) => conflict.columns(['replacement', 'log']).doUpdateSet(sealed))
    .execute();
}

/** The database's time, ms since 1970. */
export async function readTime(tx: Tx): Promise<number> {
  const row = await tx.selectNoFrom(databaseTime(tx, systemClock).as('time')).executeTakeFirstOrThrow();
  return row.time;
}

/** Every column of the database that is a seal or is named after a wrapped key: `table.column`. */
export async function sealsAndWrappings(tx: Tx): Promise<string[]> {
  const columns =
    dialectOf(tx) === 'sqlite'
      ? sql<{ place: string; name: string }>`select m.name || '.' || c.name as place, c.name as name
          from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table'`
      : sql<{
          place: string;
          name: string;
        }>`select table_name || '.' || column_name as place, column_name as name
          from information_schema.columns where table_schema = current_schema()`;
  const { rows } = await columns.execute(tx);
  return rows.filter(({ name }) => name === 'seal' || name.startsWith('wrapped')).map(({ place }) => place);
}

/** A row of any table, by its columns. */
export type AnyRow = Readonly<Record<string, unknown>>;

const rowsPerPage = 500;

/** The rows of a table, some hundreds at a time, in the order of what names them. */
export async function* pagesOf(tx: Tx, { table, identity }: SealedTable): AsyncGenerator<readonly AnyRow[]> {
  const columns = sql.join(identity.map((column) => sql.ref(column)));
  let last: AnyRow | undefined;
  for (;;) {
    const from: AnyRow | undefined = last;
    const behind =
      from === undefined
        ? sql``
        : sql`where (${columns}) > (${sql.join(identity.map((each) => from[each]))})`;
    const page = sql<AnyRow>`select * from ${sql.table(table)} ${behind} order by ${columns} limit ${rowsPerPage}`;
    const { rows } = await page.execute(tx);
    if (rows.length === 0) return;
    yield rows;
    last = rows.at(-1);
  }
}

/** Writes columns of a row that was read in this transaction. */
export async function updateRow(
  tx: Tx,
  { table, identity }: SealedTable,
  row: AnyRow,
  change: AnyRow,
): Promise<void> {
  const set = sql.join(Object.entries(change).map(([column, value]) => sql`${sql.ref(column)} = ${value}`));
  const where = sql.join(
    identity.map((column) => sql`${sql.ref(column)} = ${row[column]}`),
    sql` and `,
  );
  await sql`update ${sql.table(table)} set ${set} where ${where}`.execute(tx);
}

/** Whose each row of a table is, by its id: its tenant or log. */
export async function ownersIn(
  tx: Tx,
  table: string,
  column: 'tenant' | 'log',
): Promise<Map<string, unknown>> {
  const { rows } = await sql<{ id: string; owner: unknown }>`
    select id, ${sql.ref(column)} as owner from ${sql.table(table)}`.execute(tx);
  return new Map(rows.map(({ id, owner }) => [id, owner]));
}

export async function listLogRows(tx: Tx) {
  return tx
    .selectFrom('log')
    .select(['id', 'tenant', 'payload_key_version', 'wrapped_payload_key'])
    .orderBy('id')
    .execute();
}

export async function setPayloadKey(tx: Tx, log: number, wrapped_payload_key: Uint8Array): Promise<void> {
  await tx.updateTable('log').set({ wrapped_payload_key }).where('id', '=', log).execute();
}

/** Signing keys of logs that can still sign. */
export async function listSigningKeys(tx: Tx) {
  const rows = await tx
    .selectFrom('log_key')
    .select(['id', 'log', 'algorithm', 'wrapped_key'])
    .where('wrapped_key', 'is not', null)
    .execute();
  return rows.flatMap(({ wrapped_key, ...row }) => (wrapped_key === null ? [] : [{ ...row, wrapped_key }]));
}

export async function setSigningKey(tx: Tx, id: string, wrapped_key: Uint8Array): Promise<void> {
  await tx.updateTable('log_key').set({ wrapped_key }).where('id', '=', id).execute();
}

export async function listTenantKeys(tx: Tx) {
  return tx
    .selectFrom('tenant')
    .select(['id', 'key_version', 'wrapped_key', 'wrapped_row_key'])
    .orderBy('id')
    .execute();
}

export async function listTenantRoots(tx: Tx) {
  return tx.selectFrom('tenant_root').selectAll().execute();
}

export async function setTenantKey(
  tx: Tx,
  tenant: string,
  key: Partial<Pick<Tables['tenant'], 'key_version' | 'wrapped_key'>> & { wrapped_row_key?: Uint8Array },
): Promise<void> {
  await tx.updateTable('tenant').set(key).where('id', '=', tenant).execute();
}

/** What a key is, by its id, for the places of its versions. */
export async function keyKinds(tx: Tx) {
  const rows = await tx.selectFrom('key').select(['id', 'tenant', 'algorithm', 'purpose']).execute();
  return new Map(rows.map((row) => [row.id, row]));
}

/** How many versions of keys, by key, were made before a time: what whoever had the old instance key may know. */
export async function versionsBefore(tx: Tx, tenant: string, time: number) {
  return tx
    .selectFrom('key_version')
    .innerJoin('key', 'key.id', 'key_version.key')
    .select(['key_version.key', 'key_version.version', 'key.purpose'])
    .where('key_version.token', 'is', null)
    .where('key.tenant', '=', tenant)
    .where('key_version.created_at', '<', time)
    .orderBy('key_version.key')
    .orderBy('key_version.version')
    .execute();
}

/** The keys whose newest version was made before a time, though they protect, or may again; but for those that stay in an HSM. */
export async function keysLeft(tx: Tx, tenant: string, time: number): Promise<string[]> {
  const rows = await tx
    .selectFrom('key')
    .innerJoin('key_version', (join) =>
      join.onRef('key_version.key', '=', 'key.id').onRef('key_version.version', '=', 'key.version'),
    )
    .select('key.id')
    .where('key.tenant', '=', tenant)
    .where('key.state', 'in', ['active', 'suspended', 'pre-activation'])
    .where('key.protection', '=', 'software')
    .where('key_version.created_at', '<', time)
    .orderBy('key.id')
    .execute();
  return rows.map(({ id }) => id);
}

/** The people of a log with a generator of one-time codes that was made before a time. */
export async function oneTimeCodes(tx: Tx, log: number, time: number): Promise<string[]> {
  const rows = await tx
    .selectFrom('authenticator')
    .innerJoin('person', 'person.id', 'authenticator.person')
    .select('person.id')
    .where('person.log', '=', log)
    .where('authenticator.type', '=', 'totp')
    .where('authenticator.created_at', '<', time)
    .orderBy('person.id')
    .execute();
  return rows.map(({ id }) => id);
}

/** What a log signs with. */
export async function verifierKeys(tx: Tx, log: number): Promise<string[]> {
  const rows = await tx
    .selectFrom('log_key')
    .select('verifier_key')
    .where('log', '=', log)
    .where('state', '=', 'active')
    .orderBy('algorithm')
    .execute();
  return rows.map(({ verifier_key }) => verifier_key);
}

/** Ends the imports of keys of a tenant that are waiting for their material. @returns how many */
export async function deleteImports(tx: Tx, tenant: string): Promise<number> {
  const ended = await tx.deleteFrom('key_import').where('tenant', '=', tenant).executeTakeFirst();
  return Number(ended.numDeletedRows);
}

/** The credentials of a log whose secret the database has under the keys from before, because requests are signed with it. */
export async function accessKeys(tx: Tx, log: number, time: number): Promise<string[]> {
  const rows = await tx
    .selectFrom('credential')
    .select('id')
    .where('log', '=', log)
    .where('wrapped_secret', 'is not', null)
    .where('state', '=', 'active')
    .where('created_at', '<', time)
    .orderBy('id')
    .execute();
  return rows.map(({ id }) => id);
}
