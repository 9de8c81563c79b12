import type { ErrorCode } from '@trialkeep/contract';
import { stopwatch } from '../platform/clock.ts';
import type { Clock } from '../platform/clock.ts';
import { DatabaseError } from '../platform/database-error.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError, StartupError } from '../platform/errors.ts';
import type { Validity } from '../platform/implementation.ts';
import { currentScope, within } from '../platform/tracing/steps.ts';
import type { Scope } from '../platform/tracing/steps.ts';
import { entryBytes, entryText } from './entry.ts';
import type { SealedDraft } from './entry.ts';
import type { RollbackWatch } from './rollback.ts';
import * as store from './store.ts';

/** The durable outcome of an append. `denied` is set where the time of the flush lies outside what was authorised. */
export interface Appended {
  readonly position: number;
  readonly time: number;
  readonly denied: ErrorCode | undefined;
}

/** The epoch has moved on since the authorisation: authorise again. */
export const stale = Symbol('stale');

/** What the transaction of a change comes to. */
export interface ChangeOutcome<T> {
  readonly result: T;
  readonly draft: SealedDraft;
  readonly further?: readonly SealedDraft[];
}

interface Waiting {
  readonly draft: SealedDraft;
  readonly epoch: number;
  readonly validity: readonly Validity[];
  /** What is being traced where it comes from. */
  readonly scope: Scope | undefined;
  resolve(outcome: Appended | typeof stale): void;
  reject(error: unknown): void;
}

/** The callers that wait for one log, and the flush that is under way for it. */
interface Lane {
  readonly waiting: Waiting[];
  flushing: Promise<void> | undefined;
}

/** Entries, and bytes of payloads, in one flush at most. */
const maxBatch = 512;
const maxBatchBytes = 1024 * 1024;
/** Callers that may wait for a flush; one more is told to try again. */
const maxWaiting = 4096;

/** What the database could not do, in the words of the API. Where the outcome of the statement is unknown: discard. */
export function storageError(error: unknown): unknown {
  // A seal that does not fit was found while answering, not while starting.
  if (error instanceof StartupError && error.code === 'database.altered') {
    return new OperationError('server.data_altered', { cause: error });
  }
  if (!(error instanceof DatabaseError)) return error;
  if (error.kind === 'busy') return new OperationError('server.busy', { cause: error });
  const code = error.kind === 'full' ? 'server.storage_full' : 'server.storage_failed';
  return new OperationError(code, { cause: error });
}

/**
 * Writes entries durably. Entries of key use share group commits: while one flush of a log is under way its next group gathers,
 * so that the wait for the disk is shared. Changes of state have a transaction of their own.
 */
export class Appender {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #watch: RollbackWatch;
  readonly #lanes = new Map<number, Lane>();
  #waitingCount = 0;
  #observer: ((entries: number, duration_ms: number) => void) | undefined;

