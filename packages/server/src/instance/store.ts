import type { Selectable } from 'kysely';
import { systemClock } from '../platform/clock.ts';
import { databaseTime } from '../platform/database.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type InstanceRow = Selectable<Tables['instance']>;

export async function insertInstance(tx: Tx, row: InstanceRow): Promise<void> {
  await tx.insertInto('instance').values(row).execute();
}

/** The database's time, which is also that of the first entry. */
export async function readTime(tx: Tx): Promise<number> {
  const row = await tx.selectNoFrom(databaseTime(tx, systemClock).as('time')).executeTakeFirstOrThrow();
  return row.time;
}

/** The one row; undefined in a database that was never finished. */
export async function findInstance(tx: Tx): Promise<InstanceRow | undefined> {
  return tx.selectFrom('instance').selectAll().executeTakeFirst();
}

export type RootRow = Selectable<Tables['instance_root']>;

export async function listRoots(tx: Tx): Promise<RootRow[]> {
  return tx.selectFrom('instance_root').selectAll().orderBy('made_at').orderBy('id').execute();
}

/** Whether a replacement of the root of trust was begun and not ended (replacement/). */
export async function isReplacing(tx: Tx): Promise<boolean> {
  const query = tx.selectFrom('root_replacement').select('id').where('state', '=', 'open');
  return (await query.executeTakeFirst()) !== undefined;
}

/** Writes a root's row, which may be there already. */
export async function putRoot(tx: Tx, row: RootRow): Promise<void> {
  const { id: _id, ...rest } = row;
  await tx
    .insertInto('instance_root')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(rest))
    .execute();
}

/** Keeps the instance's row, which older versions read, the one of the active root. */
export async function setActiveRoot(tx: Tx, root_id: string, wrapped_key: Uint8Array): Promise<void> {
  await tx.updateTable('instance').set({ root_id, wrapped_key }).execute();
}
