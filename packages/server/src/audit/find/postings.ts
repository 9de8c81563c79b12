import { comparedMembers, kindOfEntry } from '@trialkeep/contract';
import type { Conditions } from '@trialkeep/contract';
import type { Entry } from '../entry.ts';

/**
 * Where the entries with one value of one member stand, 4,096 positions of the log at a time: a list of u16 offsets, little-endian
 * and ascending, or where that is not shorter a bitmap of 512 bytes, least significant bit first. A chunk follows from its entries
 * alone, and intersections are cheap however the values lie: no question is slow because its conditions are common one by one.
 */
export const chunkPositions = 4096;
const bitmapBytes = chunkPositions / 8;
const words = chunkPositions / 32;

/** A member and its value, as entries are found by it. */
export type Value = readonly [field: string, value: string];

/** What an entry is found by. The kind stands beside the members. */
export function valuesOf(entry: Entry): Value[] {
  const values: Value[] = [['kind', kindOfEntry(entry)]];
  for (const member of comparedMembers) {
    const value = entry[member];
    if (value !== undefined) values.push([member, value]);
  }
  return values;
}

/** Values of which an entry has at least one. */
export type Term = readonly Value[];

/** What an entry that meets the conditions has, but for its time; the rarest first, as far as one can tell. */
export function termsOf(conditions: Conditions, options: { readonly kinds: boolean }): Term[] {
  const terms = comparedMembers.flatMap((member): Term[] => {
    const value = conditions[member];
    return value === undefined ? [] : [[[member, value]]];
  });
  const { device, kinds } = conditions;
  if (device !== undefined) {
    terms.unshift([
      ['actor', device],
      ['key', device],
      ['system', device],
    ]);
  }
  if (options.kinds && kinds !== undefined) terms.push(kinds.map((kind): Value => ['kind', kind]));
  return terms;
}

/** Offsets of a chunk, ascending, in the shorter of the two forms. */
export function encodeOffsets(offsets: readonly number[]): Uint8Array {
  const isBitmap = offsets.length * 2 >= bitmapBytes;
  const bytes = new Uint8Array(isBitmap ? bitmapBytes : offsets.length * 2);
  offsets.forEach((offset, i) => {
    if (isBitmap) {
      bytes[offset >> 3] = (bytes[offset >> 3] ?? 0) | (1 << (offset & 7));
    } else {
      bytes[2 * i] = offset & 0xff;
      bytes[2 * i + 1] = offset >> 8;
    }
  });
  return bytes;
}

/** A set of positions within one chunk. */
export class ChunkSet {
  readonly #words: Uint32Array;

  private constructor(words: Uint32Array) {
    this.#words = words;
  }

  static empty(): ChunkSet {
    return new ChunkSet(new Uint32Array(words));
  }

  /** Offsets from `first` to before `end`. */
  static range(first: number, end: number): ChunkSet {
    const set = ChunkSet.empty();
    for (let offset = Math.max(0, first); offset < Math.min(end, chunkPositions); offset++) set.#add(offset);
    return set;
  }

  /** Adds what the bytes hold. @throws RangeError for bytes that {@link encodeOffsets} does not make */
  addEncoded(bytes: Uint8Array): this {
    if (bytes.length === bitmapBytes) {
      for (let i = 0; i < bitmapBytes; i++) {
        const word = i >> 2;
        this.#words[word] = (this.#words[word] ?? 0) | ((bytes[i] ?? 0) << (8 * (i & 3)));
      }
      return this;
    }
    if (bytes.length > bitmapBytes || bytes.length % 2 !== 0) throw new RangeError('No offsets of a chunk.');
    for (let i = 0; i < bytes.length; i += 2) {
      const offset = (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8);
      if (offset >= chunkPositions) throw new RangeError('No offset of a chunk.');
      this.#add(offset);
    }
    return this;
  }

  /** What is in both. */
  and(other: ChunkSet): ChunkSet {
    return new ChunkSet(this.#words.map((word, i) => word & (other.#words[i] ?? 0)));
  }

  get count(): number {
    let count = 0;
    for (const word of this.#words) count += bitsOf(word);
    return count;
  }

  get isEmpty(): boolean {
    return this.#words.every((word) => word === 0);
  }

  /** The last offset; undefined where there is none. */
  get newest(): number | undefined {
    const i = this.#words.findLastIndex((word) => word !== 0);
    return i < 0 ? undefined : 32 * i + 31 - Math.clz32(this.#words[i] ?? 0);
  }

  /** The offsets, ascending. */
  *offsets(): Generator<number, void, undefined> {
    for (const [i, word] of this.#words.entries()) {
      for (let rest = word; rest !== 0; rest = (rest & (rest - 1)) >>> 0) {
        yield 32 * i + 31 - Math.clz32(rest & -rest);
      }
    }
  }

  #add(offset: number): void {
    const word = offset >> 5;
    this.#words[word] = (this.#words[word] ?? 0) | (1 << (offset & 31));
  }
}

/** The number of ones in 32 bits. */
function bitsOf(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
