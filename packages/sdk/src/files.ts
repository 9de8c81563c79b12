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
  /** Appends all of `bytes`; the caller may reuse them afterwards. @throws SealError `seal.no_space`, `seal.target_unwritable` */
  write(bytes: Uint8Array): Promise<void>;
  /** Flushes the file, gives it the target's name and flushes the folder. @throws SealError as `write`, and `seal.target_exists` */
  commit(): Promise<void>;
  /** Removes what was written, unless it was committed. Never throws: it runs where an error is already under way. */
  abandon(): Promise<void>;
}

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
  return {
    write: (bytes) => failing(() => writeAll(file, bytes)),
    commit: () =>
      failing(async () => {
        await file.sync();
        await file.close();
        await (overwrite ? rename(temporary, target) : takeFreeName(temporary, target));
        await syncFolder(dirname(target));
      }),
    abandon: async () => {
      await file.close().catch(() => undefined);
      await rm(temporary, { force: true }).catch(() => undefined);
    },
  };
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

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.length;) {
    offset += (await file.write(bytes, offset)).bytesWritten;
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

/** Gives a file a second name and takes the first away: unlike a rename, this never replaces what another process made meanwhile. */
async function takeFreeName(temporary: string, target: string): Promise<void> {
  try {
    await link(temporary, target);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(systemCode(error))) throw error;
    // A file system without hard links: look once more, then rename.
    await checkTarget(target, false);
    return rename(temporary, target);
  }
  await rm(temporary);
}

function writeError(target: string, error: unknown): SealError {
  if (error instanceof SealError) return error;
  const detail = systemCode(error);
  if (detail === 'ENOSPC' || detail === 'EDQUOT')
    return new SealError('seal.no_space', target, { cause: error });
  if (detail === 'EEXIST') return new SealError('seal.target_exists', target, { cause: error });
  return new SealError('seal.target_unwritable', target, { ...(detail !== '' && { detail }), cause: error });
}
