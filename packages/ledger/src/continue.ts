import { AuthenticTiles } from './authenticate.ts';
import { equalBytes } from './bytes.ts';
import type { Checkpoint } from './checkpoint.ts';
import { LedgerError } from './errors.ts';
import { Findings } from './finding.ts';
import { hashAt, leafHash, type Sha256 } from './merkle.ts';
import { findBundle, type LogSource } from './source.ts';
import { hashesAtLevel, tileWidth, widthInTree, type TileAddress } from './tile.ts';
import { Tree } from './tree.ts';

/** How far a reader has come: the size of the log there, and its root (32 bytes). */
export type Progress = { readonly size: number; readonly root: Uint8Array };

/** Entries of one bundle that lead to the signed root, in order, and how far the reader has come with them. */
export type ContinuedEntries = {
  readonly first: number;
  readonly entries: readonly Uint8Array[];
  readonly progress: Progress;
};

/** Where a reader that knows nothing yet begins. */
export function progressAtStart(sha256: Sha256): Progress {
  return { size: 0, root: Tree.empty(sha256).root() };
}

/**
 * The entries of a log behind what a reader had already, under a checkpoint whose signature was verified: a bundle at a
 * time, each entry proven before it is given. Reads the right edge of the tree, and for each bundle its tile; memory is one tile a
 * level and one bundle.
 *
 * @param since what the reader had; it owns it
 * @throws LedgerError `ledger.continuation_forked` where the log does not go on from there, or is shorter;
 *   `ledger.continuation_unproven` where tiles or entries are missing, or do not lead to the root
 */
export async function* entriesSince(
  checkpoint: Checkpoint,
  { sha256, source }: { readonly sha256: Sha256; readonly source: LogSource },
  since: Progress,
): AsyncGenerator<ContinuedEntries, void, undefined> {
  if (since.size > checkpoint.size) throw new LedgerError('ledger.continuation_forked', 'shorter');
  if (since.size === checkpoint.size) {
    if (!equalBytes(since.root, checkpoint.root)) throw new LedgerError('ledger.continuation_forked');
    return;
  }
  const files = { sha256, source, prunedBelow: 0 };
  const tiles = await AuthenticTiles.under(checkpoint, files, new Findings(1));
  if (tiles === undefined) throw unproven('right edge');
  let tree = await Tree.load(sha256, since.size, (address) => prefixOf(tiles, address));
  if (!equalBytes(tree.root(), since.root)) throw new LedgerError('ledger.continuation_forked');
  while (tree.size < checkpoint.size) {
    const first = tree.size;
    const index = hashesAtLevel(first, 1);
    const width = widthInTree(checkpoint.size, 0, index);
    const bundle = await findBundle(source, index, width);
    const hashes = await tiles.hashes(0, index);
    if (bundle?.entries.length !== width || !bundle.whole || hashes === undefined) throw unproven('entries');
    const skipped = first - index * tileWidth;
    const entries = bundle.entries.slice(skipped);
    const leaves = entries.map((entry) => leafHash(sha256, entry));
    if (!leaves.every((leaf, i) => equalBytes(leaf, hashAt(hashes, skipped + i)))) throw unproven('entries');
    ({ tree } = tree.append(leaves));
    yield { first, entries, progress: { size: tree.size, root: tree.root() } };
  }
}

/** The hashes of a tile as it was in a smaller tree: the beginning of what it is now. */
async function prefixOf(tiles: AuthenticTiles, { level, index, width }: TileAddress): Promise<Uint8Array> {
  const hashes = await tiles.hashes(level, index);
  if (hashes === undefined) throw unproven('tiles');
  return hashes.subarray(0, width * 32);
}

function unproven(what: string): LedgerError {
  return new LedgerError('ledger.continuation_unproven', what);
}
