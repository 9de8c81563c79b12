import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SealError, sdkError } from '../errors.ts';
import type { SdkErrorCode } from '../errors.ts';
import { createTargetFile, syncFolder, systemCode } from '../files.ts';
import { openRegularFile } from '../verify/folder.ts';
import { sameBytes } from './store.ts';
import type { ArchiveStore } from './store.ts';

/** An archive in a folder, which is made where it is not there. Files are readable by their owner only. */
export function folderStore(folder: string): ArchiveStore {
  const known = new Set<string>();
  const failing = async <T>(code: SdkErrorCode, path: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      const reason = error instanceof SealError ? error.message : systemCode(error);
      throw sdkError(code, { detail: `${join(folder, path)}: ${reason}`, cause: error });
    }
  };
  const read = (path: string, maxBytes: number): Promise<Uint8Array | undefined> =>
    failing('archive.unreadable', path, () => readFile(join(folder, path), maxBytes));
  const write = (path: string, content: Uint8Array, overwrite: boolean): Promise<void> =>
    failing('archive.unwritable', path, async () => {
      await makeFolders(folder, dirname(join(folder, path)), known);
      const file = await createTargetFile(join(folder, path), { overwrite });
      try {
        await file.write(content);
        await file.commit();
      } finally {
        await file.abandon();
      }
    });
  return {
    place: folder,
    read,
    add: async (path, content) => {
      // One byte more shows what is longer.
      const present = await read(path, content.length + 1);
      if (present === undefined) await write(path, content, false);
      return present === undefined || sameBytes(present, content);
    },
    replace: async (path, content, before) => {
      const present = await read(path, Math.max(before?.length ?? 0, content.length) + 1);
      if (!sameBytes(present, before)) return false;
      await write(path, content, true);
      return true;
    },
  };
}

/** The file, up to the bound; undefined where there is no regular file of that name. */
async function readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  const file = await openRegularFile(path);
  if (file === undefined) return undefined;
  try {
    const bytes = new Uint8Array(Math.min((await file.stat()).size, maxBytes));
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = (await file.read(bytes, length, bytes.length - length)).bytesRead;
    }
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

/** Makes the folders down to one, so that their names survive a crash. */
async function makeFolders(root: string, folder: string, known: Set<string>): Promise<void> {
  if (known.has(folder)) return;
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (first !== undefined) {
    for (let made = folder; made.length >= first.length; made = dirname(made))
      await syncFolder(dirname(made));
  }
  known.add(folder);
  known.add(root);
}
