import { entryKinds } from '@trialkeep/contract';
import type { Conditions, EntryKind } from '@trialkeep/contract';
import type { Tx } from '../../platform/database.ts';
import { ChunkSet, chunkPositions, termsOf } from './postings.ts';
import type { Term, Value } from './postings.ts';
import * as store from './store.ts';

/** Chunks that are read in one turn of the event loop, half a million entries: a few milliseconds. */
const chunksPerTurn = 128;

/** Runs work in a snapshot: one of its own for each turn, with a turn of the event loop between them, or one for all. */
export type Read = <T>(work: (snapshot: Tx) => Promise<T>) => Promise<T>;

/** Places of a log, `end` exclusive. */
export interface Range {
  readonly first: number;
  readonly end: number;
}

export type KindCounts = Record<EntryKind, number>;

/** The places before `size` whose times the conditions allow. */
export async function rangeOf(
  read: Read,
  log: number,
  { from, to }: Conditions,
  bound: { readonly first: number; readonly size: number },
): Promise<Range> {
  return read(async (snapshot) => ({
    first: from === undefined ? bound.first : await store.placeOfTime(snapshot, log, from, bound),
    end: to === undefined ? bound.size : await store.placeOfTime(snapshot, log, to, bound),
  }));
}

/** The first `limit` places in the range where the conditions are met, in order. Times are the range's. */
export async function findPlaces(
  read: Read,
  log: number,
  conditions: Conditions,
  range: Range,
  limit: number,
): Promise<number[]> {
  return placesOfTerms(read, log, termsOf(conditions, { kinds: true }), range, limit);
}

/** The first `limit` places in the range whose entries have a value of every term, in order; the rarest term first. */
export async function placesOfTerms(
  read: Read,
  log: number,
  terms: readonly Term[],
  range: Range,
  limit: number,
): Promise<number[]> {
  const places: number[] = [];
  for await (const chunks of turns(read, log, terms, range)) {
    for (const [chunk, set] of chunks.sets) {
      for (const offset of set.offsets()) {
        places.push(chunk * chunkPositions + offset);
        if (places.length === limit) return places;
      }
    }
  }
  return places;
}

/** How many entries of each kind meet the conditions in the range, leaving `kinds` aside. */
export async function countKinds(
  read: Read,
  log: number,
  conditions: Conditions,
  range: Range,
): Promise<KindCounts> {
  const counts = Object.fromEntries(entryKinds.map((kind) => [kind, 0])) as KindCounts;
  for await (const { first, end, sets } of turns(read, log, termsOf(conditions, { kinds: false }), range)) {
    if (sets.size === 0) continue;
    await read(async (snapshot) => {
      for (const kind of entryKinds) {
        const ofKind = await readTerm(snapshot, log, [['kind', kind]], { first, end });
        for (const [chunk, set] of sets) counts[kind] += ofKind.get(chunk)?.and(set).count ?? 0;
      }
    });
  }
  return counts;
}

/** Chunks that were looked through together, and what in them meets the conditions; in order, and none is empty. */
interface Turn {
  readonly first: number;
  readonly end: number;
  readonly sets: ReadonlyMap<number, ChunkSet>;
}

async function* turns(
  read: Read,
  log: number,
  terms: readonly Term[],
  range: Range,
): AsyncGenerator<Turn, void, undefined> {
  const endChunk = Math.ceil(range.end / chunkPositions);
  let first = Math.floor(range.first / chunkPositions);
  for (; first < endChunk; first += chunksPerTurn) {
    const at = { first, end: Math.min(endChunk, first + chunksPerTurn) };
    yield { ...at, sets: await read((snapshot) => meeting(snapshot, log, terms, at, range)) };
  }
}

/** The intersection of all terms, chunk by chunk. A chunk that one term is not in is not read for the others. */
export async function meeting(
  snapshot: Tx,
  log: number,
  terms: readonly Term[],
  chunks: Range,
  range: Range,
): Promise<ReadonlyMap<number, ChunkSet>> {
  let sets = allOf(chunks, range);
  for (const term of terms) {
    const [first, last] = [Math.min(...sets.keys()), Math.max(...sets.keys())];
    if (sets.size === 0) break;
    const found = await readTerm(snapshot, log, term, { first, end: last + 1 });
    const both = new Map<number, ChunkSet>();
    for (const [chunk, set] of sets) {
      const other = found.get(chunk);
      const met = other && set.and(other);
      if (met !== undefined && !met.isEmpty) both.set(chunk, met);
    }
    sets = both;
  }
  return sets;
}

/** Every place of the chunks that is in the range. */
function allOf(chunks: Range, range: Range): Map<number, ChunkSet> {
  const sets = new Map<number, ChunkSet>();
  const whole = ChunkSet.range(0, chunkPositions);
  for (let chunk = chunks.first; chunk < chunks.end; chunk++) {
    const start = chunk * chunkPositions;
    const isWhole = range.first <= start && range.end >= start + chunkPositions;
    const set = isWhole ? whole : ChunkSet.range(range.first - start, range.end - start);
    if (isWhole || !set.isEmpty) sets.set(chunk, set);
  }
  return sets;
}

async function readTerm(
  snapshot: Tx,
  log: number,
  term: Term,
  chunks: Range,
): Promise<Map<number, ChunkSet>> {
  const sets = new Map<number, ChunkSet>();
  for (const value of term) {
    for (const { chunk, positions } of await store.readPostings(
      snapshot,
      log,
      value satisfies Value,
      chunks,
    )) {
      const set = sets.get(chunk) ?? ChunkSet.empty();
      sets.set(chunk, set.addEncoded(positions));
    }
  }
  return sets;
}
