import type { Database, Tx } from './database.ts';
import { LruMap } from './lru.ts';

/** Thrown when a fact was read under another epoch than the rest: the caller authorises again. */
export class StaleFacts extends Error {
  /** The log whose epoch has moved on. */
  readonly log: number;

  constructor(log: number) {
    super('The facts have moved on.');
    this.log = log;
  }
}

/** Facts are small: a row or two. Lists are read, not kept. */
const maxFactsPerEpoch = 5000;

/** How often facts were known, and how often they had to be read. */
export interface FactCounts {
  known: number;
  read: number;
}

/**
 * What authorisations of one log have read, all of it under one epoch. Every change that an authorisation can read advances the
 * epoch (design section 4), so facts never need to be refreshed, only dropped.
 */
export class Facts {
  readonly log: number;
  readonly epoch: number;
  readonly #database: Database;
  readonly #counts: FactCounts;
  readonly #known = new LruMap<string, Promise<unknown>>(maxFactsPerEpoch);

  constructor(database: Database, log: number, epoch: number, counts: FactCounts = { known: 0, read: 0 }) {
    this.#database = database;
    this.#counts = counts;
    this.log = log;
    this.epoch = epoch;
  }

  /** Reads under the same epoch without keeping the answer: for lists. Throws {@link StaleFacts} as `get` does. */
  read<T>(load: (snapshot: Tx) => Promise<T>): Promise<T> {
    return this.#database.read(async (snapshot) => {
      const head = await snapshot
        .selectFrom('head')
        .select('epoch')
        .where('log', '=', this.log)
        .executeTakeFirstOrThrow();
      if (head.epoch !== this.epoch) throw new StaleFacts(this.log);
      return load(snapshot);
    });
  }

  /**
   * Throws {@link StaleFacts} when the epoch has moved on: for what writes no entry, whose flush would have noticed, so that a
   * revocation on another node holds for it too.
   */
  async confirm(): Promise<void> {
    if ((await epochOf(this.#database, this.log)) !== this.epoch) throw new StaleFacts(this.log);
  }

  /** The fact of that name, read at most once. Throws {@link StaleFacts} when the epoch has moved on. */
  get<T>(name: string, load: (snapshot: Tx) => Promise<T>): Promise<T> {
    const known = this.#known.get(name);
    if (known !== undefined) {
      this.#counts.known++;
      return known as Promise<T>;
    }
    this.#counts.read++;
    const fact = this.read(load);
    this.#known.set(name, fact);
    fact.catch(() => this.#known.delete(name));
    return fact;
  }
}

/** The facts of every log that is in use, newest epoch seen. */
export class FactsCache {
  readonly #database: Database;
  readonly #onEpoch: (log: number) => void | Promise<void>;
  readonly #onDrop: (log: number) => void;
  readonly counts: FactCounts = { known: 0, read: 0 };
  readonly #current = new Map<number, Promise<Facts>>();
  /** The epoch of each log that `onEpoch` was told of last. */
  #epochs: ReadonlyMap<number, number> = new Map();

  /**
   * @param onEpoch told by `poll` of each log whose epoch has moved on, and of each that it sees first; what it rejects is told again
   * @param onDrop told of each log whose facts are read again from now on, and before new ones are handed out
   */
  constructor(
    database: Database,
    onEpoch: (log: number) => void | Promise<void> = () => undefined,
    onDrop: (log: number) => void = () => undefined,
  ) {
    this.#database = database;
    this.#onEpoch = onEpoch;
    this.#onDrop = onDrop;
  }

  of(log: number): Promise<Facts> {
    const known = this.#current.get(log);
    if (known !== undefined) return known;
    const fresh = epochOf(this.#database, log).then((epoch) => {
      // What was read meanwhile, or before there were facts, may be from before that epoch.
      this.#onDrop(log);
      return new Facts(this.#database, log, epoch, this.counts);
    });
    this.#current.set(log, fresh);
    fresh.catch(() => this.#current.delete(log));
    return fresh;
  }

  drop(log: number): void {
    this.#onDrop(log);
    this.#current.delete(log);
  }

  /**
   * Drops the facts that other nodes have made stale, about once a second: an operation under them would be refused in its flush, and
   * what only reads would answer with them.
   */
  async poll(): Promise<void> {
    const heads = await one(this.#database, (statement) =>
      statement.selectFrom('head').select(['log', 'epoch']).execute(),
    );
    const told = new Map<number, number>();
    for (const { log, epoch } of heads) {
      const current = await this.#current.get(log)?.catch(() => undefined);
      if (current !== undefined && current.epoch !== epoch) this.drop(log);
      // Also one that is seen first: it may have changed since this process read it.
      if (this.#epochs.get(log) === epoch || (await this.#tell(log))) told.set(log, epoch);
    }
    this.#epochs = told;
  }

  /** One log's failure holds up no other; it is told again at the next poll. */
  async #tell(log: number): Promise<boolean> {
    try {
      await this.#onEpoch(log);
      return true;
    } catch {
      return false;
    }
  }
}

async function epochOf(database: Database, log: number): Promise<number> {
  const { epoch } = await one(database, (statement) =>
    statement.selectFrom('head').select('epoch').where('log', '=', log).executeTakeFirstOrThrow(),
  );
  return epoch;
}

/** One select needs no snapshot: on PostgreSQL it is one round trip without. */
function one<R>(database: Database, select: (tx: Tx) => Promise<R>): Promise<R> {
  return database.dialect === 'postgres' ? database.single(select) : database.read(select);
}
