import { access, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  Tree,
  bundlePath,
  checkpointPath,
  decodeBundle,
  encodeBundle,
  merkleRoot,
  rightEdgeOfSize,
  tilePath,
  tileWidth,
  type TileAddress,
} from '@trialkeep/ledger';
import { WitnessError } from '../errors.ts';
import { placeFiles } from '../files.ts';
import { sha256 } from '../primitives.ts';

const hashBytes = 32;

/** Where a copy lies: the files as C2SP tlog-tiles names them, and a folder on the same disk to make them in. */
export interface CopyPlace {
  readonly folder: string;
  readonly staging: string;
}

/** Authenticated entries in a row. */
export interface AuthenticEntries {
  /** Index of the first. */
  readonly start: number;
  readonly entries: readonly Uint8Array[];
  /** Of each entry, 32 bytes. */
  readonly leafHashes: readonly Uint8Array[];
}

/**
 * The copy of one log as files of C2SP tlog-tiles: every file is written whole and never changed, and a partial one gives way once the
 * full one is there. For every bundle and tile of the stored entries there is a file of just the width that it has then. Methods that
 * write are called one at a time.
 */
export class LogCopy {
  readonly #place: CopyPlace;
  #tree: Tree;

  private constructor(place: CopyPlace, tree: Tree) {
    this.#place = place;
    this.#tree = tree;
  }

  /**
   * Opens the copy of the first `nextEntry` entries.
   *
   * @throws WitnessError `witness.copy_damaged` where a file of its right edge is missing
   */
  static async open(place: CopyPlace, nextEntry: number): Promise<LogCopy> {
    // What a crash left unfinished.
    await rm(place.staging, { recursive: true, force: true });
    await mkdir(place.staging, { recursive: true, mode: 0o700 });
    await mkdir(place.folder, { recursive: true, mode: 0o700 });
    const tree = await Tree.load(sha256, nextEntry, (address) => readCopied(place, tilePath(address)));
    return new LogCopy(place, tree);
  }

  /** The first entry that is not stored. */
  get nextEntry(): number {
    return this.#tree.size;
  }

  /** The leaf hashes of the first `count` entries of a bundle, concatenated; that many are stored. It may be called while another method writes. */
  async leafHashes(bundle: number, count: number): Promise<Uint8Array> {
    if (count === 0) return new Uint8Array(0);
    const address = { level: 0, index: bundle, width: count };
    const width = this.#width(address);
    try {
      return (await this.#readTile(address)).subarray(0, count * hashBytes);
    } catch (error) {
      // Filled meanwhile, and its narrower file removed. A full tile stays.
      if (this.#width(address) === width) throw error;
      return (await this.#readTile(address)).subarray(0, count * hashBytes);
    }
  }

  /**
   * Stores entries behind those that are there; those among them that are there already are skipped. They are on disk when it returns.
   *
   * @param from may begin earlier than `nextEntry`, but not later
   */
  async append({ start, entries, leafHashes }: AuthenticEntries): Promise<void> {
    const skipped = this.nextEntry - start;
    if (skipped >= entries.length) return;
    const { tree, tiles } = this.#tree.append(leafHashes.slice(skipped));
    const files = await this.#bundlesOf(entries.slice(skipped));
    for (const { address, hashes } of tiles) files.set(tilePath(address), hashes);
    await placeFiles(this.#place.folder, this.#place.staging, files);
    this.#tree = tree;
  }

  /** Removes the partial files of bundles and tiles that are full now and have been since before `from` entries were stored. */
  async dropOutgrown(from: number): Promise<void> {
    for (const { level, index } of rightEdgeOfSize(from)) {
      if (this.#width({ level, index }) < tileWidth) continue;
      const paths = [tilePath({ level, index, width: tileWidth })];
      if (level === 0) paths.push(bundlePath(index, tileWidth));
      for (const path of paths) {
        await rm(join(this.#place.folder, `${path}.p`), { recursive: true, force: true });
      }
    }
  }

  /**
   * Has the files of the tree of `size` entries, all of which are stored, in their partial widths, and makes sure that the tree's root is
   * `root`.
   *
   * @throws WitnessError `witness.copy_damaged`
   */
  async complete(size: number, root: Uint8Array): Promise<void> {
    const files = new Map<string, Uint8Array>();
    for (const address of rightEdgeOfSize(size)) {
      const { level, index, width } = address;
      const stored = this.#width(address);
      // As it is there in this very width, or full and stands in for it.
      if (stored === width || stored === tileWidth || (await this.#has(tilePath(address)))) continue;
      files.set(tilePath(address), (await this.#readTile(address)).subarray(0, width * hashBytes));
      if (level === 0)
        files.set(bundlePath(index, width), encodeBundle((await this.#entriesOf(index)).slice(0, width)));
    }
    if (files.size > 0) await placeFiles(this.#place.folder, this.#place.staging, files);
    const tree = await Tree.load(sha256, size, async (address) => this.#readTile(address));
    if (Buffer.compare(tree.root(), root) !== 0) {
      throw new WitnessError('witness.copy_damaged', `${this.#place.folder}: another root at size ${size}`);
    }
  }

  /** Puts a checkpoint beside the files. */
  async publish(note: Uint8Array): Promise<void> {
    await placeFiles(this.#place.folder, this.#place.staging, new Map([[checkpointPath, note]]));
  }

  async #bundlesOf(entries: readonly Uint8Array[]): Promise<Map<string, Uint8Array>> {
    const files = new Map<string, Uint8Array>();
    let index = Math.floor(this.nextEntry / tileWidth);
    let bundle = await this.#entriesOf(index);
    for (let taken = 0; taken < entries.length; index++) {
      const added = entries.slice(taken, taken + tileWidth - bundle.length);
      taken += added.length;
      bundle = [...bundle, ...added];
      files.set(bundlePath(index, bundle.length), encodeBundle(bundle));
      bundle = [];
    }
    return files;
  }

  /** The entries of a bundle that are stored. */
  async #entriesOf(index: number): Promise<Uint8Array[]> {
    const width = this.#width({ level: 0, index });
    if (width === 0) return [];
    return decodeBundle(await readCopied(this.#place, bundlePath(index, width)), width);
  }

  async #readTile({ level, index }: TileAddress): Promise<Uint8Array> {
    const width = this.#width({ level, index });
    return readCopied(this.#place, tilePath({ level, index, width }));
  }

  /** How wide a tile of the stored entries is. */
  #width({ level, index }: Omit<TileAddress, 'width'>): number {
    const hashes = Math.floor(this.nextEntry / tileWidth ** level);
    return Math.max(0, Math.min(tileWidth, hashes - index * tileWidth));
  }

  async #has(path: string): Promise<boolean> {
    return access(join(this.#place.folder, path)).then(
      () => true,
      () => false,
    );
  }
}

/** The root over a subtree that begins where a bundle begins and is no longer than one. */
export function subtreeRootOf(leafHashes: Uint8Array): Uint8Array {
  return merkleRoot(sha256, leafHashes);
}

async function readCopied({ folder }: CopyPlace, path: string): Promise<Uint8Array> {
  try {
    return await readFile(join(folder, path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new WitnessError('witness.copy_damaged', `${folder}: ${path} is missing`, error);
  }
}
