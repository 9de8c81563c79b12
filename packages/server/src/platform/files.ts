import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

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
 * Replaces a file as a whole, durably: after a crash there is the old content or the new one, never a part. Mode 0600. What a
 * crash leaves of the new one has one fixed name, so that the next write removes it; one process at a time writes a file.
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
