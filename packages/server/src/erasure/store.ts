import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type ErasureRow = Selectable<Tables['erasure']>;
export type UnsealedErasure = Omit<ErasureRow, 'seal'>;

function fields(row: UnsealedErasure): (string | number | null)[] {
  const { subject, study, tenant, removed_at, epoch, renewed_at, completed_at } = row;
  return [subject, study, tenant, removed_at, epoch, renewed_at, completed_at];
}

/** Writes the erasure of a subject, over one that was there. */
export async function put(tx: Tx, rowKey: KeyObject, row: UnsealedErasure): Promise<void> {
  const values = { ...row, seal: sealRow(rowKey, 'erasure', fields(row)) };
  await tx
    .insertInto('erasure')
    .values(values)
    .onConflict((conflict) => conflict.columns(['study', 'subject']).doUpdateSet(values))
    .execute();
}

/** As `put`, where the database has the study: what was made after a backup is not there after it was restored. */
export async function putWhereRegistered(tx: Tx, rowKey: KeyObject, row: UnsealedErasure): Promise<void> {
  const study = await tx.selectFrom('study').select('id').where('id', '=', row.study).executeTakeFirst();
  if (study !== undefined) await put(tx, rowKey, row);
}

export async function find(
  tx: Tx,
  rowKey: KeyObject,
  study: string,
  subject: string,
): Promise<ErasureRow | undefined> {
  const row = await tx
    .selectFrom('erasure')
    .selectAll()
    .where('study', '=', study)
    .where('subject', '=', subject)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'erasure', fields(row), row.seal);
  return row;
}

/** Erasures, of a tenant or of all, that are not complete. Their seals are not checked: whoever goes by one reads it with `find`. */
export async function open(tx: Tx, tenant: string | null): Promise<UnsealedErasure[]> {
  return tx
    .selectFrom('erasure')
    .selectAll()
    .where('completed_at', 'is', null)
    .$if(tenant !== null, (query) => query.where('tenant', '=', tenant ?? ''))
    .orderBy('removed_at')
    .execute();
}

/** In the place of an alias: the erasure of a whole study, of its own key and those of all its subjects. */
export const wholeStudy = '';

/** Up to `limit` aliases of a study in their order, from behind `after`. */
export async function aliasesOf(tx: Tx, study: string, after: string, limit: number): Promise<string[]> {
  const rows = await tx
    .selectFrom('subject')
    .select('alias')
    .where('study', '=', study)
    .where('alias', '>', after)
    .orderBy('alias')
    .limit(limit)
    .execute();
  return rows.map(({ alias }) => alias);
}

/** Writes how far the erasure of all subjects of a study is; those that are erased stay so. */
export async function setStates(tx: Tx, study: string, state: 'erasing' | 'erased'): Promise<void> {
  await tx
    .updateTable('subject')
    .set({ state })
    .where('study', '=', study)
    .where('state', '<>', 'erased')
    .execute();
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

/** Writes how far the erasure of a subject is. */
export async function setState(
  tx: Tx,
  { study, subject }: Pick<UnsealedErasure, 'study' | 'subject'>,
  state: 'erasing' | 'erased',
): Promise<void> {
  await tx
    .updateTable('subject')
    .set({ state })
    .where('study', '=', study)
    .where('alias', '=', subject)
    .execute();
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'erasure', identity: ['study', 'subject'], owner: 'tenant', forms: [fields] },
];
