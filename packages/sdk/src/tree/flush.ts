import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { syncFolder } from '../files.ts';

/**
 * Flushes all that was written to the file system of a folder, in one go: syncfs(2), through `sync -f` of the system, since the platform
 * offers fsync(2) only. For many small files the difference is that of one flush and ten thousand.
 *
 * @returns false where the system has no such command: then each file is to be flushed by itself
 */
export async function flushFileSystem(folder: string): Promise<boolean> {
  try {
    await promisify(execFile)('sync', ['-f', resolve(folder)]);
    return true;
  } catch {
    return false;
  }
}

/** Flushes a folder and its folders, where `sync -f` is missing: what is in them was flushed before. */
export async function flushFolders(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory()) await syncFolder(join(folder, entry.name));
  await syncFolder(folder);
}
