import { setImmediate } from 'node:timers/promises';
import type { Database } from '../../platform/database.ts';
import { parseEntry } from '../entry.ts';
import { readEntries } from '../store.ts';
import { chunkPositions, encodeOffsets, valuesOf } from './postings.ts';
import * as store from './store.ts';
import type { PostingRow, Progress } from './store.ts';

/** Entries that are read and parsed before others get their turn: a few milliseconds of the event loop. */
const entriesPerTurn = 256;

/** The newest chunk of a log, as far as this node has read it; what the next step adds to. */
interface Tail {
  readonly size: number;
  /** By field and value, with a space between. */
  readonly offsets: Map<string, number[]>;
}

/**
 * The index that one log's questions are answered from: it follows the log's tree with a cursor of its own, a chunk at a time at most,
 * and is a function of the entries alone, so that any node may bring it forward and that deleting it loses nothing.
 */
export class Projection {
  readonly #database: Database;
  readonly #log: number;
  #tail: Tail | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(database: Database, log: number) {
    this.#database = database;
    this.#log = log;
  }

  /**
   * Brings the index forward up to the tree as it is, or by `most` entries and a chunk; calls take turns.
   *
   * @returns how far it has come
   */
  follow(most = Number.MAX_SAFE_INTEGER): Promise<Progress> {
    const work = (): Promise<Progress> => this.#follow(most);
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #follow(most: number): Promise<Progress> {
    let begun: number | undefined;
    for (;;) {
      const at = await this.#database.read((snapshot) => store.progress(snapshot, this.#log));
      begun ??= at.size;
      if (at.size >= at.treeSize || at.size - begun >= most) return at;
      await this.#step(at);
    }
  }

  /** Adds the entries up to the end of the chunk, or of the tree; what is archived is in no answer. */
  async #step({ size, treeSize, first: archived }: Progress): Promise<void> {
    const from = Math.max(archived, size);
    const chunk = Math.floor(from / chunkPositions);
    const start = chunk * chunkPositions;
    const to = Math.min(treeSize, start + chunkPositions);
    const isKnown = this.#tail?.size === from;
    const offsets = isKnown && this.#tail !== undefined ? this.#tail.offsets : new Map<string, number[]>();
    // What a step that fails has added to the tail is not stored.
    this.#tail = undefined;
    const added = new Set<string>();
    for (let first = isKnown ? from : Math.max(archived, start); first < to; first += entriesPerTurn) {
      for (const [i, values] of (await this.#values(first, Math.min(to, first + entriesPerTurn))).entries()) {
        for (const [field, value] of values) {
          const name = `${field} ${value}`;
          const places = offsets.get(name);
          if (places === undefined) offsets.set(name, [first + i - start]);
          else places.push(first + i - start);
          if (first + i >= from) added.add(name);
        }
      }
      await setImmediate();
    }
    const rows = [...added].map((name) => rowOf(name, chunk, offsets.get(name) ?? []));
    const step = { log: this.#log, from: size, to, rows };
    const stored = await this.#database.write((tx) => store.storeStep(tx, step));
    if (stored && to < start + chunkPositions) this.#tail = { size: to, offsets };
  }

  async #values(first: number, end: number) {
    const entries = await this.#database.read((snapshot) =>
      readEntries(snapshot, this.#log, first, end - first),
    );
    return entries.map((bytes) => valuesOf(parseEntry(bytes)));
  }
}

function rowOf(name: string, chunk: number, offsets: readonly number[]): PostingRow {
  const at = name.indexOf(' ');
  return { field: name.slice(0, at), value: name.slice(at + 1), chunk, positions: encodeOffsets(offsets) };
}
