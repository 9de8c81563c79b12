import { sql } from 'kysely';
import { dialectOf } from '../../platform/database.ts';
import type { Tx } from '../../platform/database.ts';
import { StartupError } from '../../platform/errors.ts';
import type { Value } from './postings.ts';

/** How far the projection of a log has come, and what it follows. */
export interface Progress {
  /** Entries that the index covers. */
  readonly size: number;
  /** Entries that are in the tree. */
  readonly treeSize: number;
  /** Entries before this one are archived. */
  readonly first: number;
}

export async function progress(tx: Tx, log: number): Promise<Progress> {
  const row = await tx
    .selectFrom('ledger_tree as t')
    .innerJoin('log as l', 'l.id', 't.log')
    .leftJoin('ledger_projection as p', 'p.log', 't.log')
    .select(['t.size as treeSize', 'p.size as size', 'l.pruned_below as first'])
    .where('t.log', '=', log)
    .executeTakeFirstOrThrow();
  return { ...row, size: row.size ?? 0 };
}

/** One value's positions in one chunk, and in which. */
export interface PostingRow {
  readonly field: string;
  readonly value: string;
  readonly chunk: number;
  readonly positions: Uint8Array;
}

/** Moves the cursor and stores what follows from it; false, and nothing is stored, where another node has moved it already. */
export async function storeStep(
  tx: Tx,
  step: { log: number; from: number; to: number; rows: readonly PostingRow[] },
): Promise<boolean> {
  const { log, from, to, rows } = step;
  if (from === 0) {
    await tx
      .insertInto('ledger_projection')
      .values({ log, size: 0 })
      .onConflict((conflict) => conflict.column('log').doNothing())
      .execute();
  }
  const moved = await tx
    .updateTable('ledger_projection')
    .set({ size: to })
    .where('log', '=', log)
    .where('size', '=', from)
    .returning('log')
    .executeTakeFirst();
  if (moved === undefined) return false;
  await upsertPostings(tx, log, rows);
  return true;
}

/** Many rows in one parameter, JSON: as parameters of their own they cost more than the database's work on them. */
async function upsertPostings(tx: Tx, log: number, rows: readonly PostingRow[]): Promise<void> {
  const json = JSON.stringify(
    rows.map(({ field, value, chunk, positions }) => [
      field,
      value,
      chunk,
      Buffer.from(positions).toString('hex'),
    ]),
  );
  // In the order of the key, which spares the database seeking.
  if (dialectOf(tx) === 'sqlite') {
    await sql`
      insert into ledger_posting (log, field, value, chunk, positions)
      select ${log}, value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 3) from json_each(${json}) where true
      order by 2, 3
      on conflict (log, field, value, chunk) do update set positions = excluded.positions`.execute(tx);
  } else {
    await sql`
      insert into ledger_posting (log, field, value, chunk, positions)
      select ${log}::bigint, j ->> 0, j ->> 1, (j ->> 2)::bigint, decode(j ->> 3, 'hex')
      from json_array_elements(${json}::json) as rows (j)
      order by 2, 3
      on conflict (log, field, value, chunk) do update set positions = excluded.positions`.execute(tx);
  }
}

/** Where an entry stands, and when it was written. */
export interface Place {
  readonly position: number;
  readonly entry: string;
  readonly time: number;
}

export async function storePlaces(tx: Tx, log: number, places: readonly Place[]): Promise<void> {
  const json = JSON.stringify(places.map(({ position, entry, time }) => [position, entry, time]));
  if (dialectOf(tx) === 'sqlite') {
    await sql`
      insert into ledger_index (log, position, entry, time)
      select ${log}, value ->> 0, value ->> 1, value ->> 2 from json_each(${json})`.execute(tx);
  } else {
    await sql`
      insert into ledger_index (log, position, entry, time)
      select ${log}::bigint, (j ->> 0)::bigint, j ->> 1, (j ->> 2)::bigint
      from json_array_elements(${json}::json) as rows (j)`.execute(tx);
  }
}

/** One value's positions in the chunks from `first` to before `end`. */
export async function readPostings(
  tx: Tx,
  log: number,
  [field, value]: Value,
  range: { first: number; end: number },
): Promise<{ chunk: number; positions: Uint8Array }[]> {
  return tx
    .selectFrom('ledger_posting')
    .select(['chunk', 'positions'])
    .where('log', '=', log)
    .where('field', '=', field)
    .where('value', '=', value)
    .where('chunk', '>=', range.first)
    .where('chunk', '<', range.end)
    .execute();
}

/** The first place before `size` whose time is not before this one; `size` where there is none. Times of a log never go back. */
export async function placeOfTime(
  tx: Tx,
  log: number,
  time: number,
  range: { first: number; size: number },
): Promise<number> {
  let low = range.first;
  let high = range.size;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const row = await tx
      .selectFrom('ledger_index')
      .select('time')
      .where('log', '=', log)
      .where('position', '=', middle)
      .executeTakeFirst();
    if (row === undefined)
      throw new StartupError('database.altered', `Place ${middle} of log ${log} is missing.`);
    if (row.time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The entries at these places, in order. */
export async function entriesAt(
  tx: Tx,
  log: number,
  positions: readonly number[],
): Promise<{ position: number; bytes: Uint8Array }[]> {
  if (positions.length === 0) return [];
  const rows = await tx
    .selectFrom('ledger_entry')
    .select(['position', 'bytes'])
    .where('log', '=', log)
    .where('position', 'in', positions)
    .orderBy('position')
    .execute();
  if (rows.length === positions.length) return rows;
  const missing = positions.find((position) => !rows.some((row) => row.position === position));
  throw new StartupError('database.altered', `Entry ${missing} of log ${log} is missing.`);
}

/** When the entries at these places were written, by place, ms. */
export async function timesAt(
  tx: Tx,
  log: number,
  positions: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  if (positions.length === 0) return new Map();
  const rows = await tx
    .selectFrom('ledger_index')
    .select(['position', 'time'])
    .where('log', '=', log)
    .where('position', 'in', [...new Set(positions)])
    .execute();
  return new Map(rows.map(({ position, time }) => [position, time]));
}

/** The positions of many values of one member in the chunks of a range, the newest chunk first. */
export async function readPostingsOf(
  tx: Tx,
  log: number,
  field: string,
  values: readonly string[],
  range: { readonly first: number; readonly end: number },
): Promise<{ value: string; chunk: number; positions: Uint8Array }[]> {
  return tx
    .selectFrom('ledger_posting')
    .select(['value', 'chunk', 'positions'])
    .where('log', '=', log)
    .where('field', '=', field)
    .where('value', 'in', [...values])
    .where('chunk', '>=', range.first)
    .where('chunk', '<', range.end)
    .orderBy('chunk', 'desc')
    .execute();
}
