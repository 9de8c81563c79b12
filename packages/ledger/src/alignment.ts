import type { Findings } from './finding.ts';
import { hashAt, hashBytes } from './merkle.ts';
import { tileWidth } from './tile.ts';

/**
 * An entry at the index where the log committed to it. The bytes are a view of the bundle they were read
 * from.
 */
export type ProvenEntry = { readonly index: number; readonly entry: Uint8Array };

type FoundEntry = { readonly key: string; readonly entry: Uint8Array };
/**
 * Expected entries from `start` up to `end`, in whose place the found ones from `foundStart` up to `foundEnd`
 * stand.
 */
type Hunk = { start: number; end: number; foundStart: number; foundEnd: number };
type Match = { expected: number; found: number };

/**
 * Lays the entries that were found beside the authenticated leaf hashes, as a line diff does, across bundle
 * boundaries: what is only in the tree was dropped, what is only in the bundles was inserted, both in one
 * place is an edit, and what left one place and came back in another was reordered. Where a bundle ends in a
 * difference, up to one bundle's worth waits for the next, so that memory stays bounded and a shift of up to
 * 256 entries is followed.
 */
export class Alignment {
  readonly #findings: Findings;
  /**
   * Authenticated leaf hashes, as strings, that no found entry has matched yet; the first is that of entry
   * `#firstIndex`.
   */
  #expected: string[] = [];
  #firstIndex = 0;
  /** Entries that have matched no leaf hash yet. */
  #found: FoundEntry[] = [];

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** Whether nothing is left over from earlier bundles. */
  get idle(): boolean {
    return this.#expected.length === 0 && this.#found.length === 0;
  }

  /**
   * Compares one more bundle. `expected` and `found` are leaf hashes, concatenated; `entries` are the bytes
   * behind `found`. `firstIndex` is the index of the first expected one, and follows on from the call before
   * unless `finish` came between.
   */
  push(firstIndex: number, expected: Uint8Array, entries: Uint8Array[], found: Uint8Array): ProvenEntry[] {
    if (this.idle) this.#firstIndex = firstIndex;
    for (let i = 0; i < expected.length / hashBytes; i++) this.#expected.push(keyOf(hashAt(expected, i)));
    entries.forEach((entry, i) => this.#found.push({ key: keyOf(hashAt(found, i)), entry }));
    return this.#settle('bundle');
  }

  /**
   * Settles what is left over. Before a gap, found entries that no expected ones face may belong behind it,
   * so that they are not called foreign.
   */
  finish(where: 'gap' | 'end of log'): ProvenEntry[] {
    return this.#settle(where);
  }

  #settle(where: 'bundle' | 'gap' | 'end of log'): ProvenEntry[] {
    const matches = longestCommonSubsequence(
      this.#expected,
      this.#found.map(({ key }) => key),
    );
    const end: Match = { expected: this.#expected.length, found: this.#found.length };
    const settled = where === 'bundle' ? settledPart(matches, end) : end;
    if (where === 'gap') {
      const { expected = -1, found = -1 } = matches.at(-1) ?? {};
      end.found = Math.min(end.found, found + end.expected - expected);
    }
    const settledMatches = matches.filter(({ expected }) => expected < settled.expected);
    this.#report(hunksBetween(settledMatches, settled));
    const proven = settledMatches.map((match) => ({
      index: this.#firstIndex + match.expected,
      entry: this.#found[match.found]?.entry ?? new Uint8Array(0),
    }));
    this.#expected = this.#expected.slice(settled.expected);
    this.#found = where === 'gap' ? [] : this.#found.slice(settled.found);
    this.#firstIndex += settled.expected;
    return proven;
  }

  #report(hunks: readonly Hunk[]): void {
    const moves = this.#movesIn(hunks);
    for (const { start, end, foundStart, foundEnd } of hunks) {
      const missing = range(start, end).filter((i) => !moves.expected.has(i));
      const foreign = range(foundStart, foundEnd).filter((i) => !moves.found.has(i));
      missing.forEach((i, n) => {
        this.#findings.add(n < foreign.length ? 'entry.edited' : 'entry.dropped', {
          index: this.#firstIndex + i,
        });
      });
      if (foreign.length > missing.length)
        this.#findings.add('entry.inserted', { index: this.#firstIndex + end });
    }
    for (const [first, last] of moves.ranges) {
      const index = this.#firstIndex + first;
      this.#findings.add(
        'entry.reordered',
        last > first ? { index, lastIndex: this.#firstIndex + last } : { index },
      );
    }
  }

  /**
   * Entries that are missing in one hunk and turn up in another, and the ranges of positions that they cross.
   */
  #movesIn(hunks: readonly Hunk[]): {
    expected: Set<number>;
    found: Set<number>;
    ranges: [number, number][];
  } {
    const missing = new Map<string, number[]>();
    for (const { start, end } of hunks) {
      for (const i of range(start, end)) {
        const key = this.#expected[i] ?? '';
        missing.set(key, [...(missing.get(key) ?? []), i]);
      }
    }
    const moves = { expected: new Set<number>(), found: new Set<number>(), ranges: [] as [number, number][] };
    for (const { start, end, foundStart, foundEnd } of hunks) {
      for (const i of range(foundStart, foundEnd)) {
        const from = missing.get(this.#found[i]?.key ?? '')?.shift();
        if (from === undefined) continue;
        const before = Math.min(start + i - foundStart, end);
        moves.expected.add(from);
        moves.found.add(i);
        moves.ranges.push(before > from ? [from, before - 1] : [before, from]);
      }
    }
    moves.ranges.sort(([a], [b]) => a - b);
    return moves;
  }
}

