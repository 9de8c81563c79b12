import { sql } from 'kysely';
import { dialectOf } from '../platform/database.ts';
import type { Tx } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';

/** Entries that were proven to follow what the log has, without payloads. */
export interface CopiedPart {
  readonly log: number;
  readonly first: number;
  readonly entries: readonly Uint8Array[];
  /** Of the newest of them, ms. */
  readonly time: number;
}

/** Rows in one statement: well below the databases' bounds on parameters. */
const rowsPerInsert = 200;

/**
 * Appends entries where the log still ends before them; the epoch advances, since what was authorised before is forgotten. Until
 * {@link markInLine} the log is known to be ahead of its rows.
 */
export async function appendCopied(tx: Tx, { log, first, entries, time }: CopiedPart): Promise<void> {
  const isSqlite = dialectOf(tx) === 'sqlite';
  const moved = await tx
    .updateTable('head')
    .set((eb) => ({
      size: first + entries.length,
      epoch: eb('epoch', '+', 1),
      time: isSqlite ? sql<number>`max(time, ${time})` : sql<number>`greatest(time, ${time}::bigint)`,
    }))
    .where('log', '=', log)
    .where('size', '=', first)
    .returning('log')
    .executeTakeFirst();
  if (moved === undefined) throw new StartupError('database.altered', `Log ${log} has grown meanwhile.`);
  await tx
    .insertInto('catch_up')
    .values({ log })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  for (let start = 0; start < entries.length; start += rowsPerInsert) {
    const rows = entries
      .slice(start, start + rowsPerInsert)
      .map((bytes, i) => ({ log, position: first + start + i, bytes }));
    await tx.insertInto('ledger_entry').values(rows).execute();
  }
}

/** The logs whose rows are not in line with their entries yet. */
export async function pendingLogs(tx: Tx): Promise<number[]> {
  const rows = await tx.selectFrom('catch_up').select('log').orderBy('log').execute();
  return rows.map(({ log }) => log);
}

export async function markInLine(tx: Tx, log: number): Promise<void> {
  await tx.deleteFrom('catch_up').where('log', '=', log).execute();
}
