import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedFields, SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';
import type { ExitTable } from './tables.ts';

export type ExitRow = Selectable<Tables['tenant_exit']>;
export type Exit = Omit<ExitRow, 'seal'>;
export type PageRow = Selectable<Tables['tenant_exit_page']>;

function fields(row: Exit): SealedFields {
  const { tenant, id, state, uses, pages, opened, manifest, due_at, changed_at } = row;
  const long = createHash('sha256')
    .update(JSON.stringify([row.recipient, row.progress]))
    .digest('hex');
  return [tenant, id, state, uses, pages, opened, manifest, due_at, changed_at, long];
}

/** The exit of the tenant, its seal checked; undefined where it never began to leave. */
export async function find(tx: Tx, rowKey: KeyObject, tenant: string): Promise<Exit | undefined> {
  const row = await tx.selectFrom('tenant_exit').selectAll().where('tenant', '=', tenant).executeTakeFirst();
  if (row === undefined) return undefined;
  const { seal, ...exit } = row;
  checkRow(rowKey, 'tenant_exit', fields(exit), seal);
  return exit;
}

/** Writes how far the exit is, over what was there. */
export async function put(tx: Tx, rowKey: KeyObject, row: Exit): Promise<void> {
  const sealed = { ...row, seal: sealRow(rowKey, 'tenant_exit', fields(row)) };
  await tx
    .insertInto('tenant_exit')
    .values(sealed)
    .onConflict((conflict) => conflict.column('tenant').doUpdateSet(sealed))
    .execute();
}

export async function insertPage(tx: Tx, row: PageRow): Promise<void> {
  await tx.insertInto('tenant_exit_page').values(row).execute();
}

export async function deletePages(tx: Tx, tenant: string): Promise<void> {
  await tx.deleteFrom('tenant_exit_page').where('tenant', '=', tenant).execute();
}

export async function listPages(tx: Tx, tenant: string): Promise<PageRow[]> {
  return tx.selectFrom('tenant_exit_page').selectAll().where('tenant', '=', tenant).orderBy('page').execute();
}

export type Column = string | number | bigint | null | Uint8Array;

/** The first rows of a table that are the tenant's, behind those whose primary key is `after`. */
export async function rowsOf(
  tx: Tx,
  { table, owner, key }: ExitTable,
  { tenant, log }: { readonly tenant: string; readonly log: number },
  {
    after,
    limit,
  }: { readonly after: readonly (string | number | Uint8Array)[] | undefined; readonly limit: number },
): Promise<Record<string, Column>[]> {
  const own = owner.is === 'tenant' ? tenant : log;
  const isOwn =
    'table' in owner
      ? sql`${sql.ref(owner.column)} in (select id from ${sql.table(owner.table)} where ${sql.ref(owner.is)} = ${own})`
      : sql`${sql.ref(owner.column)} = ${own}`;
  const columns = sql.join(key.map((name) => sql.ref(name)));
  const isBehind =
    after === undefined ? sql`` : sql` and (${columns}) > (${sql.join(after.map((value) => sql`${value}`))})`;
  const { rows } = await sql<Record<string, Column>>`
    select * from ${sql.table(table)} where ${isOwn}${isBehind} order by ${columns} limit ${limit}`.execute(
    tx,
  );
  return rows;
}

/** A version of a system's key, with what places it. */
export interface VersionToCopy {
  readonly id: string;
  readonly key: string;
  readonly algorithm: string;
  readonly purpose: string;
  readonly public_key: Uint8Array | null;
  /** Whether it has a secret here; without one it was destroyed, or stays in a token. */
  readonly held: boolean;
  readonly destroyed: boolean;
}

export async function versionsAfter(
  tx: Tx,
  tenant: string,
  after: string,
  limit: number,
): Promise<VersionToCopy[]> {
  const rows = await tx
    .selectFrom('key_version as v')
    .innerJoin('key as k', 'k.id', 'v.key')
    .select(['v.id', 'v.key', 'k.algorithm', 'k.purpose', 'k.state', 'v.public_key', 'v.wrapped_secret'])
    .where('k.tenant', '=', tenant)
    .where('v.id', '>', after)
    .orderBy('v.id')
    .limit(limit)
    .execute();
  return rows.map(({ state, wrapped_secret, ...row }) => ({
    ...row,
    held: wrapped_secret.length > 0,
    destroyed: state === 'destroyed',
  }));
}

/** Ids of the studies, or aliases of the subjects, of a tenant, from behind `after`. */
export async function shreddablesAfter(
  tx: Tx,
  tenant: string,
  kind: 'study' | 'subject',
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<string[]> {
  if (kind === 'study') {
    const rows = await tx
      .selectFrom('study')
      .select('id')
      .where('tenant', '=', tenant)
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit)
      .execute();
    return rows.map(({ id }) => id);
  }
  const rows = await tx
    .selectFrom('subject')
    .select('alias')
    .where('tenant', '=', tenant)
    .where('alias', '>', after)
    .orderBy('alias')
    .limit(limit)
    .execute();
  return rows.map(({ alias }) => alias);
}

export async function studiesOf(tx: Tx, tenant: string): Promise<string[]> {
  const rows = await tx.selectFrom('study').select('id').where('tenant', '=', tenant).orderBy('id').execute();
  return rows.map(({ id }) => id);
}

/** Puts another payload key in the place of a log's: what is under the old one does not open any more. */
export async function putPayloadKey(
  tx: Tx,
  log: number,
  { versionId, wrapped }: { readonly versionId: string; readonly wrapped: Uint8Array },
): Promise<void> {
  await tx
    .updateTable('log')
    .set({ payload_key_version: versionId, wrapped_payload_key: wrapped })
    .where('id', '=', log)
    .execute();
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'tenant_exit', identity: ['tenant'], owner: 'tenant', forms: [fields] },
];