/**
 * How far a comparison is final while more bundles follow: all of it where nothing waits behind the last
 * match. Otherwise up to the first difference, so that an entry can still turn up further on; or, so that no
 * more than one bundle's worth waits, up to the last match; or all the same.
 */
function settledPart(matches: readonly Match[], end: Match): Match {
  const [first = end] = hunksBetween(matches, end).map((hunk) => ({
    expected: hunk.start,
    found: hunk.foundStart,
  }));
  const last = matches.at(-1) ?? { expected: -1, found: -1 };
  const behindLast = { expected: last.expected + 1, found: last.found + 1 };
  const isWholeMatched = behindLast.expected === end.expected && behindLast.found === end.found;
  const waitsBriefly = (from: Match): boolean =>
    Math.max(end.expected - from.expected, end.found - from.found) <= tileWidth;
  if (isWholeMatched) return end;
  return [first, behindLast].find(waitsBriefly) ?? end;
}

function hunksBetween(matches: readonly Match[], end: Match): Hunk[] {
  const hunks: Hunk[] = [];
  let [start, foundStart] = [0, 0];
  for (const match of [...matches, end]) {
    if (match.expected > start || match.found > foundStart) {
      hunks.push({ start, end: match.expected, foundStart, foundEnd: match.found });
    }
    [start, foundStart] = [match.expected + 1, match.found + 1];
  }
  return hunks;
}

/** The textbook table, at most 513 × 769 cells, without the common beginning and end. */
function longestCommonSubsequence(expected: readonly string[], found: readonly string[]): Match[] {
  let start = 0;
  const shorter = Math.min(expected.length, found.length);
  while (start < shorter && expected[start] === found[start]) start++;
  let tail = 0;
  while (tail < shorter - start && expected.at(-1 - tail) === found.at(-1 - tail)) tail++;

  const rows = expected.length - start - tail;
  const columns = found.length - start - tail;
  const stride = columns + 1;
  // Cell (i, j): the length of the longest common subsequence of what follows position i and position j.
  const lengths = new Uint16Array((rows + 1) * stride);
  const at = (i: number, j: number): number => lengths[i * stride + j] ?? 0;
  for (let i = rows - 1; i >= 0; i--) {
    for (let j = columns - 1; j >= 0; j--) {
      const same = expected[start + i] === found[start + j];
      lengths[i * stride + j] = same ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }

  const matches = range(0, start).map((i) => ({ expected: i, found: i }));
  for (let i = 0, j = 0; i < rows && j < columns;) {
    if (expected[start + i] === found[start + j]) matches.push({ expected: start + i++, found: start + j++ });
    else if (at(i + 1, j) >= at(i, j + 1)) i++;
    else j++;
  }
  for (let i = tail; i > 0; i--) matches.push({ expected: expected.length - i, found: found.length - i });
  return matches;
}

function range(start: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);
}

/** A hash as a string, so that hashes can be compared and looked up. */
function keyOf(hash: Uint8Array): string {
  return String.fromCharCode(...hash);
}
