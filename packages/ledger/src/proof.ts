import { equalBytes } from './bytes.ts';
import { LedgerError } from './errors.ts';
import { checkedHash, nodeHash, type Sha256 } from './merkle.ts';
import { subtreeProof } from './subtree.ts';
import { checkLogSize, type TileReader } from './tile.ts';

/**
 * The audit path of entry `index` in the tree of `size` entries: sibling hashes from the leaf upwards (RFC
 * 6962 section 2.1.1). 0 ≤ index < size, otherwise `ledger.proof_range`. Trusts the tiles.
 */
export async function inclusionProof(
  sha256: Sha256,
  index: number,
  size: number,
  readTile: TileReader,
): Promise<Uint8Array[]> {
  checkIndex(index, size);
  return subtreeProof(sha256, { start: index, end: index + 1 }, size, readTile);
}

/**
 * That the tree of `to` entries begins with the tree of `from` entries (RFC 6962 section 2.1.2). 1 ≤ from ≤
 * to, otherwise `ledger.proof_range`; empty where they are equal. Trusts the tiles.
 */
export async function consistencyProof(
  sha256: Sha256,
  from: number,
  to: number,
  readTile: TileReader,
): Promise<Uint8Array[]> {
  checkSizes(from, to);
  return subtreeProof(sha256, { start: 0, end: from }, to, readTile);
}

/**
 * Checks that a leaf is entry `index` of the tree of `size` entries with `root` (RFC 9162 section 2.1.3.2).
 * Every argument may come from an attacker, except the root. Throws `ledger.proof_range` or
 * `ledger.proof_invalid`.
 */
export function verifyInclusion(
  sha256: Sha256,
  claim: {
    leafHash: Uint8Array;
    index: number;
    size: number;
    root: Uint8Array;
    proof: readonly Uint8Array[];
  },
): void {
  checkIndex(claim.index, claim.size);
  let node = claim.index;
  let last = claim.size - 1;
  let hash = checkedHash(claim.leafHash);
  for (const sibling of claim.proof) {
    if (last === 0) throw new LedgerError('ledger.proof_invalid', 'too long');
    if (isOdd(node) || node === last) {
      hash = nodeHash(sha256, sibling, hash);
      while (!isOdd(node) && node > 0) [node, last] = [half(node), half(last)];
    } else {
      hash = nodeHash(sha256, hash, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  if (last !== 0 || !equalBytes(hash, claim.root)) throw new LedgerError('ledger.proof_invalid');
}

/**
 * Checks that the tree of `to` entries with `toRoot` begins with the tree of `from` entries with `fromRoot`
 * (RFC 9162 section 2.1.4.2). Throws `ledger.proof_range` where from is 0 or larger than to: an empty tree is
 * a prefix of every tree, which needs no proof. Otherwise `ledger.proof_invalid`.
 */
export function verifyConsistency(
  sha256: Sha256,
  claim: { from: number; to: number; fromRoot: Uint8Array; toRoot: Uint8Array; proof: readonly Uint8Array[] },
): void {
  const { from, to, fromRoot, toRoot, proof } = claim;
  checkSizes(from, to);
  checkedHash(fromRoot);
  checkedHash(toRoot);
  if (from === to) {
    if (proof.length > 0 || !equalBytes(fromRoot, toRoot)) throw new LedgerError('ledger.proof_invalid');
    return;
  }
  const [first, ...rest] = isPowerOfTwo(from) ? [fromRoot, ...proof] : proof;
  if (first === undefined || proof.length === 0) throw new LedgerError('ledger.proof_invalid', 'too short');
  let [node, last] = [from - 1, to - 1];
  while (isOdd(node)) [node, last] = [half(node), half(last)];
  let [fromHash, toHash] = [checkedHash(first), first];
  for (const hash of rest) {
    if (last === 0) throw new LedgerError('ledger.proof_invalid', 'too long');
    if (isOdd(node) || node === last) {
      fromHash = nodeHash(sha256, hash, fromHash);
      toHash = nodeHash(sha256, hash, toHash);
      while (!isOdd(node) && node > 0) [node, last] = [half(node), half(last)];
    } else {
      toHash = nodeHash(sha256, toHash, hash);
    }
    [node, last] = [half(node), half(last)];
  }
  if (last !== 0 || !equalBytes(fromHash, fromRoot) || !equalBytes(toHash, toRoot)) {
    throw new LedgerError('ledger.proof_invalid');
  }
}

function checkIndex(index: number, size: number): void {
  if (!Number.isSafeInteger(index) || index < 0 || index >= checkLogSize(size)) {
    throw new LedgerError('ledger.proof_range');
  }
}

function checkSizes(from: number, to: number): void {
  if (checkLogSize(from) < 1 || from > checkLogSize(to)) throw new LedgerError('ledger.proof_range');
}

// Sizes go up to 2^53-1, beyond what bit operators hold.
function half(n: number): number {
  return Math.floor(n / 2);
}

function isOdd(n: number): boolean {
  return n % 2 === 1;
}

function isPowerOfTwo(n: number): boolean {
  let power = 1;
  while (power < n) power *= 2;
  return power === n;
}
