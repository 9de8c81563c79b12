import type { Selectable } from 'kysely';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type InstanceRow = Selectable<Tables['instance']>;

export async function insertInstance(tx: Tx, row: InstanceRow): Promise<void> {
  await tx.insertInto('instance').values(row).execute();
}

/** The one row; undefined in a database that was never finished. */
export async function findInstance(tx: Tx): Promise<InstanceRow | undefined> {
  return tx.selectFrom('instance').selectAll().executeTakeFirst();
}
