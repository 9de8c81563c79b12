import { mkdir, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  bundlePath,
  bundlesOfSize,
  checkpointPath,
  LedgerError,
  openNote,
  parseCheckpoint,
  tilePath,
  tilesOfSize,
} from '@trialkeep/ledger';
import type { Caller, CallOptions } from '../client/index.ts';
import { SealError } from '../errors.ts';
import { syncFolder, systemCode } from '../files.ts';
import { ExportedSignatures } from './export-signatures.ts';
import { signaturesPath } from './folder.ts';
import { verifierOf } from './primitives.ts';
import { resultOf, verifyParts } from './verify-folder.ts';
import type { VerifyFolderResult } from './verify-folder.ts';

export interface ExportOptions {
  /** The log's key as a vkey line, from a trusted place; without it the server is asked, and then vouches for itself. */
  readonly verifierKey?: string;
  /** A checkpoint of the same log that was kept earlier: shows that the server still tells the same history. */
  readonly keptCheckpoint?: Uint8Array;
  /** Called as the work goes on: files while fetching, entries while verifying. */
  onProgress?(step: 'fetch' | 'verify', done: number, total: number): void;
  /** Ends the export early; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface ExportResult extends VerifyFolderResult {
  readonly verifierKey: string;
  /** How many files the export has, the checkpoint included, and their bytes in all. */
  readonly files: number;
  readonly bytes: number;
}

/** How many files are fetched at a time. */
const concurrentFetches = 8;

/**
 * Copies a whole ledger into a folder in the layout of C2SP tlog-tiles, with the records of its electronic signatures beside it, and
 * verifies the copy. The checkpoint is written behind all else: a folder without it is an export that was not finished. Files are
 * readable by their owner only, since aliases and signers' names are personal data. Without the permission to read signatures the
 * export goes on, and `signatures.exported` is false; signatures that do not verify make the verdict `failed`.
 *
 * @throws SealError `export.folder_not_empty`, `export.folder_unwritable`, `export.not_verified` (then the folder stays as it
 * is, to be examined); TrialkeepError of the calls; LedgerError `ledger.key_malformed`
 */
export async function exportLedger(
  client: Caller,
  folder: string,
  options: ExportOptions = {},
): Promise<ExportResult> {
  const { signal, onProgress, keptCheckpoint } = options;
  const calling = signal === undefined ? {} : { signal };
  await prepareFolder(folder);
  const verifierKey = options.verifierKey ?? (await client.call('ledger.verifier-key', {}, calling)).trim();
  const checkpoint = Buffer.from(await client.call('ledger.checkpoint', {}, calling));
  const size = await signedSize(folder, checkpoint, verifierKey);

  const written = { files: 0, bytes: 0 };
  const write: Write = async (path, content) => {
    await writeNew(folder, path, content);
    written.files += 1;
    written.bytes += content.length;
  };
  const signatures = new ExportedSignatures();
  await fetchLog(client, size, write, {
    calling,
    onBundle: (bundle, width) => signatures.addBundle(bundle, width),
    onProgress: (done) => onProgress?.('fetch', done, size),
  });
  // Behind the log, so that the record of every entry under the checkpoint is there.
  const lines = await signatures.fetch(client, calling);
  if (lines !== undefined) await write(signaturesPath, Buffer.from(lines));
  await write(checkpointPath, checkpoint);
  await syncFolder(folder);

  const { log, signatures: checked } = await verifyParts({
    folder,
    verifierKey,
    ...(keptCheckpoint !== undefined && { keptCheckpoint }),
    onProgress: (done, total) => onProgress?.('verify', done, total),
  });
  if (log.verdict === 'failed') throw notVerified(folder, log.findings[0]?.sentence ?? '');
  return { ...resultOf(log, checked), verifierKey, ...written };
}

type Write = (path: string, content: Uint8Array) => Promise<void>;

interface FetchOptions {
  readonly calling: CallOptions;
  onBundle(bundle: Uint8Array, width: number): void;
  onProgress(entriesDone: number): void;
}

/** Fetches the tiles and bundles of a log of that size, several at a time. */
async function fetchLog(client: Caller, size: number, write: Write, options: FetchOptions): Promise<void> {
  const { calling, onBundle, onProgress } = options;
  const files = filesOf(size);
  let done = 0;
  const fetchNext = async (): Promise<void> => {
    for (const { path, entries } of files) {
      const content = await client.call('ledger.tile', { path: path.replace(/^tile\//, '') }, calling);
      await write(path, content);
      if (entries > 0) onBundle(content, entries);
      onProgress((done += entries));
    }
  };
  // The workers share one generator; the first failure ends it for all of them.
  const outcomes = await Promise.allSettled(Array.from({ length: concurrentFetches }, fetchNext));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

/** The files of a log beside its checkpoint, and how many entries each holds. */
function* filesOf(size: number): Generator<{ path: string; entries: number }, void, undefined> {
  for (const address of tilesOfSize(size)) yield { path: tilePath(address), entries: 0 };
  for (const { index, width } of bundlesOfSize(size))
    yield { path: bundlePath(index, width), entries: width };
}

/** The size that a checkpoint states, once its signature is verified: it says how much is fetched. */
async function signedSize(folder: string, checkpoint: Uint8Array, verifierKey: string): Promise<number> {
  const verifiers = [verifierOf(verifierKey)];
  try {
    return parseCheckpoint((await openNote(checkpoint, verifiers)).text).size;
  } catch (error) {
    if (error instanceof LedgerError) throw notVerified(folder, error.message);
    throw error;
  }
}

function notVerified(folder: string, detail: string): SealError {
  return new SealError('export.not_verified', folder, { detail });
}

async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if ((await readdir(folder)).length === 0) return;
  } catch (error) {
    throw folderError(folder, error);
  }
  throw new SealError('export.folder_not_empty', folder);
}

async function writeNew(folder: string, path: string, content: Uint8Array): Promise<void> {
  try {
    await mkdir(dirname(join(folder, path)), { recursive: true, mode: 0o700 });
    const file = await open(join(folder, path), 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw folderError(folder, error);
  }
}

function folderError(folder: string, cause: unknown): SealError {
  return new SealError('export.folder_unwritable', folder, { detail: systemCode(cause), cause });
}
