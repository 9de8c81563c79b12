import type { ErrorCode } from '@trialkeep/contract';
import type { Clock } from '../platform/clock.ts';
import { DatabaseError } from '../platform/database-error.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError, StartupError } from '../platform/errors.ts';
import type { Validity } from '../platform/implementation.ts';
import { entryBytes } from './entry.ts';
import type { SealedDraft } from './entry.ts';
import * as store from './store.ts';

/** The durable outcome of an append. `denied` is set where the time of the flush lies outside what was authorised. */
export interface Appended {
  readonly position: number;
  readonly time: number;
  readonly denied: ErrorCode | undefined;
}

/** The epoch has moved on since the authorisation: authorise again. */
export const stale = Symbol('stale');

interface Waiting {
  readonly draft: SealedDraft;
  readonly epoch: number;
  readonly validity: readonly Validity[];
  resolve(outcome: Appended | typeof stale): void;
  reject(error: unknown): void;
}

/** Entries in one transaction and one flush at most. */
const maxBatch = 512;
/** Callers that may wait for a flush; one more is told to try again. */
const maxWaiting = 4096;

/** What the database could not do, in the words of the API. The outcome of the statement itself is unknown: discard. */
export function storageError(error: unknown): unknown {
  // A seal that does not fit was found while answering, not while starting.
  if (error instanceof StartupError && error.code === 'database.altered') {
    return new OperationError('server.data_altered', { cause: error });
  }
  if (!(error instanceof DatabaseError)) return error;
  return new OperationError(error.kind === 'full' ? 'server.storage_full' : 'server.storage_failed', {
    cause: error,
  });
}

/**
 * Writes entries durably. Entries of key use share group commits: while one flush is under way the next group gathers, so
 * that the wait for the disk is shared. Changes of state take the same lane with a transaction of their own.
 */
export class Appender {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiting[]>();
  #waitingCount = 0;
  #flushing: Promise<void> | undefined;
  /** Told after every commit, so that the tree can follow. */
  readonly #onAppended: (log: number) => void;

  constructor(database: Database, clock: Clock, onAppended: (log: number) => void) {
    this.#database = database;
    this.#clock = clock;
    this.#onAppended = onAppended;
  }

  /** Appends one entry; returns once it is durable. */
  append(
    log: number,
    epoch: number,
    draft: SealedDraft,
    validity: readonly Validity[] = [],
  ): Promise<Appended | typeof stale> {
    if (this.#waitingCount >= maxWaiting) return Promise.reject(new OperationError('server.busy'));
    return new Promise((resolve, reject) => {
      const queue = this.#waiting.get(log);
      const waiting = { draft, epoch, validity, resolve, reject };
      if (queue === undefined) this.#waiting.set(log, [waiting]);
      else queue.push(waiting);
      this.#waitingCount++;
      this.#flushing ??= this.#flush();
    });
  }

  /**
   * Runs a change and appends its entry in the same transaction. `work` gets the transaction and its time, and gives the
   * result and the sealed entry.
   */
  async change<T>(
    log: number,
    epoch: number,
    work: (tx: Tx, time: number) => Promise<{ result: T; draft: SealedDraft }>,
  ): Promise<T | typeof stale> {
    const result = await this.#database.write(async (tx) => {
      const taken = await store.advance(tx, { log, epoch, count: 1, now: this.#clock.now(), change: true });
      if (taken === undefined) return stale;
      const done = await work(tx, taken.time);
      const bytes = entryBytes(done.draft, taken.time, undefined);
      await store.insertEntries(tx, log, taken.first, [{ bytes, ciphertext: done.draft.ciphertext }]);
      return done.result;
    });
    if (result !== stale) this.#onAppended(log);
    return result;
  }

  /** Returns once nothing waits. */
  async idle(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  async #flush(): Promise<void> {
    try {
      // Lets the callers of this turn of the event loop join the group.
      await new Promise(setImmediate);
      while (this.#waiting.size > 0) {
        for (const log of [...this.#waiting.keys()]) await this.#flushLog(log);
      }
    } finally {
      this.#flushing = undefined;
    }
  }

  async #flushLog(log: number): Promise<void> {
    const queue = this.#waiting.get(log) ?? [];
    const epoch = queue[0]?.epoch;
    const batch: Waiting[] = [];
    while (batch.length < maxBatch && queue[0] !== undefined && queue[0].epoch === epoch) {
      batch.push(queue.shift() as Waiting);
    }
    if (queue.length === 0) this.#waiting.delete(log);
    this.#waitingCount -= batch.length;
    if (epoch === undefined) return;
    try {
      const outcomes = await this.#database.write((tx) => this.#appendBatch(tx, log, epoch, batch));
      if (outcomes === undefined) batch.forEach(({ resolve }) => resolve(stale));
      else batch.forEach(({ resolve }, i) => resolve(outcomes[i] as Appended));
    } catch (error) {
      const failure = storageError(error);
      batch.forEach(({ reject }) => reject(failure));
      return;
    }
    this.#onAppended(log);
  }

  async #appendBatch(
    tx: Tx,
    log: number,
    epoch: number,
    batch: readonly Waiting[],
  ): Promise<Appended[] | undefined> {
    const taken = await store.advance(tx, {
      log,
      epoch,
      count: batch.length,
      now: this.#clock.now(),
      change: false,
    });
    if (taken === undefined) return undefined;
    const outcomes = batch.map(({ validity }, i) => {
      const outside = validity.find(({ from, until }) => taken.time < from || taken.time >= until);
      return { position: taken.first + i, time: taken.time, denied: outside?.refusal };
    });
    const rows = batch.map(({ draft }, i) => ({
      bytes: entryBytes(draft, taken.time, outcomes[i]?.denied),
      ciphertext: draft.ciphertext,
    }));
    await store.insertEntries(tx, log, taken.first, rows);
    return outcomes;
  }
}