  constructor(database: Database, clock: Clock, watch: RollbackWatch) {
    this.#database = database;
    this.#clock = clock;
    this.#watch = watch;
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
      const lane = this.#lanes.get(log) ?? { waiting: [], flushing: undefined };
      this.#lanes.set(log, lane);
      lane.waiting.push({ draft, epoch, validity, scope: currentScope(), resolve, reject });
      this.#waitingCount++;
      // Other callers' groups follow in the same lane: each is of the trace of one of its own.
      lane.flushing ??= within(undefined, () => this.#flush(log, lane));
    });
  }

  /**
   * Runs a change and appends its entries in the same transaction. `work` gets the transaction and its time, and gives the
   * result, the sealed entry, and what further entries follow it.
   *
   * @param options.keepsEpoch no authorisation reads what is changed
   */
  async change<T>(
    log: number,
    epoch: number,
    work: (tx: Tx, time: number) => Promise<ChangeOutcome<T>>,
    { keepsEpoch = false }: { readonly keepsEpoch?: boolean } = {},
  ): Promise<T | typeof stale> {
    const known = this.#watch.known(log);
    const done = await this.#database.write(async (tx) => {
      const taken = await this.#advance(tx, { log, epoch, count: 1, change: !keepsEpoch }, known);
      if (taken === undefined) return undefined;
      const { result, draft, further = [] } = await work(tx, taken.time);
      if (further.length > 0) await store.extend(tx, log, further.length);
      const rows = [draft, ...further].map((each) => ({
        bytes: entryBytes(each, taken.time, undefined),
        ciphertext: each.ciphertext,
      }));
      await store.insertEntries(tx, log, taken.first, rows);
      return { result, size: taken.first + rows.length };
    });
    if (done === undefined) return stale;
    this.#watch.saw(log, done.size);
    this.#watch.assertSound();
    return done.result;
  }

  /** Callers that wait for a flush. */
  get waiting(): number {
    return this.#waitingCount;
  }

  /** Has somebody told of every group of entries of key use: how many, and how long its flush took, ms. */
  observe(observer: (entries: number, duration_ms: number) => void): void {
    this.#observer = observer;
  }

  /** Returns once nothing waits. */
  async idle(): Promise<void> {
    for (const { flushing } of this.#lanes.values()) await flushing;
    if (this.#waitingCount > 0) await this.idle();
  }

  async #flush(log: number, lane: Lane): Promise<void> {
    try {
      // Lets the callers of this turn of the event loop join the group.
      await new Promise(setImmediate);
      while (lane.waiting.length > 0) await this.#flushBatch(log, takeBatch(lane.waiting));
    } finally {
      lane.flushing = undefined;
      this.#lanes.delete(log);
    }
  }

  async #flushBatch(log: number, batch: readonly [Waiting, ...Waiting[]]): Promise<void> {
    try {
      const elapsed = this.#observer && stopwatch();
      const scope = batch.find((each) => each.scope !== undefined)?.scope;
      const outcomes = await within(scope, () => this.#appendBatch(log, batch));
      if (elapsed !== undefined) this.#observer?.(batch.length, elapsed());
      this.#watch.assertSound();
      batch.forEach(({ resolve }, i) => resolve(outcomes?.[i] ?? stale));
    } catch (error) {
      const failure = storageError(error);
      batch.forEach(({ reject }) => reject(failure));
    } finally {
      this.#waitingCount -= batch.length;
    }
  }

  /** One statement where the database takes it; where that finds a condition broken, the transaction that decides each entry. */
  async #appendBatch(
    log: number,
    batch: readonly [Waiting, ...Waiting[]],
  ): Promise<readonly Appended[] | undefined> {
    const known = this.#watch.known(log);
    const outcomes =
      (this.#database.dialect === 'postgres' && (await this.#appendAtOnce(log, batch, known))) ||
      (await this.#database.write((tx) => this.#appendEach(tx, log, batch, known)));
    if (outcomes !== undefined) this.#watch.saw(log, (outcomes.at(-1)?.position ?? 0) + 1);
    return outcomes;
  }

  async #appendAtOnce(
    log: number,
    batch: readonly [Waiting, ...Waiting[]],
    known: number,
  ): Promise<readonly Appended[] | undefined> {
    const windows = batch.flatMap(({ validity }) => validity);
    const group = {
      log,
      known,
      epoch: batch[0].epoch,
      from: Math.max(0, ...windows.map(({ from }) => from)),
      until: Math.min(Number.MAX_SAFE_INTEGER, ...windows.map(({ until }) => until)),
      entries: batch.map(({ draft }) => ({
        text: entryText(draft, undefined),
        ciphertext: draft.ciphertext,
      })),
    };
    const taken = await this.#database.single((tx) => store.appendGroup(tx, this.#clock, group));
    return taken && batch.map((_, i) => ({ position: taken.first + i, time: taken.time, denied: undefined }));
  }

  async #appendEach(
    tx: Tx,
    log: number,
    batch: readonly [Waiting, ...Waiting[]],
    known: number,
  ): Promise<readonly Appended[] | undefined> {
    const places = { log, epoch: batch[0].epoch, count: batch.length, change: false };
    const taken = await this.#advance(tx, places, known);
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

  /** Takes the places, unless the log has become shorter than it is known to be: then the transaction is rolled back. */
  async #advance(
    tx: Tx,
    places: { log: number; epoch: number; count: number; change: boolean },
    known: number,
  ): Promise<store.Taken | undefined> {
    this.#watch.assertSound();
    const taken = await store.advance(tx, { ...places, clock: this.#clock });
    if (taken !== undefined) this.#watch.compare(places.log, taken.first, known);
    return taken;
  }
}

/** The longest waiting callers that may share a flush: they were authorised under the same epoch. */
function takeBatch(waiting: Waiting[]): readonly [Waiting, ...Waiting[]] {
  const [first] = waiting;
  if (first === undefined) throw new Error('Nobody waits.');
  let count = 1;
  let bytes = first.draft.ciphertext.length;
  for (const { draft, epoch } of waiting.slice(1, maxBatch)) {
    bytes += draft.ciphertext.length;
    if (epoch !== first.epoch || bytes > maxBatchBytes) break;
    count++;
  }
  const [, ...others] = waiting.splice(0, count);
  return [first, ...others];
}
