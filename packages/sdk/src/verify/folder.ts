import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { maxEntryBytes } from '@trialkeep/ledger';
import type { LogSource } from '@trialkeep/ledger';
import { systemCode } from '../files.ts';

/** Where an export keeps the signature records of the log (docs/formats/signature.md). */
export const signaturesPath = 'signatures.jsonl';
/** Where an export keeps the payloads of the entries, where it has them (docs/formats/ledger-entry.md). */
export const payloadsPath = 'payloads.jsonl';

/** Where an archive keeps the keys that have signed its checkpoint, one on each line. */
export const verifierKeysPath = 'verifier-keys';

/** The folder where an export keeps the timestamps of the log (docs/formats/timestamp.md). */
export const timestampsFolder = 'timestamps';

/** What an export or an archive writes beside the log. */
const besidePaths: ReadonlySet<string> = new Set([signaturesPath, payloadsPath, verifierKeysPath]);

/** Longest file of a log, bytes: a bundle of 256 entries of the greatest length, each behind its two bytes of length. */
const maxFileBytes = 256 * (maxEntryBytes + 2);

/**
 * A log in a folder, in the layout of C2SP tlog-tiles. The folder may come from anybody: only regular files are read, and
 * of each no more than a log's file can hold (an over-long one shows as malformed).
 */
export function folderSource(folder: string): LogSource {
  return { read: (path) => readRegularFile(join(folder, path)), paths: () => listLogFiles(folder) };
}

/** Everything in the folder but what an export writes beside the log. */
async function* listLogFiles(folder: string): AsyncGenerator<string> {
  for await (const path of listFiles(folder, ''))
    if (!besidePaths.has(path) && !path.startsWith(`${timestampsFolder}/`)) yield path;
}

async function readRegularFile(path: string): Promise<Uint8Array | undefined> {
  const file = await openRegularFile(path);
  if (file === undefined) return undefined;
  try {
    const bytes = new Uint8Array(Math.min((await file.stat()).size, maxFileBytes + 1));
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = (await file.read(bytes, length, bytes.length - length)).bytesRead;
    }
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

/** The file for reading, to be closed by the caller; undefined where nothing, a link, a folder or a device has that name. */
export async function openRegularFile(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(systemCode(error))) return undefined;
    throw error;
  }
  let isFile = false;
  try {
    isFile = (await file.stat()).isFile();
    return isFile ? file : undefined;
  } finally {
    if (!isFile) await file.close();
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
