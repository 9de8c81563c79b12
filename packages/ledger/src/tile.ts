import { LedgerError } from './errors.ts';
import { checkedHash, hashBytes } from './merkle.ts';

/** A tile holds up to this many hashes, and an entry bundle up to this many entries (C2SP tlog-tiles). */
export const tileWidth = 256;
export const maxEntryBytes = 65_535;

/**
 * Where a tile stands: tile `index` of `level` spans the entries from index × 256^(level+1), and each of its
 * hashes is the root over 256^level entries. `level` 0 to 63, `index` 0 to 2^53-1, `width` 1 to 256 hashes;
 * 256 is a full tile.
 */
export type TileAddress = { readonly level: number; readonly index: number; readonly width: number };

/** A tile and its content: `address.width` hashes of 32 bytes, concatenated. */
export type Tile = { readonly address: TileAddress; readonly hashes: Uint8Array };

/**
 * Reads one tile. A wider version of the same tile may be given, because a tile only grows: the first `width`
 * hashes are used. What cannot be read is an error that the reader throws.
 */
export type TileReader = (address: TileAddress) => Uint8Array | Promise<Uint8Array>;

/** Where the entries of a bundle stand: entries index × 256 to index × 256 + width - 1. */
export type BundleAddress = { readonly index: number; readonly width: number };

export type ParsedTilePath =
  | { readonly kind: 'tile'; readonly address: TileAddress }
  | { readonly kind: 'entries'; readonly address: BundleAddress };

/**
 * `tile/<L>/<N>[.p/<W>]`, such as `tile/0/x001/x234/067.p/112`, relative to the log's prefix (C2SP
 * tlog-tiles).
 */
export function tilePath({ level, index, width }: TileAddress): string {
  if (!Number.isInteger(level) || level < 0 || level > 63) throw new LedgerError('ledger.tile_address');
  return `tile/${level}/${indexPath(index, width)}`;
}

/**
 * `tile/entries/<N>[.p/<W>]`: the bundle with entries index × 256 onwards, relative to the log's prefix (C2SP
 * tlog-tiles).
 */
export function bundlePath(index: number, width: number): string {
  return `tile/entries/${indexPath(index, width)}`;
}

/**
 * The inverse of `tilePath` and `bundlePath`. Throws `ledger.tile_path` for anything that they do not
 * produce.
 */
export function parseTilePath(path: string): ParsedTilePath {
  const match = path.length <= 64 ? tilePathPattern.exec(path) : null;
  if (match === null) throw new LedgerError('ledger.tile_path');
  const [, kind = '', groups = '', partial] = match;
  const index = Number(groups.replaceAll(/[x/]/g, ''));
  const width = partial === undefined ? tileWidth : Number(partial);
  if (!Number.isSafeInteger(index) || (partial !== undefined && width >= tileWidth)) {
    throw new LedgerError('ledger.tile_path');
  }
  if (kind === 'entries') return { kind, address: { index, width } };
  const level = Number(kind);
  if (level > 63) throw new LedgerError('ledger.tile_path');
  return { kind: 'tile', address: { level, index, width } };
}

