import {
  LedgerError,
  Tree,
  bundlesOfSize,
  checkpointPath,
  maxNoteBytes,
  openNote,
  parseCheckpoint,
  tilePath,
  tileWidth,
  verifyConsistency,
} from '@trialkeep/ledger';
import type { Checkpoint, TileAddress } from '@trialkeep/ledger';
import type { Caller, CallOptions } from '../client/index.ts';
import { sdkError } from '../errors.ts';
import { verifierKeysPath } from '../verify/folder.ts';
import { sha256, verifierOf } from '../verify/primitives.ts';
import { Growth } from './growth.ts';
import type { ArchivedFile, FetchedBundle, Target } from './growth.ts';
import type { ArchiveStore } from './store.ts';

export interface ArchiveOptions {
  /**
   * The log's keys as vkey lines, from a trusted place. Without them those that the archive was made with are believed, and for a new
   * archive those that the server names, which then vouches for itself.
   */
  readonly verifierKeys?: readonly string[];
  /** Called as the work goes on: entries that are in the archive. */
  onProgress?(done: number, total: number): void;
  /** Ends the work early; the promise rejects with the signal's reason. What was written is of use to the next run. */
  readonly signal?: AbortSignal;
}

export interface ArchiveResult {
  readonly place: string;
  readonly origin: string;
  /** Entries of the log in the archive, and how many of them were there before. */
  readonly size: number;
  readonly previousSize: number;
  /** Files that were written, and their bytes. */
  readonly files: number;
  readonly bytes: number;
  /** The keys that have signed the archive's checkpoint. */
  readonly verifierKeys: readonly string[];
}

/** Bundles that are fetched, proven and written at a time: a few MiB of usual entries, 256 MiB of the longest. */
const bundlesPerStep = 16;
const maxKeysBytes = 64 * 1024;
const maxTileBytes = tileWidth * 32;

/** What an archive holds already. */
interface Before {
  /** The files as they are, to be replaced. */
  readonly checkpoint: Uint8Array | undefined;
  readonly keys: Uint8Array | undefined;
}

/**
 * Brings an archive, which may be empty, up to the log as the server has signed it, in the layout of C2SP tlog-tiles: only what is new
 * is fetched, everything is proven under the signed checkpoint before it is written, and the checkpoint is written last. What an
 * interrupted run has left is used. The archive's own checkpoint has to be one of the same history, and is never put back.
 *
 * @throws TrialkeepError `archive.key_unknown`, `archive.not_verified`, `archive.altered`, `archive.busy`, `archive.pruned`,
 *   `archive.unreadable`, `archive.unwritable`, and those of the calls
 */
export async function archiveLedger(
  client: Caller,
  store: ArchiveStore,
  options: ArchiveOptions = {},
): Promise<ArchiveResult> {
  const calling: CallOptions = options.signal === undefined ? {} : { signal: options.signal };
  const before = await readBefore(store);
  const served = linesOf(await client.call('ledger.verifier-key', {}, calling));
  const trusted = options.verifierKeys ?? linesOf(before.keys) ?? served ?? [];
  const note = Buffer.from(await client.call('ledger.checkpoint', {}, calling));
  const signed = await open(note, trusted, 'archive.not_verified');
  // The archive's checkpoint is held against the signed one: the keys that lie beside it are enough for it.
  const own = [...trusted, ...(linesOf(before.keys) ?? [])];
  const old = before.checkpoint && (await open(before.checkpoint, own, 'archive.altered'));
  const target = targetOf(client, signed, calling);
  if (old !== undefined) await assertContinues(store, old, signed, target);
  const growth = await loadGrowth(store, old);
  const previousSize = growth.size;
  await assertServed(client, store, previousSize, calling);

  const writer = new Writer(store);
  for (const indexes of stepsOf(previousSize, target.size)) {
    const bundles = await Promise.all(indexes.map((bundle) => fetchBundle(client, bundle, calling)));
    await writer.add(await proven(store, () => growth.add(bundles, target)));
    options.onProgress?.(growth.size, target.size);
    options.signal?.throwIfAborted();
  }
  await writer.add(growth.rightEdge());
  const keys = await keysThatSigned(note, [...new Set([...(served ?? []), ...trusted])]);
  await writer.replace(verifierKeysPath, Buffer.from(keys.map((key) => `${key}\n`).join('')), before.keys);
  await writer.replace(checkpointPath, note, before.checkpoint);
  const { origin, size } = signed;
  const { files, bytes } = writer;
  return { place: store.place, origin, size, previousSize, files, bytes, verifierKeys: keys };
}

async function readBefore(store: ArchiveStore): Promise<Before> {
  return {
    checkpoint: await store.read(checkpointPath, maxNoteBytes),
    keys: await store.read(verifierKeysPath, maxKeysBytes),
  };
}

function linesOf(text: string | Uint8Array | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const lines = Buffer.from(text).toString('utf8').split('\n');
  return lines.filter((line) => line !== '');
}

/** A checkpoint that one of the keys has signed under the log's own name. */
async function open(
  note: Uint8Array,
  keys: readonly string[],
  code: 'archive.not_verified' | 'archive.altered',
): Promise<Checkpoint> {
  try {
    const { text, signedBy } = await openNote(note, keys.map(verifierOf));
    const checkpoint = parseCheckpoint(text);
    if (!signedBy.some(({ name }) => name === checkpoint.origin)) throw sdkError('archive.key_unknown');
    return checkpoint;
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    if (error.code === 'ledger.note_unsigned') throw sdkError('archive.key_unknown', { cause: error });
    throw sdkError(code, { detail: error.message, cause: error });
  }
}

