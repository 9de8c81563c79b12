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

/**
 * What authorisations of one log have read, all of it under one epoch. Every change that an authorisation can read advances the
 * epoch (design section 4), so facts never need to be refreshed, only dropped.
 */
export class Facts {
  readonly log: number;
  readonly epoch: number;
  readonly #database: Database;
  readonly #known = new LruMap<string, Promise<unknown>>(maxFactsPerEpoch);

  constructor(database: Database, log: number, epoch: number) {
    this.#database = database;
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

  /** The fact of that name, read at most once. Throws {@link StaleFacts} when the epoch has moved on. */
  get<T>(name: string, load: (snapshot: Tx) => Promise<T>): Promise<T> {
    const known = this.#known.get(name);
    if (known !== undefined) return known as Promise<T>;
    const fact = this.read(load);
    this.#known.set(name, fact);
    fact.catch(() => this.#known.delete(name));
    return fact;
  }
}

/** The facts of every log that is in use, newest epoch seen. */
export class FactsCache {
  readonly #database: Database;
  readonly #current = new Map<number, Promise<Facts>>();

  constructor(database: Database) {
    this.#database = database;
  }

  of(log: number): Promise<Facts> {
    const known = this.#current.get(log);
    if (known !== undefined) return known;
    const fresh = this.#database.read(async (snapshot) => {
      const head = await snapshot
        .selectFrom('head')
        .select('epoch')
        .where('log', '=', log)
        .executeTakeFirstOrThrow();
      return new Facts(this.#database, log, head.epoch);
    });
    this.#current.set(log, fresh);
    fresh.catch(() => this.#current.delete(log));
    return fresh;
  }

  drop(log: number): void {
    this.#current.delete(log);
  }
}
