import { sql } from 'kysely';
import type { Clock } from '../platform/clock.ts';
import { databaseTime } from '../platform/database.ts';
import type { Tx } from '../platform/database.ts';

/** How far the tree, the index and the checkpoints of a log have come behind its entries. */
export interface LedgerProgress {
  /** Entries that are committed, and the time of the newest, ms. */
  readonly size: number;
  readonly time: number;
  readonly treeSize: number;
  /** null where nothing is indexed. */
  readonly indexed: number | null;
  /** Entries under the newest checkpoint, and the time of the first that is not under it. */
  readonly covered: number;
  readonly uncovered: number | null;
}

export async function ledgerProgress(tx: Tx): Promise<LedgerProgress[]> {
  return tx
    .selectFrom('head as h')
    .innerJoin('ledger_tree as t', 't.log', 'h.log')
    .leftJoin('ledger_projection as p', 'p.log', 'h.log')
    .select(['h.size as size', 'h.time as time', 't.size as treeSize', 'p.size as indexed'])
    .select(
      sql<number | null>`(select i.time from ledger_index i where i.log = h.log and i.position =
        coalesce((select max(c.size) from ledger_checkpoint c where c.log = h.log), 0))`.as('uncovered'),
    )
    .select(
      sql<number>`coalesce((select max(c.size) from ledger_checkpoint c where c.log = h.log), 0)`.as(
        'covered',
      ),
    )
    .execute();
}

/** Jobs that are due, and how long the one that has waited longest has. */
export async function dueJobs(tx: Tx, clock: Clock): Promise<{ due: number; lag_ms: number }> {
  const now = databaseTime(tx, clock);
  const found = await tx
    .selectFrom('job')
    .select(sql<number>`count(*)`.as('due'))
    // What is to be done at once is due at 0, and has no time of its own.
    .select(sql<number>`coalesce(max(case when due_at > 0 then ${now} - due_at end), 0)`.as('lag_ms'))
    .where('due_at', '<=', now)
    .executeTakeFirstOrThrow();
  return found;
}

/** Jobs whose last run failed. */
export async function failingJobs(tx: Tx): Promise<number> {
  const found = await tx
    .selectFrom('job')
    .select(sql<number>`count(*)`.as('jobs'))
    .where('failure', 'is not', null)
    .executeTakeFirstOrThrow();
  return found.jobs;
}