/** Those of the keys that have signed: a later run believes them. */
async function keysThatSigned(note: Uint8Array, keys: readonly string[]): Promise<string[]> {
  const verifiers = keys.map((key) => ({ key, verifier: verifierOf(key) }));
  const { signedBy } = await openNote(
    note,
    verifiers.map(({ verifier }) => verifier),
  );
  return verifiers
    .filter(({ verifier }) => (signedBy as readonly object[]).includes(verifier))
    .map(({ key }) => key);
}

function targetOf(client: Caller, { size, root }: Checkpoint, calling: CallOptions): Target {
  return {
    size,
    root,
    prove: async (from) => {
      const { hashes } = await client.call('ledger.consistency', { from, to: size }, calling);
      return hashes.map((hash) => Buffer.from(hash, 'base64'));
    },
  };
}

/** The log still tells the history of the archive. */
async function assertContinues(
  store: ArchiveStore,
  old: Checkpoint,
  signed: Checkpoint,
  target: Target,
): Promise<void> {
  const detail = `${store.place} has ${old.size} entries of ${old.origin}; the server signed ${signed.size} of ${signed.origin}`;
  if (old.origin !== signed.origin || old.size > signed.size)
    throw sdkError('archive.not_verified', { detail });
  if (old.size === 0) return;
  await proven(store, async () => {
    const proof = old.size === signed.size ? [] : await target.prove(old.size);
    const claim = { from: old.size, to: signed.size, fromRoot: old.root, toRoot: signed.root };
    verifyConsistency(sha256, { ...claim, proof });
  });
}

/** What does not lead to the signed root was not in the log. */
async function proven<T>(store: ArchiveStore, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    throw sdkError('archive.not_verified', { detail: `${store.place}: ${error.message}`, cause: error });
  }
}

/** The tree of the archive, by its right edge, which has to give the root of its checkpoint. */
async function loadGrowth(store: ArchiveStore, old: Checkpoint | undefined): Promise<Growth> {
  if (old === undefined) return new Growth(Tree.empty(sha256), new Uint8Array(0));
  let edge = new Uint8Array(0);
  const readTile = async (address: TileAddress): Promise<Uint8Array> => {
    const bytes = await store.read(tilePath(address), maxTileBytes);
    if (bytes === undefined) throw sdkError('archive.altered', { detail: `${tilePath(address)} is missing` });
    if (address.level === 0) edge = new Uint8Array(bytes);
    return bytes;
  };
  const altered = (cause?: unknown) => sdkError('archive.altered', { detail: store.place, cause });
  let tree: Tree;
  try {
    tree = await Tree.load(sha256, old.size, readTile);
  } catch (error) {
    throw error instanceof LedgerError ? altered(error) : error;
  }
  if (Buffer.compare(tree.root(), old.root) !== 0) throw altered();
  return new Growth(tree, edge);
}

/** The entries behind the archive are still on the server. */
async function assertServed(
  client: Caller,
  store: ArchiveStore,
  size: number,
  calling: CallOptions,
): Promise<void> {
  const { minimumIndex } = await client.call('ledger.bounds', {}, calling);
  if (Math.floor(size / tileWidth) * tileWidth >= minimumIndex) return;
  const detail = `${store.place} has ${size} entries; the server has those from ${minimumIndex} on`;
  throw sdkError('archive.pruned', { detail });
}

type BundlePlace = Pick<FetchedBundle, 'index' | 'width'>;

/** The bundles that a log of one size has beyond another, some at a time. */
function* stepsOf(from: number, to: number): Generator<BundlePlace[]> {
  let step: BundlePlace[] = [];
  if (from === to) return;
  for (const bundle of bundlesOfSize(to)) {
    if (bundle.index < Math.floor(from / tileWidth)) continue;
    step.push(bundle);
    if (step.length < bundlesPerStep) continue;
    yield step;
    step = [];
  }
  if (step.length > 0) yield step;
}

async function fetchBundle(
  client: Caller,
  { index, width }: BundlePlace,
  calling: CallOptions,
): Promise<FetchedBundle> {
  const path = tilePath({ level: 0, index, width }).replace('tile/0/', 'entries/');
  return { index, width, content: await client.call('ledger.tile', { path }, calling) };
}

/** Writes to the archive, and counts. */
class Writer {
  readonly #store: ArchiveStore;
  files = 0;
  bytes = 0;

  constructor(store: ArchiveStore) {
    this.#store = store;
  }

  async add(files: readonly ArchivedFile[]): Promise<void> {
    const outcomes = await Promise.allSettled(files.map((file) => this.#add(file)));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async replace(path: string, content: Uint8Array, before: Uint8Array | undefined): Promise<void> {
    if (before !== undefined && Buffer.compare(before, content) === 0) return;
    if (!(await this.#store.replace(path, content, before))) {
      throw sdkError('archive.busy', { detail: `${this.#store.place}, ${path}` });
    }
    this.#count(content);
  }

  async #add({ path, content }: ArchivedFile): Promise<void> {
    if (!(await this.#store.add(path, content))) {
      throw sdkError('archive.altered', { detail: `${this.#store.place}, ${path}` });
    }
    this.#count(content);
  }

  #count(content: Uint8Array): void {
    this.files += 1;
    this.bytes += content.length;
  }
}
