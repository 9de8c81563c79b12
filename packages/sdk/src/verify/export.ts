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
  tileWidth,
} from '@trialkeep/ledger';
import type { Caller, CallOptions } from '../client/index.ts';
import { SealError, TrialkeepError } from '../errors.ts';
import { syncFolder, systemCode } from '../files.ts';
import { payloadLines } from './export-payloads.ts';
import { ExportedSignatures } from './export-signatures.ts';
import { timestampFiles } from './export-timestamps.ts';
import { payloadsPath, signaturesPath } from './folder.ts';
import { trustOf } from './primitives.ts';
import type { VerifierKeys } from './primitives.ts';
import { resultOf, verifyParts } from './verify-folder.ts';
import type { VerifyFolderResult } from './verify-folder.ts';

export interface ExportOptions {
  /** The log's keys as vkey lines, from a trusted place; without them the server is asked, and then vouches for itself. */
  readonly verifierKey?: VerifierKeys;
  /** A checkpoint of the same log that was kept earlier: shows that the server still tells the same history. */
  readonly keptCheckpoint?: Uint8Array;
  /** Whether the payloads come along, opened: each run of them is an entry of the ledger, behind the exported checkpoint. */
  readonly payloads?: boolean;
  /** Called as the work goes on: files while fetching, entries while verifying. */
  onProgress?(step: 'fetch' | 'verify', done: number, total: number): void;
  /** Ends the export early; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface ExportResult extends VerifyFolderResult {
  /** The log's keys; the first is the one to show where one is enough. */
  readonly verifierKey: string;
  readonly verifierKeys: readonly string[];
  /** Entries below were pruned from the server, and are not in the export; `--pruned-below` for whoever verifies it. */
  readonly minimumIndex: number;
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
  const verifierKeys = keysOf(options.verifierKey ?? (await client.call('ledger.verifier-key', {}, calling)));
  const checkpoint = Buffer.from(await client.call('ledger.checkpoint', {}, calling));
  const size = await signedSize(folder, checkpoint, verifierKeys);
  const { minimumIndex } = await client.call('ledger.bounds', {}, calling);

  const written = { files: 0, bytes: 0 };
  const write: Write = async (path, content) => {
    const bytes = await writeNew(folder, path, content);
    // Behind the wait: several are under way at a time.
    written.bytes += bytes;
    written.files += 1;
  };
  const signatures = new ExportedSignatures(minimumIndex > 0);
  await fetchLog(client, { size, minimumIndex }, write, {
    calling,
    onBundle: (bundle, width) => signatures.addBundle(bundle, width),
    onProgress: (done) => onProgress?.('fetch', done, size),
  });
  // Behind the log, so that the record of every entry under the checkpoint is there.
  const lines = await signatures.fetch(client, calling);
  if (lines !== undefined) await write(signaturesPath, Buffer.from(lines));
  if (options.payloads === true) await write(payloadsPath, payloadLines(client, size, calling));
  for await (const { path, content } of timestampFiles(client, size, calling)) await write(path, content);
  await write(checkpointPath, checkpoint);
  await syncFolder(folder);

  const verified = await verifyParts({
    folder,
    verifierKey: verifierKeys,
    ...(minimumIndex > 0 && { prunedBelow: minimumIndex }),
    ...(keptCheckpoint !== undefined && { keptCheckpoint }),
    onProgress: (done, total) => onProgress?.('verify', done, total),
  });
  const { log } = verified;
  if (log.verdict === 'failed') throw notVerified(folder, log.findings[0]?.sentence ?? '');
  return {
    ...resultOf(verified),
    verifierKey: verifierKeys[0] ?? '',
    verifierKeys,
    minimumIndex,
    ...written,
  };
}

type Content = Uint8Array | AsyncIterable<string>;
type Write = (path: string, content: Content) => Promise<void>;

interface FetchOptions {
  readonly calling: CallOptions;
  onBundle(bundle: Uint8Array, width: number): void;
  onProgress(entriesDone: number): void;
}

/** Fetches the tiles and bundles of a log of that size, several at a time. */
async function fetchLog(client: Caller, bounds: Bounds, write: Write, options: FetchOptions): Promise<void> {
  const { calling, onBundle, onProgress } = options;
  const files = filesOf(bounds);
  let done = bounds.minimumIndex;
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

interface Bounds {
  readonly size: number;
  readonly minimumIndex: number;
}

/** The files of a log beside its checkpoint, and how many entries each holds. */
function* filesOf({
  size,
  minimumIndex,
}: Bounds): Generator<{ path: string; entries: number }, void, undefined> {
  for (const address of tilesOfSize(size)) yield { path: tilePath(address), entries: 0 };
  for (const { index, width } of bundlesOfSize(size)) {
    if (index * tileWidth < minimumIndex) continue;
    yield { path: bundlePath(index, width), entries: width };
  }
}

/** The server answers with one key a line. */
function keysOf(verifierKey: VerifierKeys): readonly string[] {
  return typeof verifierKey === 'string' ? verifierKey.trim().split('\n') : verifierKey;
}

/** The size that a checkpoint states, once its signature is verified: it says how much is fetched. */
async function signedSize(
  folder: string,
  checkpoint: Uint8Array,
  verifierKeys: readonly string[],
): Promise<number> {
  const { logs } = trustOf(verifierKeys);
  try {
    return parseCheckpoint((await openNote(checkpoint, logs)).text).size;
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

/** Writes a file that is not there yet, and gives its bytes. */
async function writeNew(folder: string, path: string, content: Content): Promise<number> {
  try {
    await mkdir(dirname(join(folder, path)), { recursive: true, mode: 0o700 });
    const file = await open(join(folder, path), 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
      return (await file.stat()).size;
    } finally {
      await file.close();
    }
  } catch (error) {
    // What could not be fetched says so itself.
    throw error instanceof TrialkeepError || systemCode(error) === '' ? error : folderError(folder, error);
  }
}

function folderError(folder: string, cause: unknown): SealError {
  return new SealError('export.folder_unwritable', folder, { detail: systemCode(cause), cause });
}
