import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  openSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { systemCode } from '../files.ts';
import { EntryError, GatheringWriter, writing } from './job.ts';
import { bytesOf } from './name.ts';
import type { Bytes } from './name.ts';

/** Restoring files and links into a folder that is held open. */

/** Where an entry is restored. */
export interface RestorePlace {
  /** The open folder (`OpenFolder.path`). */
  readonly folder: Bytes;
  readonly name: Bytes;
  /** The name that it has in that folder while it is written. */
  readonly part: Bytes;
  /** Whether a file or link that is there and differs is replaced. */
  readonly overwrite: boolean;
  /** Whether it is flushed to the disk by itself. */
  readonly flush: boolean;
}

export interface RestoredFile {
  readonly bytes: number;
  readonly mode: number;
  /** Of the last change of content, ns since 1970. */
  readonly time: string;
}

/** Of the mode: who may read, write and execute. */
const fileModeBits = 0o777;

/**
 * Writes a file that appears whole, with mode and time, or not at all. One that is there with the same content, mode and time stays.
 *
 * @param plaintext gives the content from its beginning, and fails where it is not whole
 * @returns whether it was there already
 * @throws EntryError `seal.target_exists` for one that differs, `seal.target_not_a_file`, `seal.target_unwritable`, `seal.no_space`
 */
export async function restoreFile(
  place: RestorePlace,
  file: RestoredFile,
  plaintext: () => AsyncIterable<Buffer>,
): Promise<boolean> {
  const final = pathIn(place, place.name);
  const present = presentAt(final);
  if (present?.isDirectory() === true) throw new EntryError('seal.target_not_a_file');
  if (present !== undefined) {
    if (hasSameFace(present, file) && (await hasSameContent(final, plaintext()))) return true;
    if (!place.overwrite) throw new EntryError('seal.target_exists');
  }
  const part = pathIn(place, place.part);
  try {
    await writePart(part, file, plaintext(), place.flush);
    writing(() => {
      if (place.overwrite) renameSync(part, final);
      else takeFreeName(part, final);
    });
    return false;
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
}

function pathIn(place: RestorePlace, name: Bytes): Buffer {
  return bytesOf(`${place.folder}/${name}`);
}

function presentAt(path: Buffer): BigIntStats | undefined {
  return writing(() => lstatSync(path, { bigint: true, throwIfNoEntry: false }));
}

async function writePart(
  part: Buffer,
  file: RestoredFile,
  plaintext: AsyncIterable<Buffer>,
  flush: boolean,
): Promise<void> {
  const target = writing(() => openSync(part, 'wx', 0o600));
  try {
    const writer = new GatheringWriter(target);
    for await (const chunk of plaintext) writer.write(chunk);
    writer.flush();
    writing(() => {
      fchmodSync(target, file.mode & fileModeBits);
      const seconds = secondsOf(BigInt(file.time));
      futimesSync(target, seconds, seconds);
      if (flush) fsyncSync(target);
    });
  } finally {
    closeSync(target);
  }
}

/** Unlike a rename, this never replaces what somebody made meanwhile. */
function takeFreeName(part: Buffer, final: Buffer): void {
  try {
    linkSync(part, final);
    rmSync(part);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(systemCode(error))) throw error;
    // A file system without hard links: look once more, then rename.
    if (presentAt(final) !== undefined) throw new EntryError('seal.target_exists');
    renameSync(part, final);
  }
}

/** How far a restored time may be from the one in the manifest, ns: the platform takes times as floating-point seconds. */
const timeTolerance = 1000n;

export function isSameTime(a: bigint, b: bigint): boolean {
  return a - b < timeTolerance && b - a < timeTolerance;
}

function hasSameFace(present: BigIntStats, file: RestoredFile): boolean {
  return (
    present.isFile() &&
    present.size === BigInt(file.bytes) &&
    (Number(present.mode) & fileModeBits) === (file.mode & fileModeBits) &&
    isSameTime(present.mtimeNs, BigInt(file.time))
  );
}

async function hasSameContent(path: Buffer, plaintext: AsyncIterable<Buffer>): Promise<boolean> {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
  const file = writing(() => openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
  try {
    let position = 0;
    for await (const chunk of plaintext) {
      const there = Buffer.allocUnsafe(chunk.length);
      if (!writing(() => readFully(file, there, position)) || !there.equals(chunk)) return false;
      position += chunk.length;
    }
    return true;
  } finally {
    closeSync(file);
  }
}

function readFully(file: number, buffer: Buffer, position: number): boolean {
  for (let done = 0; done < buffer.length;) {
    const length = readSync(file, buffer, done, buffer.length - done, position + done);
    if (length === 0) return false;
    done += length;
  }
  return true;
}

/**
 * Makes a link, and never follows one. One that is there with the same target stays.
 *
 * @returns whether it was there already
 * @throws EntryError as `restoreFile`
 */
export function restoreLink(
  place: RestorePlace,
  link: { readonly target: Bytes; readonly time: string },
): boolean {
  const final = pathIn(place, place.name);
  const present = presentAt(final);
  if (present?.isDirectory() === true) throw new EntryError('seal.target_not_a_file');
  const kept =
    present?.isSymbolicLink() === true &&
    writing(() => readlinkSync(final, { encoding: 'latin1' })) === link.target;
  const part = pathIn(place, place.part);
  const timeNs = BigInt(link.time);
  const seconds = secondsOf(timeNs);
  writing(() => {
    if (kept) {
      // It may have been made just before an interruption.
      if (!isSameTime(present.mtimeNs, timeNs)) lutimesSync(final, seconds, seconds);
    } else if (place.overwrite) {
      symlinkSync(bytesOf(link.target), part);
      lutimesSync(part, seconds, seconds);
      renameSync(part, final);
    } else {
      symlinkSync(bytesOf(link.target), final);
      lutimesSync(final, seconds, seconds);
    }
  });
  return kept;
}

/**
 * A time as the platform takes it: seconds in floating point, here as text, since the platform takes a negative number for the present.
 * Of the two nearest numbers the later one, so that a time in whole milliseconds keeps its millisecond.
 */
export function secondsOf(timeNs: bigint): string {
  const seconds = Number(timeNs) / 1e9;
  const whole = Math.floor(seconds);
  const reached = BigInt(whole) * 1_000_000_000n + BigInt(Math.floor((seconds - whole) * 1e9));
  if (reached >= timeNs) return String(seconds);
  return String(seconds + 2 ** (Math.floor(Math.log2(Math.abs(seconds))) - 52));
}
