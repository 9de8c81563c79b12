import { equalBytes } from './bytes.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { Findings } from './finding.ts';
import { hashAt, hashBytes, leafHashes, merkleRoot, type Sha256 } from './merkle.ts';
import { findBundle, findTile, type LogSource } from './source.ts';
import { isPruned, rightEdgeOfSize, tilePath, tileWidth, widthInTree, type TileAddress } from './tile.ts';
import { rootOfRightEdge, type RightEdge } from './tree.ts';

/**
 * What a tile holds according to three accounts of rising cost: the tile's own file, the files of the tiles
 * below it, and the entries below it. None is trusted before it gives a root that is authenticated already.
 */
const accounts = ['own file', 'tiles below', 'entries below'] as const;

/** Where the tiles are, and below which entry they may be missing without a finding. */
export type TileFiles = {
  readonly sha256: Sha256;
  readonly source: LogSource;
  readonly prunedBelow: number;
};

/**
 * The tiles of a log, authenticated from the signed root downwards: first the partial tiles of the right
 * edge, which give the root together, then each full tile by its hash in the tile above. A tile that is
 * altered or missing is a finding; where the tiles or entries below it give the right hash, they stand in for
 * it. Memory: one tile for each level.
 */
export class AuthenticTiles {
  readonly #sha256: Sha256;
  readonly #source: LogSource;
  readonly #size: number;
  readonly #findings: Findings;
  readonly #prunedBelow: number;
  /** By level; undefined where there is no partial tile, or it is not authentic. */
  #rightEdge: RightEdge = [];
  /** By level: the full tile that was asked for last. */
  readonly #last: { index: number; hashes: Uint8Array | undefined }[] = [];

  private constructor({ sha256, source, prunedBelow }: TileFiles, size: number, findings: Findings) {
    this.#sha256 = sha256;
    this.#source = source;
    this.#size = size;
    this.#findings = findings;
    this.#prunedBelow = prunedBelow;
  }

  /**
   * Authenticates the right edge by the root of a checkpoint whose signature was verified. Undefined where
   * nothing gives that root.
   */
  static async under(
    checkpoint: Checkpoint,
    files: TileFiles,
    findings: Findings,
  ): Promise<AuthenticTiles | undefined> {
    const tiles = new AuthenticTiles(files, checkpoint.size, findings);
    return (await tiles.#authenticateRightEdge(checkpoint.root)) ? tiles : undefined;
  }

  /**
   * The hashes of a tile of the tree, concatenated and authentic, in its full width. Undefined where neither
   * its file nor what lies below gives the hash that the tile above holds, or where it was pruned. Reads fastest
   * from left to right.
   */
  async hashes(level: number, index: number): Promise<Uint8Array | undefined> {
    const width = widthInTree(this.#size, level, index);
    if (width < tileWidth) return this.#rightEdge[level];
    const last = this.#last[level];
    if (last?.index === index) return last.hashes;
    const above = await this.hashes(level + 1, Math.floor(index / tileWidth));
    const hashes =
      above && (await this.#authenticate({ level, index, width }, hashAt(above, index % tileWidth)));
    this.#last[level] = { index, hashes };
    return hashes;
  }

  async #authenticate(address: TileAddress, expected: Uint8Array): Promise<Uint8Array | undefined> {
    if (isPruned(address, this.#prunedBelow) && (await findTile(this.#source, address)) === undefined) {
      return undefined;
    }
    for (const account of accounts) {
      const hashes = await this.#accountOf(address, account);
      if (hashes !== undefined && equalBytes(merkleRoot(this.#sha256, hashes), expected)) {
        if (account !== 'own file') await this.#reportDamage(address);
        return hashes;
      }
    }
    await this.#reportDamage(address);
    if (address.level > 0 || (await this.#bundleExists(address.index))) {
      this.#findings.add('entry.unlocated', entriesUnder(address));
    }
    return undefined;
  }

  async #authenticateRightEdge(root: Uint8Array): Promise<boolean> {
    const addresses = [...rightEdgeOfSize(this.#size)];
    const candidates = addresses.map((): Uint8Array[] => []);
    for (const account of accounts) {
      for (const [i, address] of addresses.entries()) {
        const hashes = await this.#accountOf(address, account);
        const known = candidates[i] ?? [];
        if (hashes !== undefined && !known.some((other) => equalBytes(other, hashes))) known.push(hashes);
      }
      const rightEdge = this.#findRightEdge(addresses, candidates, root);
      if (rightEdge === undefined) continue;
      for (const address of addresses) {
        const stored = await findTile(this.#source, address);
        const authentic = rightEdge[address.level];
        const intact =
          stored instanceof Uint8Array && authentic !== undefined && equalBytes(stored, authentic);
        if (!intact) await this.#reportDamage(address);
      }
      this.#rightEdge = rightEdge;
      return true;
    }
    this.#findings.add('checkpoint.root');
    return false;
  }

  /** The choice of one candidate for each partial tile, at most 3^7 choices, that gives the root. */
  #findRightEdge(
    addresses: readonly TileAddress[],
    candidates: readonly Uint8Array[][],
    root: Uint8Array,
    chosen: RightEdge = [],
  ): RightEdge | undefined {
    const [address, ...more] = addresses;
    const [choices = [], ...otherChoices] = candidates;
    if (address === undefined)
      return equalBytes(rootOfRightEdge(this.#sha256, chosen), root) ? chosen : undefined;
    for (const choice of choices) {
      const extended = [...chosen];
      extended[address.level] = choice;
      const found = this.#findRightEdge(more, otherChoices, root, extended);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #accountOf(
    address: TileAddress,
    account: (typeof accounts)[number],
  ): Promise<Uint8Array | undefined> {
    if (account === 'own file') {
      const stored = await findTile(this.#source, address);
      return stored === 'malformed' ? undefined : stored;
    }
    return this.#recomputed(address, account === 'entries below');
  }

  /**
   * The hashes of a tile from what lies below it, all the way from the entries if `deep`. Undefined where a
   * file is missing or malformed.
   */
  async #recomputed({ level, index, width }: TileAddress, deep: boolean): Promise<Uint8Array | undefined> {
    if (level === 0) {
      const bundle = await findBundle(this.#source, index, width);
      return bundle?.entries.length === width ? leafHashes(this.#sha256, bundle.entries) : undefined;
    }
    const hashes = new Uint8Array(width * hashBytes);
    for (let i = 0; i < width; i++) {
      const below = { level: level - 1, index: index * tileWidth + i, width: tileWidth };
      const content = deep ? await this.#recomputed(below, true) : await this.#accountOf(below, 'own file');
      if (content === undefined) return undefined;
      hashes.set(merkleRoot(this.#sha256, content), i * hashBytes);
    }
    return hashes;
  }

  async #reportDamage(address: TileAddress): Promise<void> {
    const missing = (await findTile(this.#source, address)) === undefined;
    const place = { path: tilePath(address), ...entriesUnder(address) };
    this.#findings.add(missing ? 'tile.missing' : 'tile.altered', place);
  }

  async #bundleExists(index: number): Promise<boolean> {
    return (await findBundle(this.#source, index, tileWidth)) !== undefined;
  }
}

/** The entries that a tile spans, first and last. */
function entriesUnder({ level, index, width }: TileAddress): { index: number; lastIndex: number } {
  const entriesPerHash = tileWidth ** level;
  const first = index * tileWidth * entriesPerHash;
  return { index: first, lastIndex: first + width * entriesPerHash - 1 };
}
