import { sql } from 'kysely';
import type { Insertable, RawBuilder, Selectable } from 'kysely';
import type { Clock } from '../platform/clock.ts';
import { databaseTime, dialectOf } from '../platform/database.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type TimestampRow = Selectable<Tables['ledger_timestamp']>;
export type ClockRow = Selectable<Tables['clock_source']>;

/** The database's present time, ms. */
export async function now(tx: Tx, clock: Clock): Promise<number> {
  const row = await tx.selectNoFrom(databaseTime(tx, clock).as('time')).executeTakeFirstOrThrow();
  return row.time;
}

/** How far a log has come, and its newest timestamp. */
export interface Stamped {
  readonly log: number;
  readonly size: number;
  /** Entries under the newest timestamp, and when that was obtained, ms; 0 where there is none. */
  readonly stampedSize: number;
  readonly stampedAt: number;
}

export async function allStamped(tx: Tx): Promise<Stamped[]> {
  const rows = await tx
    .selectFrom('head as h')
    .select(['h.log', 'h.size'])
    .select((eb) => {
      const ofLog = eb.selectFrom('ledger_timestamp as t').whereRef('t.log', '=', 'h.log');
      return [
        ofLog.select((max) => max.fn.max('t.size').as('size')).as('stampedSize'),
        ofLog.select((max) => max.fn.max('t.created_at').as('at')).as('stampedAt'),
      ];
    })
    .orderBy('h.log')
    .execute();
  return rows.map((row) => ({ ...row, stampedSize: row.stampedSize ?? 0, stampedAt: row.stampedAt ?? 0 }));
}

/** Whether an entry names that operation and outcome: in canonical JSON no text of a caller can look like that. */
function holds(tx: Tx, text: string): RawBuilder<boolean> {
  const bytes = Buffer.from(text);
  return dialectOf(tx) === 'sqlite'
    ? sql<boolean>`instr(bytes, ${bytes}) > 0`
    : sql<boolean>`position(${bytes}::bytea in bytes) > 0`;
}

function operationIs(tx: Tx, operation: string): RawBuilder<boolean> {
  return holds(tx, `"operation":"${operation}"`);
}

export interface Range {
  readonly log: number;
  readonly first: number;
  readonly count: number;
}

/** Whether one of these operations succeeded in that range of the log. */
export async function hasSuccess(tx: Tx, range: Range, operations: readonly string[]): Promise<boolean> {
  const row = await entriesIn(tx, range)
    .where(holds(tx, '"outcome":"success"'))
    .where((eb) => eb.or(operations.map((operation) => operationIs(tx, operation))))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Whether anything but these operations stands in that range of the log. */
export async function hasOther(tx: Tx, range: Range, operations: readonly string[]): Promise<boolean> {
  const row = await entriesIn(tx, range)
    .where((eb) => eb.not(eb.or(operations.map((operation) => operationIs(tx, operation)))))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

function entriesIn(tx: Tx, { log, first, count }: Range) {
  return tx
    .selectFrom('ledger_entry')
    .select('position')
    .where('log', '=', log)
    .where('position', '>=', first)
    .where('position', '<', first + count);
}

export async function insert(tx: Tx, row: Insertable<Tables['ledger_timestamp']>): Promise<void> {
  await tx.insertInto('ledger_timestamp').values(row).execute();
}

export async function has(tx: Tx, log: number, size: number): Promise<boolean> {
  const row = await tx
    .selectFrom('ledger_timestamp')
    .select('size')
    .where('log', '=', log)
    .where('size', '=', size)
    .executeTakeFirst();
  return row !== undefined;
}

/** Timestamps of sizes above `after`, in their order. */
export async function list(tx: Tx, log: number, after: number, limit: number): Promise<TimestampRow[]> {
  return tx
    .selectFrom('ledger_timestamp')
    .selectAll()
    .where('log', '=', log)
    .where('size', '>', after)
    .orderBy('size')
    .limit(limit)
    .execute();
}

export async function findClock(tx: Tx, source: string): Promise<ClockRow | undefined> {
  return tx.selectFrom('clock_source').selectAll().where('source', '=', source).executeTakeFirst();
}

export async function putClock(tx: Tx, row: ClockRow): Promise<void> {
  await tx
    .insertInto('clock_source')
    .values(row)
    .onConflict((conflict) => conflict.column('source').doUpdateSet(row))
    .execute();
}

export async function clocksBeyond(tx: Tx): Promise<ClockRow[]> {
  return tx.selectFrom('clock_source').selectAll().where('state', '=', 'beyond').orderBy('source').execute();
}

/** How many jobs of that task have failed and wait to be tried again. */
export async function failing(tx: Tx, task: string): Promise<number> {
  const row = await tx
    .selectFrom('job')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('task', '=', task)
    .where('failure', 'is not', null)
    .executeTakeFirstOrThrow();
  return row.count;
}
