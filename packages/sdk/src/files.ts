import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, lstat, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SealError } from './errors.ts';

/**
 * A file that comes into being whole or not at all. It is written under a name of its own in the target's folder
 * (mode 0600) and takes the target's name once it is complete and on disk.
 */
export interface TargetFile {
  /** Appends all of the parts, in their order; the caller may reuse them afterwards. @throws SealError `seal.no_space`, `seal.target_unwritable` */
  write(...parts: readonly Uint8Array[]): Promise<void>;
  /**
   * Flushes the file, gives it the target's name and flushes the folder. Where only the last of these fails, the name is taken back;
   * but a file that replaced another, or stands where there are no hard links, keeps it.
   *
   * @throws SealError as `write`, and `seal.target_exists`
   */
  commit(): Promise<void>;
  /**
   * Removes the file under the target's name and flushes the folder, where `commit` gave it that name, even if it failed afterwards.
   * What it replaced does not come back.
   *
   * @throws SealError `seal.target_unwritable` where the file may still be there, at least after a crash
   */
  withdraw(): Promise<void>;
  /** Removes what was written, unless it was committed. Never throws: it runs where an error is already under way. */
  abandon(): Promise<void>;
}

type Placing = 'linked' | 'renamed';

export interface TargetOptions {
  /** Whether an existing regular file may be replaced; otherwise it is an error. */
  readonly overwrite?: boolean;
}

/** @throws SealError `seal.target_exists`, `seal.target_not_a_file`, `seal.target_unwritable`, `seal.no_space` */
export async function createTargetFile(target: string, options: TargetOptions = {}): Promise<TargetFile> {
  const overwrite = options.overwrite ?? false;
  await checkTarget(target, overwrite);
  const temporary = join(dirname(target), `.trialkeep-${randomBytes(8).toString('hex')}.part`);
  let file: FileHandle;
  try {
    file = await open(temporary, 'wx', 0o600);
  } catch (error) {
    throw writeError(target, error);
  }
  const failing = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      throw writeError(target, error);
    }
  };
  const flushes = new EarlyFlushes(file);
  /** How the file took the target's name, until that is known to be free again. */
  let placed: Placing | undefined;
  const withdraw = async (): Promise<void> => {
    if (placed === undefined) return;
    await rm(target, { force: true });
    await syncFolder(dirname(target));
    placed = undefined;
  };
  const place = async (): Promise<void> => {
    try {
      if (overwrite) await rename(temporary, target);
      else if (await linkFree(temporary, target)) {
        placed = 'linked';
        await rm(temporary);
      } else await renameFree(temporary, target);
      placed ??= 'renamed';
      await syncFolder(dirname(target));
    } catch (error) {
      if (placed === 'linked') await withdraw().catch(() => undefined);
      throw error;
    }
  };
  return {
    write: (...parts) =>
      failing(async () => {
        await writeAll(file, parts);
        flushes.wrote(parts.reduce((bytes, part) => bytes + part.length, 0));
      }),
    commit: () =>
      failing(async () => {
        await flushes.ended();
        await file.sync();
        await file.close();
        await place();
      }),
    withdraw: () => failing(withdraw),
    abandon: async () => {
      await file.close().catch(() => undefined);
      await rm(temporary, { force: true }).catch(() => undefined);
    },
  };
}

/** Bytes that are written before their flush is begun. */
const flushBytes = 64 * 1024 * 1024;

/** Flushes a long file while it is being written, so that the flush before it takes its name has little left to do. */
class EarlyFlushes {
  readonly #file: FileHandle;
  #unflushedBytes = 0;
  #flushing: Promise<void> | undefined;
  #failure: { readonly cause: unknown } | undefined;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  wrote(bytes: number): void {
    this.#unflushedBytes += bytes;
    if (this.#unflushedBytes < flushBytes || this.#flushing !== undefined) return;
    this.#unflushedBytes = 0;
    this.#flushing = this.#file.datasync().then(
      () => void (this.#flushing = undefined),
      // The system reports a failed flush once: it must not be forgotten until the end.
      (cause: unknown) => void (this.#failure ??= { cause }),
    );
  }

  /** @throws the error of a flush that failed */
  async ended(): Promise<void> {
    await this.#flushing;
    if (this.#failure !== undefined) throw this.#failure.cause;
  }
}

/** Flushes a folder, so that names made in it survive a crash. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The system's code of a file error (`ENOENT`), or the empty string. */
export function systemCode(error: unknown): string {
  const code: unknown = (error as { code?: unknown } | undefined | null)?.code;
  return typeof code === 'string' ? code : '';
}

async function writeAll(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  for (let rest = parts; rest.length > 0;) {
    let { bytesWritten } = await file.writev(rest);
    // A system may take fewer bytes than it was given.
    rest = rest.flatMap((part) => {
      const taken = Math.min(bytesWritten, part.length);
      bytesWritten -= taken;
      return taken === part.length ? [] : [part.subarray(taken)];
    });
  }
}

async function checkTarget(target: string, overwrite: boolean): Promise<void> {
  const present = await lstat(target).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw writeError(target, error);
  });
  if (present === undefined) return;
  if (!present.isFile() && !present.isSymbolicLink()) throw new SealError('seal.target_not_a_file', target);
  if (!overwrite) throw new SealError('seal.target_exists', target);
}

/**
 * Gives a file a second name: unlike a rename, this never replaces what another process made meanwhile.
 *
 * @returns whether the file system has hard links
 */
async function linkFree(temporary: string, target: string): Promise<boolean> {
  try {
    await link(temporary, target);
    return true;
  } catch (error) {
    if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(systemCode(error))) return false;
    throw error;
  }
}

/** On a file system without hard links: looks once more, then renames. */
async function renameFree(temporary: string, target: string): Promise<void> {
  await checkTarget(target, false);
  await rename(temporary, target);
}

function writeError(target: string, error: unknown): SealError {
  if (error instanceof SealError) return error;
  const detail = systemCode(error);
  if (detail === 'ENOSPC' || detail === 'EDQUOT')
    return new SealError('seal.no_space', target, { cause: error });
  if (detail === 'EEXIST') return new SealError('seal.target_exists', target, { cause: error });
  return new SealError('seal.target_unwritable', target, { ...(detail !== '' && { detail }), cause: error });
}
