import { hashBytes } from './merkle.ts';
import { maxNoteBytes } from './note.ts';
import {
  hashesOfTile,
  maxEntryBytes,
  bundlePath,
  splitBundle,
  tilePath,
  tileWidth,
  type TileAddress,
} from './tile.ts';

/**
 * Where the files of a log are: a folder, a web server, memory. Nothing that comes from it is trusted.
 * Paths are relative to the log's prefix, use `/`, and are made by this package: `checkpoint`, `tile/…`.
 */
export type LogSource = {
  /**
   * The first `maxBytes` bytes of a file, or all of a shorter one; undefined where there is no such file. Any
   * other failure to read is thrown.
   */
  read(path: string, maxBytes: number): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /**
   * The paths of all files, where they can be listed, so that the verifier can name those that it did not
   * check.
   */
  paths?(): AsyncIterable<string> | Iterable<string>;
};

export const checkpointPath = 'checkpoint';

// One byte more than a file may have, so that a longer one is seen to be longer without reading it all.
const checkpointReadBytes = maxNoteBytes + 1;
const tileReadBytes = tileWidth * hashBytes + 1;
const bundleReadBytes = tileWidth * (2 + maxEntryBytes) + 1;

/** The checkpoint's bytes, unverified; undefined where the file is missing. */
export async function findCheckpoint(source: LogSource): Promise<Uint8Array | undefined> {
  return source.read(checkpointPath, checkpointReadBytes);
}

/** A bundle as found. `whole` says that it consists of entries and nothing else. Its entries are views. */
export type FoundBundle = { readonly entries: Uint8Array[]; readonly whole: boolean };

/** The bundle's entries, damaged or not; undefined where the file is missing. */
export async function findBundle(
  source: LogSource,
  index: number,
  width: number,
): Promise<FoundBundle | undefined> {
  const bytes = await source.read(bundlePath(index, width), bundleReadBytes);
  if (bytes !== undefined) return splitBundle(bytes);
  const full =
    width < tileWidth ? await source.read(bundlePath(index, tileWidth), bundleReadBytes) : undefined;
  return full && { entries: splitBundle(full).entries.slice(0, width), whole: true };
}

/**
 * The tile's hashes; `malformed` where the file does not hold as many as its name says, undefined where it is
 * missing. A partial tile may have been replaced by the full one that it became (C2SP tlog-tiles, partial
 * tiles).
 */
export async function findTile(
  source: LogSource,
  address: TileAddress,
): Promise<Uint8Array | 'malformed' | undefined> {
  for (const fileWidth of new Set([address.width, tileWidth])) {
    const bytes = await source.read(tilePath({ ...address, width: fileWidth }), tileReadBytes);
    if (bytes === undefined) continue;
    if (bytes.length !== fileWidth * hashBytes) return 'malformed';
    return hashesOfTile(bytes, address.width);
  }
  return undefined;
}
