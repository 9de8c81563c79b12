import { SealError } from '../errors.ts';
import type { FileErrorCode } from '../errors.ts';
import type { Failure } from './job.ts';
import { bytesOf, shownPathOf } from './name.ts';
import type { Place } from './name.ts';

/** Something that is wrong with one entry of a tree, and that nothing else depends on. */
export interface TreeFinding {
  /**
   * The entry's path within the tree, or of something else within the sealed tree; the last 4 KiB of it after `…/` where it is longer. What
   * is not UTF-8 in it is replaced.
   */
  readonly path: string;
  /** The same as bytes. */
  readonly pathBytes: Uint8Array;
  /** What is wrong, with `path`. */
  readonly error: SealError;
}

export function findingAt(place: Place | undefined, code: FileErrorCode, detail?: string): TreeFinding {
  return findingOf(bytesOf(shownPathOf(place)), { failure: code, detail });
}

export function findingOf(pathBytes: Uint8Array, { failure, detail }: Failure): TreeFinding {
  const path = Buffer.from(pathBytes).toString('utf8');
  return { path, pathBytes, error: new SealError(failure, path, detail === undefined ? {} : { detail }) };
}
