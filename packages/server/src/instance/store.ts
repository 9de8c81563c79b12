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
