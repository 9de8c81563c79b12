import { setTimeout } from 'node:timers/promises';
import { machineClock } from '../clock.ts';
import { sdkError } from '../errors.ts';
import type { Row } from './table.ts';
import type { SqlValue } from './sql.ts';

/** How far a run over a table is. */
export interface PassProgress {
  readonly doneRows: number;
  /** Rows that were waiting at the beginning; others may have come since. */
  readonly totalRows: number;
  readonly elapsedMs: number;
  /** What the rest will take at the speed so far, ms; undefined until the first rows are done. */
  readonly remainingMs: number | undefined;
}

export interface PassOptions {
  /** Rows that are read and worked on at a time, 1 to 10,000; 500 by default. */
  readonly batchRows?: number;
  /** A pause after each batch, ms, for the sake of others on the database; 0 by default. */
  readonly pauseMs?: number;
  /** Told after each batch. */
  onProgress?(progress: PassProgress): void;
  /** Ends the run between two batches, with the signal's reason; it can be taken up again at any time. */
  readonly signal?: AbortSignal;
  /** ms of a steady clock; the machine's by default. */
  readonly clock?: () => number;
}

export interface PassResult {
  readonly doneRows: number;
  /** Rows that still wait: others changed them while they were worked on, time and again. */
  readonly remainingRows: number;
}

/** Rows of a table that wait for something, which is done to them batch by batch, in the order of their ids. */
export interface PendingWork {
  count(): Promise<number>;
  /** Waiting rows whose ids are greater. */
  read(after: SqlValue | undefined, limit: number): Promise<readonly Row[]>;
  /** The row's id. */
  idOf(row: Row): SqlValue;
  /** Does what it can; answers for how many rows that was all. */
  handle(rows: readonly Row[]): Promise<number>;
}

/** Statements under way at the same time, so that a database that flushes for several at once can. */
const statementsAtOnce = 8;

/** So often in a row a pass may leave no fewer rows waiting than it found: as many as others came to wait, or were changed meanwhile. */
const fruitlessPasses = 3;

/** Works on all waiting rows; one that others changed meanwhile is met again in the next pass. Ends when none waits, or nothing is gained. */
export async function workThrough(work: PendingWork, options: PassOptions): Promise<PassResult> {
  const { batchRows = 500, pauseMs = 0, onProgress, signal, clock = machineClock.steadyMs } = options;
  if (!Number.isInteger(batchRows) || batchRows < 1 || batchRows > 10_000) {
    throw sdkError('client.invalid_input', { field: '/batchRows', detail: '1 to 10000' });
  }
  const startedMs = clock();
  const totalRows = await work.count();
  let remainingRows = totalRows;
  let doneRows = 0;
  for (let fruitless = 0; remainingRows > 0 && fruitless < fruitlessPasses;) {
    let after: SqlValue | undefined;
    for (;;) {
      signal?.throwIfAborted();
      const rows = await work.read(after, batchRows);
      const last = rows.at(-1);
      if (last === undefined) break;
      doneRows += await work.handle(rows);
      after = work.idOf(last);
      const elapsedMs = clock() - startedMs;
      const leftRows = Math.max(0, totalRows - doneRows);
      const remainingMs = doneRows === 0 ? undefined : (elapsedMs / doneRows) * leftRows;
      onProgress?.({ doneRows, totalRows, elapsedMs, remainingMs });
      if (pauseMs > 0) await setTimeout(pauseMs, undefined, { signal });
    }
    const before = remainingRows;
    remainingRows = await work.count();
    fruitless = remainingRows < before ? 0 : fruitless + 1;
  }
  return { doneRows, remainingRows };
}

/** Does something for each item, a few at a time. */
export async function forEach<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  const workers = Array.from({ length: Math.min(statementsAtOnce, items.length) }, async () => {
    for (const item of waiting) await work(item);
  });
  await Promise.all(workers);
}
