import { ChunkSet, chunkPositions } from './postings.ts';
import type { Term } from './postings.ts';
import { meeting } from './search.ts';
import type { Range, Read } from './search.ts';
import { readPostingsOf } from './store.ts';

/** Chunks that are read in one turn of the event loop, from the newest backwards: few at first, for most is used often. */
const firstChunks = 4;
const mostChunks = 128;

/**
 * The newest place in the range where each of the values of a member stands in one entry with a value of every term; values that stand
 * nowhere so are left out. Reads the index alone, from its end, and no further back than the last value needs.
 */
export async function newestPlaces(
  read: Read,
  log: number,
  field: string,
  values: readonly string[],
  terms: readonly Term[],
  range: Range,
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  const first = Math.floor(range.first / chunkPositions);
  let end = Math.ceil(range.end / chunkPositions);
  for (let chunks = firstChunks; end > first; chunks = Math.min(mostChunks, chunks * 2)) {
    const left = values.filter((value) => !found.has(value));
    if (left.length === 0) break;
    const at = { first: Math.max(first, end - chunks), end };
    await read(async (snapshot) => {
      const sets = await meeting(snapshot, log, terms, at, range);
      if (sets.size === 0) return;
      for (const { value, chunk, positions } of await readPostingsOf(snapshot, log, field, left, at)) {
        const set = sets.get(chunk);
        if (set === undefined || found.has(value)) continue;
        const newest = set.and(ChunkSet.empty().addEncoded(positions)).newest;
        if (newest !== undefined) found.set(value, chunk * chunkPositions + newest);
      }
    });
    end = at.first;
  }
  return found;
}
