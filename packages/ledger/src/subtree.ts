import { equalBytes } from './bytes.ts';
import { LedgerError } from './errors.ts';
import { checkedHash, hashBytes, merkleRoot, nodeHash, type Sha256 } from './merkle.ts';
import { checkLogSize, hashesOfTile, tilePath, tileWidth, widthInTree, type TileReader } from './tile.ts';

/** Entries from `start` up to, and without, `end`; whole numbers from 0 to 2^53-1. */
export type EntryRange = { readonly start: number; readonly end: number };

/**
 * Whether a range is a subtree: not empty, and `start` a multiple of the smallest power of two that is not less
 * than its length (draft-ietf-plants-merkle-tree-certs, section 4.1). Such a range stands as a node, or as the
 * left part of a node, in every tree that contains it.
 */
export function isSubtree({ start, end }: EntryRange): boolean {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || start >= end) return false;
  return start % powerOfTwoFrom(end - start) === 0;
}

/**
 * The root over a subtree of the tree of `size` entries, which is what its entries alone would have as their
 * tree's root. Throws `ledger.proof_range`. Trusts the tiles.
 */
export async function subtreeRoot(
  sha256: Sha256,
  subtree: EntryRange,
  size: number,
  readTile: TileReader,
): Promise<Uint8Array> {
  checkSubtree(subtree, size);
  return rangeReader(sha256, size, readTile)(subtree);
}

/**
 * That the tree of `size` entries holds this subtree in its place (draft-ietf-plants-merkle-tree-certs, section
 * 4.4.1). A subtree from 0 gives the consistency proof of RFC 6962, one of a single entry its audit path.
 * Throws `ledger.proof_range`. Trusts the tiles.
 */
export async function subtreeProof(
  sha256: Sha256,
  subtree: EntryRange,
  size: number,
  readTile: TileReader,
): Promise<Uint8Array[]> {
  checkSubtree(subtree, size);
  const rootOf = rangeReader(sha256, size, readTile);
  const { remainder, siblings } = descend(subtree, size);
  const ranges = [...(remainder === undefined ? [] : [remainder]), ...siblings.map(({ range }) => range)];
  return Promise.all(ranges.map(rootOf));
}

/**
 * Checks that the tree of `size` entries with `root` holds the subtree with `subtreeRoot` in its place
 * (draft-ietf-plants-merkle-tree-certs, section 4.4.3). Every argument may come from an attacker, except the
 * root. Throws `ledger.proof_range` or `ledger.proof_invalid`.
 */
export function verifySubtree(
  sha256: Sha256,
  claim: {
    subtree: EntryRange;
    subtreeRoot: Uint8Array;
    size: number;
    root: Uint8Array;
    proof: readonly Uint8Array[];
  },
): void {
  const { subtree, size, proof } = claim;
  checkSubtree(subtree, size);
  const { remainder, siblings } = descend(subtree, size);
  const [first, path] = remainder === undefined ? [claim.subtreeRoot, proof] : [proof[0], proof.slice(1)];
  if (first === undefined || path.length !== siblings.length) {
    throw new LedgerError('ledger.proof_invalid', 'wrong length');
  }
  let [within, whole] = [checkedHash(first), first];
  for (const [i, { side }] of siblings.entries()) {
    const sibling = checkedHash(path[i] ?? new Uint8Array(0));
    if (side === 'shared') within = nodeHash(sha256, sibling, within);
    whole = side === 'right' ? nodeHash(sha256, whole, sibling) : nodeHash(sha256, sibling, whole);
  }
  if (!equalBytes(within, claim.subtreeRoot) || !equalBytes(whole, claim.root)) {
    throw new LedgerError('ledger.proof_invalid');
  }
}

/**
 * A node beside the way from the root to the subtree. It stands left or right of it; `shared`: left, and within
 * the subtree.
 */
type Sibling = { readonly range: EntryRange; readonly side: 'left' | 'right' | 'shared' };

/**
 * The way from the root to the subtree, told from its end. `remainder` is the node where it ends, where that is
 * only the last part of the subtree, whose root the verifier does not know then.
 */
function descend(subtree: EntryRange, size: number): { remainder?: EntryRange; siblings: Sibling[] } {
  const siblings: Sibling[] = [];
  let { start } = subtree;
  let node: EntryRange = { start: 0, end: size };
  while (node.start !== start || node.end !== subtree.end) {
    const middle = node.start + largestPowerOfTwoBelow(node.end - node.start);
    const [left, right] = [
      { start: node.start, end: middle },
      { start: middle, end: node.end },
    ];
    if (subtree.end <= middle) {
      siblings.push({ range: right, side: 'right' });
      node = left;
    } else {
      siblings.push({ range: left, side: start < middle ? 'shared' : 'left' });
      if (start < middle) start = middle;
      node = right;
    }
  }
  siblings.reverse();
  return start === subtree.start ? { siblings } : { remainder: node, siblings };
}

/**
 * The root over a range that is a perfect subtree, or ends where the tree ends. Reads each tile once.
 */
function rangeReader(
  sha256: Sha256,
  size: number,
  readTile: TileReader,
): (range: EntryRange) => Promise<Uint8Array> {
  const tiles = new Map<string, Promise<Uint8Array>>();

  function tile(level: number, index: number): Promise<Uint8Array> {
    const address = { level, index, width: widthInTree(size, level, index) };
    const path = tilePath(address);
    const known =
      tiles.get(path) ?? Promise.resolve(readTile(address)).then((b) => hashesOfTile(b, address.width));
    tiles.set(path, known);
    return known;
  }

  async function perfect(start: number, entries: number): Promise<Uint8Array> {
    let level = 0;
    let hashes = entries;
    for (; hashes >= tileWidth; hashes /= tileWidth) level++;
    const first = start / tileWidth ** level;
    const content = await tile(level, Math.floor(first / tileWidth));
    const offset = first % tileWidth;
    return merkleRoot(sha256, content.subarray(offset * hashBytes, (offset + hashes) * hashBytes));
  }

  return async function root({ start, end }): Promise<Uint8Array> {
    const entries = end - start;
    if (powerOfTwoFrom(entries) === entries) return perfect(start, entries);
    const middle = start + largestPowerOfTwoBelow(entries);
    const [left, right] = await Promise.all([perfect(start, middle - start), root({ start: middle, end })]);
    return nodeHash(sha256, left, right);
  };
}

function checkSubtree(subtree: EntryRange, size: number): void {
  if (!isSubtree(subtree) || subtree.end > checkLogSize(size)) throw new LedgerError('ledger.proof_range');
}

/** The largest power of two below `n`, which is at least 2. */
function largestPowerOfTwoBelow(n: number): number {
  return powerOfTwoFrom(n) / 2;
}

/** The smallest power of two that is not less than `n`, which is at least 1. */
function powerOfTwoFrom(n: number): number {
  let power = 1;
  while (power < n) power *= 2;
  return power;
}
