import { sql } from 'kysely';
import type { RawBuilder, Selectable } from 'kysely';
import type { Clock } from '../clock.ts';
import { databaseTime, dialectOf } from '../database.ts';
import type { Tx } from '../database.ts';
import type { Tables } from '../tables.ts';

export type JobRow = Selectable<Tables['job']>;

/** Ids and numbers, never a secret: it is stored as it is. */
export type JobInput = Readonly<Record<string, string | number | null>>;

/** Work that becomes due. */
export interface NewJob {
  /** Names the thing to be done: of one name there is one job, `keys.rotate/<key>`. */
  readonly name: string;
  /** Who does it: the handler's name. */
  readonly task: string;
  readonly input: JobInput;
  /** Milliseconds since 1970 by the database's time; 0: at once. */
  readonly dueAt: number;
}

/** What a job is while no run holds it. */
const free = { lease: '', leased_until: 0 } as const;
/** What a job starts with. */
const fresh = { ...free, attempts: 0, failure: null } as const;

/**
 * Puts a job in the place of the one that has its name, in the caller's transaction. A run under way loses the job: its effect
 * rolls back.
 */
export async function schedule(tx: Tx, { name, task, input, dueAt }: NewJob): Promise<void> {
  const row = { task, input: JSON.stringify(input), due_at: dueAt, ...fresh };
  await tx
    .insertInto('job')
    .values({ name, ...row })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
    .execute();
}

/** Adds a job in the caller's transaction, and leaves one of the same name as it is. */
export async function ensure(tx: Tx, { name, task, input, dueAt }: NewJob): Promise<void> {
  await tx
    .insertInto('job')
    .values({ name, task, input: JSON.stringify(input), due_at: dueAt, ...fresh })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
}

/** Takes a job away in the caller's transaction, also from a run under way; nothing where there is none. */
export async function remove(tx: Tx, name: string): Promise<void> {
  await tx.deleteFrom('job').where('name', '=', name).execute();
}

/** Gives the job that has been due longest to a run, and counts the run; undefined where none is due. One statement. */
export async function claim(
  tx: Tx,
  clock: Clock,
  run: { tasks: readonly string[]; lease: string; leaseMs: number },
): Promise<JobRow | undefined> {
  const now = onceNow(tx, clock);
  const due = tx
    .selectFrom('job as due')
    .select('due.name')
    .where('due.task', 'in', [...run.tasks])
    .where('due.due_at', '<=', now)
    // A lease that lasts longer than any was given while the database's clock was ahead.
    .where((eb) =>
      eb.or([
        eb('due.leased_until', '<=', now),
        eb('due.leased_until', '>', eb(databaseTime(tx, clock), '+', run.leaseMs)),
      ]),
    )
    .orderBy('due.due_at')
    .limit(1)
    .$if(dialectOf(tx) === 'postgres', (query) => query.forUpdate().skipLocked());
  return tx
    .updateTable('job')
    .set((eb) => ({
      lease: run.lease,
      leased_until: eb(databaseTime(tx, clock), '+', run.leaseMs),
      attempts: eb('attempts', '+', 1),
    }))
    .where('name', '=', due)
    .returningAll()
    .executeTakeFirst();
}

/** As a subquery the time is read once, and the index on it is used. */
function onceNow(tx: Tx, clock: Clock): RawBuilder<number> {
  return sql<number>`(select ${databaseTime(tx, clock)})`;
}

/** What a run holds a job with. */
export type Hold = Pick<JobRow, 'name' | 'lease'>;

export async function extend(tx: Tx, clock: Clock, { name, lease }: Hold, leaseMs: number): Promise<void> {
  await tx
    .updateTable('job')
    .set((eb) => ({ leased_until: eb(databaseTime(tx, clock), '+', leaseMs) }))
    .where('name', '=', name)
    .where('lease', '=', lease)
    .execute();
}

/** Ends the job; false where the run does not hold it any more. */
export async function complete(tx: Tx, { name, lease }: Hold): Promise<boolean> {
  const row = await tx
    .deleteFrom('job')
    .where('name', '=', name)
    .where('lease', '=', lease)
    .returning('name')
    .executeTakeFirst();
  return row !== undefined;
}

/** Makes the job due again, as if it were new; false where the run does not hold it any more. */
export async function reschedule(tx: Tx, { name, lease }: Hold, dueAt: number): Promise<boolean> {
  const row = await tx
    .updateTable('job')
    .set({ due_at: dueAt, ...fresh })
    .where('name', '=', name)
    .where('lease', '=', lease)
    .returning('name')
    .executeTakeFirst();
  return row !== undefined;
}

/** Makes the job due after a while, and keeps why; false where the run does not hold it any more. */
export async function giveBack(
  tx: Tx,
  clock: Clock,
  { name, lease }: Hold,
  { delayMs, failure }: { delayMs: number; failure: string },
): Promise<boolean> {
  const row = await tx
    .updateTable('job')
    .set((eb) => ({ due_at: eb(databaseTime(tx, clock), '+', delayMs), failure, ...free }))
    .where('name', '=', name)
    .where('lease', '=', lease)
    .returning('name')
    .executeTakeFirst();
  return row !== undefined;
}

/** Frees what runs of an earlier process held of these tasks; only for a database that no other process has open. */
export async function releaseAll(tx: Tx, tasks: readonly string[]): Promise<void> {
  await tx
    .updateTable('job')
    .set(free)
    .where('lease', '!=', '')
    .where('task', 'in', [...tasks])
    .execute();
}