const tilePathPattern =
  /^tile\/(entries|0|[1-9][0-9]?)\/((?:x(?!000)[0-9]{3}\/(?:x[0-9]{3}\/)*)?[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

function indexPath(index: number, width: number): string {
  checkAddress(index, width);
  let path = String(index % 1000).padStart(3, '0');
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    path = `x${String(rest % 1000).padStart(3, '0')}/${path}`;
  }
  return width === tileWidth ? path : `${path}.p/${width}`;
}

function checkAddress(index: number, width: number): void {
  const valid = Number.isSafeInteger(index) && index >= 0 && Number.isInteger(width) && width >= 1;
  if (!valid || width > tileWidth) throw new LedgerError('ledger.tile_address');
}

/** How many hashes of `level` a tree of `size` entries has: the roots over full runs of 256^level entries. */
export function hashesAtLevel(size: number, level: number): number {
  return Math.floor(size / tileWidth ** level);
}

/** The width of a tile in a tree of `size` entries, 0 to 256; 0 where the tree has no such tile. */
export function widthInTree(size: number, level: number, index: number): number {
  return Math.max(0, Math.min(tileWidth, hashesAtLevel(size, level) - index * tileWidth));
}

/**
 * Whether a log pruned to a minimum index may have left out a tile or, by level 0, a bundle: a full one that ends
 * at or before that index (C2SP tlog-tiles, pruning).
 */
export function isPruned({ level, index, width }: TileAddress, minimumIndex: number): boolean {
  return width === tileWidth && (index + 1) * tileWidth ** (level + 1) <= minimumIndex;
}

/** All tiles of a tree of `size` entries, level by level from the leaves, from left to right. */
export function* tilesOfSize(size: number): Generator<TileAddress, void> {
  checkLogSize(size);
  for (let level = 0; hashesAtLevel(size, level) > 0; level++) {
    const tiles = Math.ceil(hashesAtLevel(size, level) / tileWidth);
    for (let index = 0; index < tiles; index++) {
      yield { level, index, width: widthInTree(size, level, index) };
    }
  }
}

/** All entry bundles of a log of `size` entries, from left to right. */
export function* bundlesOfSize(size: number): Generator<BundleAddress, void> {
  checkLogSize(size);
  for (let index = 0; index * tileWidth < size; index++) yield { index, width: widthInTree(size, 0, index) };
}

/**
 * The partial tiles on the right edge of a tree of `size` entries, from the leaves upwards; at most one a
 * level.
 */
export function* rightEdgeOfSize(size: number): Generator<TileAddress, void> {
  for (let level = 0; hashesAtLevel(size, level) > 0; level++) {
    const index = Math.floor(hashesAtLevel(size, level) / tileWidth);
    const width = widthInTree(size, level, index);
    if (width > 0) yield { level, index, width };
  }
}

/** The first `width` hashes of a tile as it was read. Throws `ledger.tile_malformed` where it holds fewer. */
export function hashesOfTile(bytes: Uint8Array, width: number): Uint8Array {
  if (
    bytes.length % hashBytes !== 0 ||
    bytes.length < width * hashBytes ||
    bytes.length > tileWidth * hashBytes
  ) {
    throw new LedgerError('ledger.tile_malformed');
  }
  return bytes.subarray(0, width * hashBytes);
}

/** The content of a tile over separate hashes of 32 bytes each. */
export function concatHashes(hashes: readonly Uint8Array[]): Uint8Array {
  const tile = new Uint8Array(hashes.length * hashBytes);
  hashes.forEach((hash, i) => tile.set(checkedHash(hash), i * hashBytes));
  return tile;
}

/**
 * An entry bundle: each entry behind its length as big-endian uint16 (C2SP tlog-tiles). 1 to 256 entries of 1
 * to 65,535 bytes. The format could hold an empty entry; nothing here writes one.
 */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length < 1 || entries.length > tileWidth) throw new LedgerError('ledger.bundle_malformed');
  if (entries.some(({ length }) => length < 1)) throw new LedgerError('ledger.entry_size');
  return encodeEntries(entries);
}

/** Each entry, of 0 to 65,535 bytes, behind its length as big-endian uint16. */
export function encodeEntries(entries: readonly Uint8Array[]): Uint8Array {
  const bundle = new Uint8Array(entries.reduce((bytes, entry) => bytes + 2 + entry.length, 0));
  let offset = 0;
  for (const entry of entries) {
    if (entry.length > maxEntryBytes) throw new LedgerError('ledger.entry_size');
    bundle[offset] = entry.length >>> 8;
    bundle[offset + 1] = entry.length & 0xff;
    bundle.set(entry, offset + 2);
    offset += 2 + entry.length;
  }
  return bundle;
}

/**
 * The entries of a bundle, as views. Throws `ledger.bundle_malformed` unless it holds exactly `width` whole
 * entries.
 */
export function decodeBundle(bytes: Uint8Array, width: number): Uint8Array[] {
  const { entries, whole } = splitBundle(bytes);
  if (!whole || entries.length !== width) throw new LedgerError('ledger.bundle_malformed');
  return entries;
}

/**
 * The entries of a bundle that may be damaged, as views: as many as can be read, at most 512. `whole` says
 * that nothing was left over.
 */
export function splitBundle(bytes: Uint8Array): { entries: Uint8Array[]; whole: boolean } {
  const entries: Uint8Array[] = [];
  let offset = 0;
  while (offset + 2 <= bytes.length && entries.length < 2 * tileWidth) {
    const end = offset + 2 + ((bytes[offset] ?? 0) << 8) + (bytes[offset + 1] ?? 0);
    if (end > bytes.length) break;
    entries.push(bytes.subarray(offset + 2, end));
    offset = end;
  }
  return { entries, whole: offset === bytes.length };
}

/**
 * Passes the size of a log through if it is a whole number from 0 to 2^53-1; throws `ledger.log_size`
 * otherwise.
 */
export function checkLogSize(size: number): number {
  if (!Number.isSafeInteger(size) || size < 0) throw new LedgerError('ledger.log_size');
  return size;
}
