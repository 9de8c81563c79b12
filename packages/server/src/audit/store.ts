import { sql } from 'kysely';
import type { Insertable, Selectable } from 'kysely';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type LogRow = Selectable<Tables['log']>;
export type HeadRow = Selectable<Tables['head']>;

/** Rows in one statement: well below the databases' bounds on parameters. */
const rowsPerInsert = 200;

export async function listLogs(tx: Tx): Promise<LogRow[]> {
  return tx.selectFrom('log').selectAll().orderBy('id').execute();
}

export async function insertLog(
  tx: Tx,
  log: Omit<LogRow, 'id'>,
  root: Uint8Array,
  time: number,
): Promise<LogRow> {
  const row = await tx.insertInto('log').values(log).returningAll().executeTakeFirstOrThrow();
  await tx
    .insertInto('head')
    .values({ log: row.id, size: 0, epoch: 1, time, integrated_size: 0, root })
    .execute();
  return row;
}

export async function head(tx: Tx, log: number): Promise<HeadRow> {
  return tx.selectFrom('head').selectAll().where('log', '=', log).executeTakeFirstOrThrow();
}

/**
 * The compare-and-append of design section 4: takes `count` places at the end of the log if the epoch is still the one that the
 * authorisations read, and gives the first of them and the entries' time, which never goes back. Undefined: authorise again.
 */
export async function advance(
  tx: Tx,
  taken: { log: number; epoch: number; count: number; now: number; change: boolean },
): Promise<{ first: number; time: number } | undefined> {
  const row = await tx
    .updateTable('head')
    .set((eb) => ({
      size: eb('size', '+', taken.count),
      epoch: eb('epoch', '+', taken.change ? 1 : 0),
      time: eb.case().when('time', '>', taken.now).then(eb.ref('time')).else(taken.now).end(),
    }))
    .where('log', '=', taken.log)
    .where('epoch', '=', taken.epoch)
    .returning(['size', 'time'])
    .executeTakeFirst();
  return row && { first: row.size - taken.count, time: row.time };
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

/** Entries from `first` on, `count` at most, in order. */
export async function readEntries(tx: Tx, log: number, first: number, count: number): Promise<Uint8Array[]> {
  const rows = await tx
    .selectFrom('ledger_entry')
    .select('bytes')
    .where('log', '=', log)
    .where('position', '>=', first)
    .where('position', '<', first + count)
    .orderBy('position')
    .execute();
  return rows.map(({ bytes }) => bytes);
}

export async function readPayload(tx: Tx, log: number, position: number): Promise<Uint8Array | undefined> {
  const row = await tx
    .selectFrom('ledger_payload')
    .select('ciphertext')
    .where('log', '=', log)
    .where('position', '=', position)
    .executeTakeFirst();
  return row?.ciphertext;
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
  readonly index: readonly Insertable<Tables['ledger_index']>[];
}

export async function storeIntegrated(tx: Tx, step: Integrated): Promise<void> {
  for (const tile of step.tiles) {
    await tx
      .insertInto('ledger_tile')
      .values({ log: step.log, ...tile })
      .onConflict((conflict) =>
        conflict.columns(['log', 'level', 'tile']).doUpdateSet({ hashes: tile.hashes }),
      )
      .execute();
  }
  for (let start = 0; start < step.index.length; start += rowsPerInsert) {
    await tx
      .insertInto('ledger_index')
      .values(step.index.slice(start, start + rowsPerInsert))
      .execute();
  }
  await tx
    .updateTable('head')
    .set({ integrated_size: step.to, root: step.root })
    .where('log', '=', step.log)
    .where('integrated_size', '=', step.from)
    .returning('log')
    .executeTakeFirstOrThrow();
}

export async function insertCheckpoint(tx: Tx, row: Insertable<Tables['ledger_checkpoint']>): Promise<void> {
  await tx
    .insertInto('ledger_checkpoint')
    .values(row)
    .onConflict((conflict) => conflict.columns(['log', 'size']).doNothing())
    .execute();
}

export async function newestCheckpoint(
  tx: Tx,
  log: number,
): Promise<{ size: number; note: string } | undefined> {
  return tx
    .selectFrom('ledger_checkpoint')
    .select(['size', 'note'])
    .where('log', '=', log)
    .orderBy('size', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** The conditions of a question; absent ones ask for nothing. */
export interface Filter {
  readonly subject?: string;
  readonly class?: string;
  readonly key?: string;
  readonly operation?: string;
  readonly outcome?: string;
  readonly study?: string;
  readonly system?: string;
  readonly actor?: string;
  readonly from?: number;
  readonly to?: number;
}

const equalColumns = ['subject', 'class', 'key', 'operation', 'outcome', 'study', 'system', 'actor'] as const;

export async function findEntries(
  tx: Tx,
  log: number,
  filter: Filter,
  range: { after: number; to: number },
  limit: number,
): Promise<{ position: number; bytes: Uint8Array }[]> {
  let query = tx
    .selectFrom('ledger_index as i')
    .innerJoin('ledger_entry as e', (join) =>
      join.onRef('e.log', '=', 'i.log').onRef('e.position', '=', 'i.position'),
    )
    .select(['i.position', 'e.bytes'])
    .where('i.log', '=', log)
    .where('i.position', '>', range.after)
    .where('i.position', '<=', range.to)
    .orderBy('i.position')
    .limit(limit);
  for (const column of equalColumns) {
    const value = filter[column];
    if (value !== undefined) query = query.where(`i.${column}`, '=', value);
  }
  if (filter.from !== undefined) query = query.where('i.time', '>=', filter.from);
  if (filter.to !== undefined) query = query.where('i.time', '<', filter.to);
  return query.execute();
}

/** Those entries from `first` on, `count` positions at most, that state what something became. */
export async function stateEntries(tx: Tx, log: number, first: number, count: number): Promise<Uint8Array[]> {
  const rows = await tx
    .selectFrom('ledger_entry')
    .select('bytes')
    .where('log', '=', log)
    .where('position', '>=', first)
    .where('position', '<', first + count)
    .where(sql<boolean>`instr(bytes, ${Buffer.from('"state":"')}) > 0`)
    .orderBy('position')
    .execute();
  return rows.map(({ bytes }) => bytes);
}
