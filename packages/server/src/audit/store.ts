import { sql } from 'kysely';
import type { Insertable, Selectable } from 'kysely';
import type { Clock } from '../platform/clock.ts';
import { databaseTime, dialectOf } from '../platform/database.ts';
import type { Tx } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import type { Tables } from '../platform/tables.ts';
import type { EntryText } from './entry.ts';
import { storePlaces } from './find/store.ts';
import type { Place } from './find/store.ts';

export type LogRow = Selectable<Tables['log']>;

/** The places that entries got, and their time. */
export interface Taken {
  readonly first: number;
  readonly time: number;
}

/** Rows in one statement: well below the databases' bounds on parameters. */
const rowsPerInsert = 200;

export async function findLog(tx: Tx, id: number): Promise<LogRow | undefined> {
  return tx.selectFrom('log').selectAll().where('id', '=', id).executeTakeFirst();
}

/** The ids of all logs, in the order in which they were made. */
export async function logIds(tx: Tx): Promise<number[]> {
  const rows = await tx.selectFrom('log').select('id').orderBy('id').execute();
  return rows.map(({ id }) => id);
}

/** Stores a new log whose first `size` entries the same transaction inserts. */
export async function insertLog(
  tx: Tx,
  log: Insertable<Tables['log']>,
  start: { size: number; time: number; root: Uint8Array },
): Promise<LogRow> {
  const row = await tx.insertInto('log').values(log).returningAll().executeTakeFirstOrThrow();
  await tx.insertInto('head').values({ log: row.id, size: start.size, epoch: 1, time: start.time }).execute();
  await tx.insertInto('ledger_tree').values({ log: row.id, size: 0, root: start.root }).execute();
  return row;
}

/**
 * The compare-and-append of design section 4: takes `count` places at the end of the log if the epoch is still the one that the
 * authorisations read, and gives the first of them and the entries' time, which never goes back. Undefined: authorise again.
 */
export async function advance(
  tx: Tx,
  taken: { log: number; epoch: number; count: number; clock: Clock; change: boolean },
): Promise<Taken | undefined> {
  const now = databaseTime(tx, taken.clock);
  const row = await tx
    .updateTable('head')
    .set((eb) => ({
      size: eb('size', '+', taken.count),
      epoch: eb('epoch', '+', taken.change ? 1 : 0),
      time: dialectOf(tx) === 'sqlite' ? sql<number>`max(time, ${now})` : sql<number>`greatest(time, ${now})`,
    }))
    .where('log', '=', taken.log)
    .where('epoch', '=', taken.epoch)
    .returning(['size', 'time'])
    .executeTakeFirst();
  return row && { first: row.size - taken.count, time: row.time };
}

/** Takes further places behind those of {@link advance}, whose transaction still holds the head. */
export async function extend(tx: Tx, log: number, count: number): Promise<void> {
  await tx
    .updateTable('head')
    .set((eb) => ({ size: eb('size', '+', count) }))
    .where('log', '=', log)
    .execute();
}

export async function insertEntries(
  tx: Tx,
  log: number,
  first: number,
  entries: readonly { bytes: Uint8Array; ciphertext: Uint8Array }[],
): Promise<void> {
  for (let start = 0; start < entries.length; start += rowsPerInsert) {
    const part = entries.slice(start, start + rowsPerInsert);
    const place = (i: number) => ({ log, position: first + start + i });
    await tx
      .insertInto('ledger_entry')
      .values(part.map(({ bytes }, i) => ({ ...place(i), bytes })))
      .execute();
    await tx
      .insertInto('ledger_payload')
      .values(part.map(({ ciphertext }, i) => ({ ...place(i), ciphertext })))
      .execute();
  }
}

/** Entries that are appended together, all of them or none. */
export interface Group {
  readonly log: number;
  readonly epoch: number;
  /** The log has at least so many entries, or the database is not the one that it was. */
  readonly known: number;
  /** The time in which all of them are authorised, ms; `until` exclusive. */
  readonly from: number;
  readonly until: number;
  readonly entries: readonly { readonly text: EntryText; readonly ciphertext: Uint8Array }[];
}

/**
 * Appends a group in one statement of PostgreSQL, which composes the entries' bytes around their time. Undefined, and nothing is
 * appended, where a condition does not hold: {@link advance} tells which. Conditions are decided, and the clock is read, once
 * the statement has the head's lock; a clock that ticks between the two does not carry the entries' time out of the window.
 */
