import { leafHash, nodeHash, tileWidth, type Sha256, type TileReader } from '@trialkeep/ledger';
import { EvidenceError } from './errors.ts';

const hashBytes = 32;
/** Longest proof of listed entries, bytes. */
export const maxEntriesProofBytes = 16 << 20;

/**
 * The hashes that, together with the entries at `indexes`, give the root of the tree of `size` entries. `indexes` ascend, each once,
 * below `size`; at least one. Trusts the tiles.
 */
export async function makeEntriesProof(
  sha256: Sha256,
  indexes: readonly number[],
  size: number,
  readTile: TileReader,
): Promise<Uint8Array> {
  const rangeHash = rangeReader(sha256, size, readTile);
  const hashes: Uint8Array[] = [];
  const walk = async (start: number, end: number, inside: readonly number[]): Promise<void> => {
    if (inside.length === 0) {
      hashes.push(await rangeHash(start, end));
    } else if (end - start > 1) {
      const middle = split(start, end);
      await walk(
        start,
        middle,
        inside.filter((index) => index < middle),
      );
      await walk(
        middle,
        end,
        inside.filter((index) => index >= middle),
      );
    }
  };
  await walk(0, size, indexes);
  if (hashes.length * hashBytes > maxEntriesProofBytes)
    throw new EvidenceError('evidence.too_large', 'proof');
  const proof = new Uint8Array(hashes.length * hashBytes);
  hashes.forEach((hash, i) => proof.set(hash, i * hashBytes));
  return proof;
}

/**
 * The root that the listed entries and the proof give; it is right where it is the checkpoint's. `entries` ascend by index, each
 * once, below `size`; at least one.
 *
 * @throws EvidenceError `evidence.proof_malformed` where the proof does not have the length that the indexes ask for
 */
export function rootOfEntries(
  sha256: Sha256,
  entries: readonly { readonly index: number; readonly bytes: Uint8Array }[],
  size: number,
  proof: Uint8Array,
): Uint8Array {
  let next = 0;
  const take = (): Uint8Array => {
    const hash = proof.subarray(next, next + hashBytes);
    if (hash.length !== hashBytes) throw new EvidenceError('evidence.proof_malformed');
    next += hashBytes;
    return hash;
  };
  // Positions in `entries` rather than copies of it: each level only looks for where its half ends.
  const root = (start: number, end: number, from: number, to: number): Uint8Array => {
    const entry = from < to ? entries[from] : undefined;
    if (entry === undefined) return take();
    if (end - start === 1) return leafHash(sha256, entry.bytes);
    const middle = split(start, end);
    let border = from;
    while (border < to && (entries[border]?.index ?? 0) < middle) border++;
    return nodeHash(sha256, root(start, middle, from, border), root(middle, end, border, to));
  };
  const found = root(0, size, 0, entries.length);
  if (next !== proof.length) throw new EvidenceError('evidence.proof_malformed');
  return found;
}

/** Where RFC 6962 section 2.1 splits a range: at the largest power of two below its length. */
function split(start: number, end: number): number {
  let power = 1;
  while (power * 2 < end - start) power *= 2;
  return start + power;
}

/** The root over a range that a proof names. Reads each tile once. */
function rangeReader(
  sha256: Sha256,
  size: number,
  readTile: TileReader,
): (start: number, end: number) => Promise<Uint8Array> {
  const tiles = new Map<string, Promise<Uint8Array>>();
  const tile = (level: number, index: number): Promise<Uint8Array> => {
    const name = `${level}/${index}`;
    const width = Math.min(tileWidth, Math.floor(size / tileWidth ** level) - index * tileWidth);
    const known = tiles.get(name) ?? Promise.resolve(readTile({ level, index, width }));
    tiles.set(name, known);
    return known;
  };
  const rangeHash = async (start: number, end: number): Promise<Uint8Array> => {
    const level = Math.log2(end - start) / 8;
    if (Number.isInteger(level)) {
      const place = start / tileWidth ** level;
      const hashes = await tile(level, Math.floor(place / tileWidth));
      const offset = (place % tileWidth) * hashBytes;
      return hashes.slice(offset, offset + hashBytes);
    }
    const middle = split(start, end);
    return nodeHash(sha256, await rangeHash(start, middle), await rangeHash(middle, end));
  };
  return rangeHash;
}
