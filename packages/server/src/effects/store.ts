import type { KeyObject } from 'node:crypto';
import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type EffectRow = Selectable<Tables['effect']>;

/** Names the job that settles an effect. */
export const jobPrefix = 'effects.settle/';

function seal(rowKey: KeyObject, row: Omit<EffectRow, 'seal'>): Uint8Array {
  return sealRow(rowKey, 'effect', sealedFields(row));
}

function sealedFields(row: Omit<EffectRow, 'seal'>) {
  return [row.id, row.log, row.kind, row.input, row.state, row.intended_at, row.settled_at] as const;
}

export async function insert(tx: Tx, rowKey: KeyObject, row: Omit<EffectRow, 'seal'>): Promise<void> {
  await tx
    .insertInto('effect')
    .values({ ...row, seal: seal(rowKey, row) })
    .execute();
}

/** The effect with its seal not yet checked, for the log says which key checks it; undefined where there is none. */
export async function find(snapshot: Tx, id: string): Promise<EffectRow | undefined> {
  return snapshot.selectFrom('effect').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Throws `database.altered` where the row is not the one that was written. */
export function check(rowKey: KeyObject, row: EffectRow): void {
  checkRow(rowKey, 'effect', sealedFields(row), row.seal);
}

/** Marks an effect that was meant as done; false where it is not open any more. */
export async function settle(tx: Tx, rowKey: KeyObject, row: EffectRow, time: number): Promise<boolean> {
  const settled = { ...row, state: 'settled', settled_at: time } as const;
  const updated = await tx
    .updateTable('effect')
    .set({ state: settled.state, settled_at: time, seal: seal(rowKey, settled) })
    .where('id', '=', row.id)
    .where('state', '=', 'intended')
    .returning('id')
    .executeTakeFirst();
  return updated !== undefined;
}

/** Effects that were meant and that nothing will settle, because they have lost their job. */
export async function withoutJob(tx: Tx): Promise<Pick<EffectRow, 'id' | 'kind' | 'intended_at'>[]> {
  return tx
    .selectFrom('effect')
    .leftJoin('job', (join) => join.on('job.name', '=', sql<string>`${sql.lit(jobPrefix)} || effect.id`))
    .select(['id', 'kind', 'intended_at'])
    .where('state', '=', 'intended')
    .where('job.name', 'is', null)
    .execute();
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'effect', identity: ['id'], owner: 'log', forms: [sealedFields] },
];