export async function appendGroup(tx: Tx, clock: Clock, group: Group): Promise<Taken | undefined> {
  const { log, entries } = group;
  const now = databaseTime(tx, clock);
  const texts = entries.map(({ text }) => ({
    before: Buffer.from(text.beforeTime, 'utf8'),
    after: Buffer.from(text.afterTime, 'utf8'),
  }));
  const payloads = entries.map(({ ciphertext }) => ciphertext);
  const textBytes = Buffer.concat(texts.flatMap(({ before, after }) => [before, after]));
  const { rows } = await sql<Taken>`
    with taken as (
      update head
      set size = size + ${entries.length}::bigint,
        time = least(greatest(time, ${now}, ${group.from}::bigint), ${group.until}::bigint - 1)
      where log = ${log}::bigint and epoch = ${group.epoch}::bigint and size >= ${group.known}::bigint
        and greatest(time, ${now}) >= ${group.from}::bigint and greatest(time, ${now}) < ${group.until}::bigint
      returning size - ${entries.length}::bigint as first, time
    ), appended as (
      insert into ledger_entry (log, position, bytes)
      select ${log}::bigint, first + place - 1, substring(bytes from start for before)
        || convert_to(time::text, 'UTF8') || substring(bytes from start + before for after)
      from taken, (select ${textBytes}::bytea as bytes) as texts,
        unnest(
          ${starts(texts.map(({ before, after }) => before.length + after.length))}::int[],
          ${integers(texts.map(({ before }) => before.length))}::int[],
          ${integers(texts.map(({ after }) => after.length))}::int[]
        ) with ordinality as cut (start, before, after, place)
    ), kept as (
      insert into ledger_payload (log, position, ciphertext)
      select ${log}::bigint, first + place - 1, substring(bytes from start for length)
      from taken, (select ${Buffer.concat(payloads)}::bytea as bytes) as payloads,
        unnest(
          ${starts(payloads.map(({ length }) => length))}::int[],
          ${integers(payloads.map(({ length }) => length))}::int[]
        ) with ordinality as cut (start, length, place)
    )
    select first, time from taken`.execute(tx);
  return rows[0];
}

/** PostgreSQL's literal of an array of integers. */
function integers(values: readonly number[]): string {
  return `{${values.join(',')}}`;
}

/** Where parts of these lengths begin when they follow each other, from 1. */
function starts(lengths: readonly number[]): string {
  let next = 1;
  return integers(
    lengths.map((length) => {
      const start = next;
      next += length;
      return start;
    }),
  );
}

/** How far a log and what follows it have come. */
export interface Progress {
  readonly log: number;
  /** Entries that are committed. */
  readonly size: number;
  /** Entries that are in the tree, and the tree's root. */
  readonly treeSize: number;
  readonly root: Uint8Array;
}

export async function progress(tx: Tx, log: number): Promise<Progress> {
  return selectProgress(tx).where('h.log', '=', log).executeTakeFirstOrThrow();
}

function selectProgress(tx: Tx) {
  return tx
    .selectFrom('head as h')
    .innerJoin('ledger_tree as t', 't.log', 'h.log')
    .select(['h.log', 'h.size', 't.size as treeSize', 't.root']);
}

/** Of every log its progress and the size of its newest checkpoint; 0 where there is none. */
export async function allProgress(
  tx: Tx,
  clock: Clock,
): Promise<(Progress & { checkpointSize: number; time: number })[]> {
  const rows = await selectProgress(tx)
    .select(databaseTime(tx, clock).as('time'))
    .select((eb) =>
      eb
        .selectFrom('ledger_checkpoint as c')
        .select((max) => max.fn.max('c.size').as('size'))
        .whereRef('c.log', '=', 'h.log')
        .as('checkpointSize'),
    )
    .orderBy('h.log')
    .execute();
  return rows.map((row) => ({ ...row, checkpointSize: row.checkpointSize ?? 0 }));
}

/**
 * Entries from `first` on, `count` at most, in order.
 *
 * @throws StartupError database.altered where one is missing in between
 */
export async function readEntries(tx: Tx, log: number, first: number, count: number): Promise<Uint8Array[]> {
  const rows = await tx
    .selectFrom('ledger_entry')
    .select(['position', 'bytes'])
    .where('log', '=', log)
    .where('position', '>=', first)
    .where('position', '<', first + count)
    .orderBy('position')
    .execute();
  return rows.map(({ position, bytes }, i) => {
    if (position !== first + i) {
      throw new StartupError('database.altered', `Entry ${first + i} of log ${log} is missing.`);
    }
    return bytes;
  });
}

/** The payloads that are there of up to `count` entries from `first` on, by position. */
export async function readPayloads(
  tx: Tx,
  log: number,
  first: number,
  count: number,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const rows = await tx
    .selectFrom('ledger_payload')
    .select(['position', 'ciphertext'])
    .where('log', '=', log)
    .where('position', '>=', first)
    .where('position', '<', first + count)
    .execute();
  return new Map(rows.map(({ position, ciphertext }) => [position, ciphertext]));
}

