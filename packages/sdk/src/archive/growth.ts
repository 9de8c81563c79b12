import {
  LedgerError,
  Tree,
  bundlePath,
  decodeBundle,
  leafHash,
  tilePath,
  tileWidth,
  verifyConsistency,
} from '@trialkeep/ledger';
import type { Tile } from '@trialkeep/ledger';
import { sha256 } from '../verify/primitives.ts';

/** What the archive's files are made from. */
export interface ArchivedFile {
  readonly path: string;
  readonly content: Uint8Array;
}

/** A bundle as the server gave it; `width` entries by the size of the log. */
export interface FetchedBundle {
  readonly index: number;
  readonly width: number;
  readonly content: Uint8Array;
}

/** What was signed: everything that is archived has to lead there. */
export interface Target {
  readonly size: number;
  readonly root: Uint8Array;
  /** The consistency proof from that size on, which the server makes. */
  prove(from: number): Promise<readonly Uint8Array[]>;
}

/**
 * Grows the tree of an archive by the entries behind it, and gives the files in which it differs. What is handed out has been proven
 * under the signed root before.
 */
export class Growth {
  #tree: Tree;
  /** The leaf hashes behind the last full bundle: the first bundle has to begin with them. */
  #edge: Uint8Array;
  readonly #partial = new Map<number, Tile>();

  constructor(tree: Tree, edge: Uint8Array) {
    this.#tree = tree;
    this.#edge = edge;
  }

  get size(): number {
    return this.#tree.size;
  }

  /**
   * The full tiles, and the bundles, that those bundles come to, which follow the last ones.
   *
   * @throws LedgerError where they are not what was signed
   */
  async add(bundles: readonly FetchedBundle[], target: Target): Promise<ArchivedFile[]> {
    const hashes = bundles.flatMap((bundle) => this.#newHashes(bundle));
    const { tree, tiles } = this.#tree.append(hashes);
    const claim = { from: tree.size, fromRoot: tree.root(), to: target.size, toRoot: target.root };
    const proof = tree.size === target.size ? [] : await target.prove(tree.size);
    verifyConsistency(sha256, { ...claim, proof });
    this.#tree = tree;
    for (const tile of tiles) {
      if (tile.address.width < tileWidth) this.#partial.set(tile.address.level, tile);
    }
    const full = tiles.filter(({ address }) => address.width === tileWidth);
    return [
      ...bundles.map(({ index, width, content }) => ({ path: bundlePath(index, width), content })),
      ...full.map(fileOf),
    ];
  }

  /** The partial tiles of the tree in which it differs from the archive's. */
  rightEdge(): ArchivedFile[] {
    const { size } = this.#tree;
    const tiles = [...this.#partial.values()];
    return tiles
      .filter(({ address: { level, index, width } }) => {
        const hashes = Math.floor(size / tileWidth ** level);
        return index === Math.floor(hashes / tileWidth) && width === hashes % tileWidth;
      })
      .map(fileOf);
  }

  /** The leaf hashes of a bundle that are not in the tree yet. */
  #newHashes({ width, content }: FetchedBundle): Uint8Array[] {
    const hashes = decodeBundle(content, width).map((entry) => leafHash(sha256, entry));
    const known = Buffer.concat(hashes.splice(0, this.#edge.length / 32));
    if (Buffer.compare(known, this.#edge) !== 0)
      throw new LedgerError('ledger.proof_invalid', 'first bundle');
    this.#edge = new Uint8Array(0);
    return hashes;
  }
}

function fileOf({ address, hashes }: Tile): ArchivedFile {
  return { path: tilePath(address), content: hashes };
}
