import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { maxEntryBytes } from '@trialkeep/ledger';
import type { LogSource } from '@trialkeep/ledger';
import { systemCode } from '../files.ts';

/** Longest file of a log, bytes: a bundle of 256 entries of the greatest length, each behind its two bytes of length. */
const maxFileBytes = 256 * (maxEntryBytes + 2);

/**
 * A log in a folder, in the layout of C2SP tlog-tiles. The folder may come from anybody: only regular files are read, and
 * of each no more than a log's file can hold (an over-long one shows as malformed).
 */
export function folderSource(folder: string): LogSource {
  return { read: (path) => readRegularFile(join(folder, path)), paths: () => listFiles(folder, '') };
}

async function readRegularFile(path: string): Promise<Uint8Array | undefined> {
  let file: FileHandle;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(systemCode(error))) return undefined;
    throw error;
  }
  try {
    const status = await file.stat();
    if (!status.isFile()) return undefined;
    const bytes = new Uint8Array(Math.min(status.size, maxFileBytes + 1));
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = (await file.read(bytes, length, bytes.length - length)).bytesRead;
    }
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

/** Everything in the folder that is not a folder, by its path with `/`, links and devices included. */
async function* listFiles(folder: string, prefix: string): AsyncGenerator<string> {
  for (const entry of await readdir(join(folder, prefix), { withFileTypes: true })) {
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory()) yield* listFiles(folder, `${path}/`);
    else yield path;
  }
}