/** The payloads at these places that are there, by place. */
export async function readPayloadsAt(
  tx: Tx,
  log: number,
  positions: readonly number[],
): Promise<ReadonlyMap<number, Uint8Array>> {
  if (positions.length === 0) return new Map();
  const rows = await tx
    .selectFrom('ledger_payload')
    .select(['position', 'ciphertext'])
    .where('log', '=', log)
    .where('position', 'in', [...positions])
    .execute();
  return new Map(rows.map(({ position, ciphertext }) => [position, ciphertext]));
}

/** When a payload was redacted, as the row says that nobody vouches for; undefined where none says so. */
export async function redactionTime(tx: Tx, log: number, position: number): Promise<number | undefined> {
  const row = await tx
    .selectFrom('ledger_redaction')
    .select('redacted_at')
    .where('log', '=', log)
    .where('position', '=', position)
    .executeTakeFirst();
  return row?.redacted_at;
}

export async function positionOf(tx: Tx, log: number, entry: string): Promise<number | undefined> {
  const row = await tx
    .selectFrom('ledger_index')
    .select('position')
    .where('log', '=', log)
    .where('entry', '=', entry)
    .executeTakeFirst();
  return row?.position;
}

export async function readTile(
  tx: Tx,
  log: number,
  level: number,
  tile: number,
): Promise<Uint8Array | undefined> {
  const row = await tx
    .selectFrom('ledger_tile')
    .select('hashes')
    .where('log', '=', log)
    .where('level', '=', level)
    .where('tile', '=', tile)
    .executeTakeFirst();
  return row?.hashes;
}

/** What one step of integration stores, with the cursor that it moves, in one transaction. */
export interface Integrated {
  readonly log: number;
  readonly from: number;
  readonly to: number;
  readonly root: Uint8Array;
  readonly tiles: readonly { level: number; tile: number; hashes: Uint8Array }[];
  readonly index: readonly Place[];
}

/** Moves the cursor first: gives false, and stores nothing, where another node has moved it already. */
export async function storeIntegrated(tx: Tx, step: Integrated): Promise<boolean> {
  const moved = await tx
    .updateTable('ledger_tree')
    .set({ size: step.to, root: step.root })
    .where('log', '=', step.log)
    .where('size', '=', step.from)
    .returning('log')
    .executeTakeFirst();
  if (moved === undefined) return false;
  for (const tile of step.tiles) {
    await tx
      .insertInto('ledger_tile')
      .values({ log: step.log, ...tile })
      .onConflict((conflict) =>
        conflict.columns(['log', 'level', 'tile']).doUpdateSet({ hashes: tile.hashes }),
      )
      .execute();
  }
  await storePlaces(tx, step.log, step.index);
  return true;
}

export async function insertCheckpoint(tx: Tx, row: Insertable<Tables['ledger_checkpoint']>): Promise<void> {
  await tx
    .insertInto('ledger_checkpoint')
    .values(row)
    .onConflict((conflict) => conflict.columns(['log', 'size']).doNothing())
    .execute();
}

/** `created_at` is the time that its signatures state, ms. */
export type StoredCheckpoint = Omit<Selectable<Tables['ledger_checkpoint']>, 'log'>;

export async function newestCheckpoint(tx: Tx, log: number): Promise<StoredCheckpoint | undefined> {
  return tx
    .selectFrom('ledger_checkpoint')
    .select(['size', 'note', 'created_at'])
    .where('log', '=', log)
    .orderBy('size', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** Those entries from `first` on, `count` positions at most, that state what something became, name an approval, or are about the log's own keys. */
export async function stateEntries(tx: Tx, log: number, first: number, count: number): Promise<Uint8Array[]> {
  const holds = (text: string) => {
    const bytes = Buffer.from(text);
    return dialectOf(tx) === 'sqlite'
      ? sql<boolean>`instr(bytes, ${bytes}) > 0`
      : sql<boolean>`position(${bytes}::bytea in bytes) > 0`;
  };
  const rows = await tx
    .selectFrom('ledger_entry')
    .select('bytes')
    .where('log', '=', log)
    .where('position', '>=', first)
    .where('position', '<', first + count)
    .where((eb) =>
      eb.or([holds('"state":"'), holds('"approval":"'), holds('"logKeys":'), holds('"rotationPeriodDays":')]),
    )
    .orderBy('position')
    .execute();
  return rows.map(({ bytes }) => bytes);
}
