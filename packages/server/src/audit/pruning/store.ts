import { sql } from 'kysely';
import { dialectOf } from '../../platform/database.ts';
import type { Tx } from '../../platform/database.ts';

/** The lowest index whose entry is still served, and the number of entries. */
export async function boundsOf(tx: Tx, log: number): Promise<{ minimumIndex: number; size: number }> {
  return tx
    .selectFrom('log')
    .innerJoin('head', 'head.log', 'log.id')
    .select(['log.pruned_below as minimumIndex', 'head.size as size'])
    .where('log.id', '=', log)
    .executeTakeFirstOrThrow();
}

export async function setPrunedBelow(tx: Tx, log: number, below: number): Promise<void> {
  await tx.updateTable('log').set({ pruned_below: below }).where('id', '=', log).execute();
}

/** How far entries are to be deleted, and have been. */
export async function deletionOf(tx: Tx, log: number): Promise<{ below: number; deleted: number }> {
  return tx
    .selectFrom('log')
    .select(['pruned_below as below', 'deleted_below as deleted'])
    .where('id', '=', log)
    .executeTakeFirstOrThrow();
}

/**
 * Deletes the entries of a range with their payloads. The first entry of the log stays, and so do those that state what became of
 * something or name an approval: at start the rows that carry state are held against them, and their payloads say why it was done.
 */
export async function deleteEntries(tx: Tx, log: number, first: number, end: number): Promise<void> {
  const lacks = (text: string) => {
    const bytes = Buffer.from(text);
    return dialectOf(tx) === 'sqlite'
      ? sql<boolean>`instr(bytes, ${bytes}) = 0`
      : sql<boolean>`position(${bytes}::bytea in bytes) = 0`;
  };
  await tx
    .deleteFrom('ledger_entry')
    .where('log', '=', log)
    .where('position', '>=', Math.max(first, 1))
    .where('position', '<', end)
    .where(lacks('"state":"'))
    .where(lacks('"approval":"'))
    .execute();
  await tx
    .deleteFrom('ledger_payload as p')
    .where('p.log', '=', log)
    .where('p.position', '>=', first)
    .where('p.position', '<', end)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('ledger_entry as e')
            .select('e.position')
            .whereRef('e.log', '=', 'p.log')
            .whereRef('e.position', '=', 'p.position'),
        ),
      ),
    )
    .execute();
  await tx.updateTable('log').set({ deleted_below: end }).where('id', '=', log).execute();
}
