import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { WitnessError } from './errors.ts';

/**
 * Replaces a file as a whole, durably: after a crash there is the old content or the new one, never a part. Mode 0600. One
 * process at a time writes a file.
 */
export function writeFileDurably(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.new`;
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content;
  try {
    // Never into a file that is there: its mode, or what it links to, would be somebody else's.
    rmSync(temporary, { force: true });
    const file = openSync(temporary, 'wx', 0o600);
    try {
      for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectory(dirname(path));
}

/** Makes what a directory lists survive a crash. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/**
 * A small file of the data directory as text.
 *
 * @throws WitnessError `witness.data_unusable`, and `witness.file_malformed` where it is longer than `maxBytes`
 */
export function readSmallFile(path: string, maxBytes: number): string {
  try {
    if (statSync(path).size > maxBytes) throw new WitnessError('witness.file_malformed', path);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof WitnessError) throw error;
    throw new WitnessError('witness.data_unusable', path, error);
  }
}

/** What a small file says, read again whenever the file was replaced. */
export class FreshFile<T> {
  readonly #path: string;
  readonly #parse: (path: string) => T;
  #last: { readonly seen: string; readonly content: T } | undefined;

  constructor(path: string, parse: (path: string) => T) {
    this.#path = path;
    this.#parse = parse;
  }

  /** The same value as long as the file is the same. @throws WitnessError `witness.data_unusable`; what `parse` throws */
  content(): T {
    let seen: string;
    try {
      const { ino, mtimeNs, size } = statSync(this.#path, { bigint: true });
      seen = `${ino} ${mtimeNs} ${size}`;
    } catch (error) {
      throw new WitnessError('witness.data_unusable', this.#path, error);
    }
    if (this.#last?.seen !== seen) this.#last = { seen, content: this.#parse(this.#path) };
    return this.#last.content;
  }
}

/** How many files are written and flushed at the same time. */
const filesAtOnce = 8;

/**
 * Writes files below a folder, durably: when it returns they, and the directories that list them, are on disk. Each comes into
 * being whole, by way of `staging`, a folder on the same disk that belongs to this call's caller alone.
 *
 * @param files content by path relative to the folder, with `/`
 */
export async function placeFiles(
  folder: string,
  staging: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const entries = [...files];
  const directories = new Set<string>();
  for (const [path] of entries) await makeDirectories(folder, dirname(path), directories);
  let next = 0;
  const worker = async (name: string): Promise<void> => {
    for (let entry = entries[next++]; entry !== undefined; entry = entries[next++]) {
      const [path, content] = entry;
      const temporary = join(staging, name);
      await writeFlushed(temporary, content);
      await rename(temporary, join(folder, path));
      directories.add(dirname(path));
    }
  };
  await all(Array.from({ length: Math.min(filesAtOnce, entries.length) }, (_, i) => worker(`part-${i}`)));
  await all([...directories].map((directory) => flushDirectory(join(folder, directory))));
}

/** Waits for all, also where one fails, so that nothing goes on in the back of the caller. */
async function all(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** Makes a directory with those above it, and notes the ones in which a new name stands. */
async function makeDirectories(folder: string, path: string, changed: Set<string>): Promise<void> {
  const first = await mkdir(join(folder, path), { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let part = path; part !== '.'; part = dirname(part)) changed.add(dirname(part));
}

async function writeFlushed(path: string, content: Uint8Array): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function flushDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
