import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { readError, reading } from './job.ts';
import { failureOf } from './job.ts';
import type { Failure } from './job.ts';
import { bytesOf, isLinkTarget } from './name.ts';
import type { Bytes } from './name.ts';

/** Seeing what is in a folder of the source. */

/**
 * What a file is known by: bytes, times of the last change of content and of anything, inode, device. While it is the same, so is the
 * content, as far as the file system tells.
 */
export type FileState = string;

/** What stands under a name. */
export type Seen =
  | { readonly kind: 'folder' | 'special' }
  | { readonly kind: 'file'; readonly mode: number; readonly state: FileState }
  | { readonly kind: 'link'; readonly time: string; readonly target: Bytes };

/** The names in a folder, ascending by bytes. */
export function listFolder({ folder }: { readonly folder: Bytes }): Bytes[] | Failure {
  try {
    return readdirSync(bytesOf(folder), { encoding: 'latin1' }).sort();
  } catch (error) {
    return failureOf(readError(error));
  }
}

export interface LookInput {
  readonly folder: Bytes;
  readonly names: readonly Bytes[];
}

export function look({ folder, names }: LookInput): (Seen | Failure)[] {
  return names.map((name) => {
    try {
      return reading(() => lookAt(bytesOf(`${folder}/${name}`)));
    } catch (error) {
      return failureOf(error);
    }
  });
}

function lookAt(path: Buffer): Seen {
  const found = lstatSync(path, { bigint: true });
  if (found.isDirectory()) return { kind: 'folder' };
  if (found.isFile()) return { kind: 'file', mode: modeOf(found.mode), state: fileState(found) };
  if (!found.isSymbolicLink()) return { kind: 'special' };
  const target = readlinkSync(path, { encoding: 'latin1' });
  return isLinkTarget(target) ? { kind: 'link', time: String(found.mtimeNs), target } : { kind: 'special' };
}

export function modeOf(mode: bigint): number {
  return Number(mode & 0o7777n);
}

export function fileState(found: {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly ino: bigint;
  readonly dev: bigint;
}): FileState {
  return `${found.size} ${found.mtimeNs} ${found.ctimeNs} ${found.ino} ${found.dev}`;
}

export function bytesIn(state: FileState): number {
  return Number.parseInt(state, 10);
}

/** Of the last change of content, ns. */
export function timeIn(state: FileState): bigint {
  const start = state.indexOf(' ') + 1;
  return BigInt(state.slice(start, state.indexOf(' ', start)));
}
