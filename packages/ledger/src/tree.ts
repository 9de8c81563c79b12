import { LedgerError } from './errors.ts';
import { EMPTY_ROOT, hashBytes, merkleRoot, type Sha256 } from './merkle.ts';
import {
  checkLogSize,
  concatHashes,
  hashesAtLevel,
  hashesOfTile,
  rightEdgeOfSize,
  tileWidth,
  type Tile,
  type TileReader,
} from './tile.ts';
import { concatBytes } from './bytes.ts';

const tileBytes = tileWidth * hashBytes;

/** The partial tile of each level from the leaves upwards: 0 to 255 hashes. Never changed in place. */
export type RightEdge = readonly (Uint8Array | undefined)[];

/**
 * A Merkle tree that grows at its right edge (RFC 6962 section 2.1, in tiles as C2SP tlog-tiles). A value:
 * `append` gives a new tree and leaves this one as it was, so that a caller keeps the new one only after the
 * tiles are stored. In memory it is the partial tiles of the right edge: less than 8 KiB a level, one level
 * for every factor of 256 in size.
 */
export class Tree {
  /** The number of entries. */
  readonly size: number;
  readonly #sha256: Sha256;
  readonly #rightEdge: RightEdge;

  private constructor(sha256: Sha256, size: number, rightEdge: RightEdge) {
    this.#sha256 = sha256;
    this.size = size;
    this.#rightEdge = rightEdge;
  }

  static empty(sha256: Sha256): Tree {
    return new Tree(sha256, 0, []);
  }

  /**
   * The tree of `size` entries. Reads only the partial tiles of the right edge and takes them on trust:
   * compare `root()` with what was signed or stored.
   */
  static async load(sha256: Sha256, size: number, readTile: TileReader): Promise<Tree> {
    const rightEdge: (Uint8Array | undefined)[] = [];
    for (const address of rightEdgeOfSize(checkLogSize(size))) {
      rightEdge[address.level] = new Uint8Array(hashesOfTile(await readTile(address), address.width));
    }
    return new Tree(sha256, size, rightEdge);
  }

  /** The root hash over all entries: 32 bytes, owned by the caller. */
  root(): Uint8Array {
    return rootOfRightEdge(this.#sha256, this.#rightEdge);
  }

  /**
   * The tree with more entries, and the tiles in which it differs from this one, each in its widest form:
   * tiles filled on the way, then the partial one, level by level from the leaves.
   * @param leafHashes 32 bytes each, in the order of the entries
   */
  append(leafHashes: readonly Uint8Array[]): { tree: Tree; tiles: Tile[] } {
    const size = checkLogSize(this.size + leafHashes.length);
    const rightEdge = [...this.#rightEdge];
    const tiles: Tile[] = [];
    let added = concatHashes(leafHashes);
    for (let level = 0; added.length > 0; level++) {
      const hashes = concatBytes(rightEdge[level] ?? new Uint8Array(0), added);
      const firstIndex = Math.floor(hashesAtLevel(this.size, level) / tileWidth);
      const fullTiles = Math.floor(hashes.length / tileBytes);
      added = new Uint8Array(fullTiles * hashBytes);
      for (let i = 0; i < fullTiles; i++) {
        const tile = hashes.slice(i * tileBytes, (i + 1) * tileBytes);
        tiles.push({ address: { level, index: firstIndex + i, width: tileWidth }, hashes: tile });
        added.set(merkleRoot(this.#sha256, tile), i * hashBytes);
      }
      const partial = hashes.slice(fullTiles * tileBytes);
      const width = partial.length / hashBytes;
      if (width > 0)
        tiles.push({ address: { level, index: firstIndex + fullTiles, width }, hashes: partial.slice() });
      rightEdge[level] = partial;
    }
    return { tree: new Tree(this.#sha256, size, rightEdge), tiles };
  }
}

/**
 * The root of a tree from the partial tiles of its right edge. What lies right of a level's last hash is a
 * smaller tree, and so the ragged last leaf of that level.
 */
export function rootOfRightEdge(sha256: Sha256, rightEdge: RightEdge): Uint8Array {
  let root: Uint8Array = new Uint8Array(0);
  for (const partial of rightEdge) {
    if (partial === undefined || partial.length === 0) continue;
    if (partial.length % hashBytes !== 0) throw new LedgerError('ledger.hash_size');
    root = merkleRoot(sha256, concatBytes(partial, root));
  }
  return root.length === 0 ? EMPTY_ROOT.slice() : root;
}
