import type { CompactKey } from '@trialkeep/crypto';
import {
  EMPTY_ROOT,
  LedgerError,
  Tree,
  consistencyProof,
  formatCheckpoint,
  inclusionProof,
  leafHash,
  signNote,
} from '@trialkeep/ledger';
import type { Checkpoint, TileAddress } from '@trialkeep/ledger';
import type { Database, Tx } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import type { LogAnchor } from './anchor.ts';
import { parseEntry } from './entry.ts';
import { Projection } from './find/projection.ts';
import type { Place } from './find/store.ts';
import type { RollbackWatch } from './rollback.ts';
import type { LogKeys } from './log-keys/keys.ts';
import { lockLogKeys, logKeys } from './log-keys/store.ts';
import { boundsOf } from './pruning/store.ts';
import { sha256 } from './sha256.ts';
import * as store from './store.ts';
import type { LogRow } from './store.ts';

/** Entries that are hashed and projected in one step: a few tens of milliseconds of the event loop at most. */
const entriesPerStep = 1024;
/** Entries that a caller waits for until they are in the index: more are behind only while it is made anew. */
const maxIndexedAtOnce = 16_384;

export const emptyRoot: Uint8Array = EMPTY_ROOT;

/** What one log is opened with. */
export interface LogParts {
  readonly database: Database;
  readonly row: LogRow;
  readonly keys: LogKeys;
  readonly payloadKey: CompactKey;
  readonly anchor: LogAnchor;
  readonly watch: RollbackWatch;
}

/**
 * One transparency log: its tree follows the committed entries in order, and its checkpoints are signed over that tree. Any node
 * may bring the stored tree forward; this one follows. Whatever touches the tree here runs one after another.
 */
export class TransparencyLog {
  readonly id: number;
  readonly tenant: string | null;
  readonly origin: string;
  #payloadKey: CompactKey;
  readonly anchor: LogAnchor;
  /** What questions are answered from; it may be behind the tree. */
  readonly index: Projection;
  readonly #database: Database;
  readonly #keys: LogKeys;
  readonly #watch: RollbackWatch;
  #tree: Tree;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor({ database, row, keys, payloadKey, anchor, watch }: LogParts, tree: Tree) {
    this.id = row.id;
    this.tenant = row.tenant;
    this.origin = row.origin;
    this.#payloadKey = payloadKey;
    this.anchor = anchor;
    this.index = new Projection(database, row.id);
    this.#database = database;
    this.#keys = keys;
    this.#watch = watch;
    this.#tree = tree;
  }

  /** Loads the right edge of the stored tree; refuses one whose root is not the stored root. */
  static async open(parts: LogParts): Promise<TransparencyLog> {
    const { row } = parts;
    const tree = await parts.database.read(async (snapshot) => {
      const stored = await store.progress(snapshot, row.id);
      const newest = await store.newestCheckpoint(snapshot, row.id);
      if (newest !== undefined && newest.size > stored.treeSize) {
        throw new StartupError('database.altered', `Log ${row.origin} has a checkpoint beyond its tree.`);
      }
      return loadStored(snapshot, stored);
    });
    return new TransparencyLog(parts, tree);
  }

  /** Opens and seals the payloads that name no subject. */
  get payloadKey(): CompactKey {
    return this.#payloadKey;
  }

  /** Goes on with another payload key: what is under the old one does not open any more. */
  takePayloadKey(key: CompactKey): void {
    this.#payloadKey = key;
  }

  /** The number of entries in the tree, as this node knows it. */
  get size(): number {
    return this.#tree.size;
  }

  /** The root over those entries, 32 bytes. */
  root(): Uint8Array {
    return this.#tree.root();
  }

  /** The active Ed25519 key, with which every reader of signed notes can verify checkpoints, as this node knows it. */
  get verifierKey(): string {
    return this.#keys.verifierKeys[0] ?? '';
  }

  /** Every key that signs now, read anew: the active ones, then those that are ending. */
  async verifierKeys(): Promise<readonly string[]> {
    this.#keys.take(await this.#database.read((snapshot) => logKeys(snapshot, this.id)));
    return this.#keys.verifierKeys;
  }

  /** Brings the tree up to every entry that was committed before the call, and the index after it, unless that is far behind. */
  async integrate(): Promise<void> {
    await this.#alone(() => this.#integrate());
    await this.index.follow(maxIndexedAtOnce);
  }

  /** Brings this node's tree up to what any node has integrated, and its anchor to the newest stored checkpoint. */
  async follow(): Promise<void> {
    await this.#alone(async () => {
      const newest = await this.#database.read(async (snapshot) => {
        await this.#followStored(snapshot, await store.progress(snapshot, this.id));
        this.#keys.take(await logKeys(snapshot, this.id));
        return store.newestCheckpoint(snapshot, this.id);
      });
      if (newest !== undefined) await this.#keepStored(newest);
    });
  }

  /**
   * Integrates, signs a checkpoint over the tree, anchors and stores it; the same one while nothing was added. In this order a
   * stored checkpoint is always anchored on the node that signed it, so that an anchor that is missing has been taken away.
   *
   * @param alongside runs in the transaction that stores the checkpoint, and also where it is stored already
   */
  checkpoint(now: number, alongside?: (tx: Tx) => Promise<void>): Promise<Uint8Array> {
    return this.#alone(async () => {
      for (;;) {
        const newest = await this.#readNewest();
        await this.#integrate();
        const { size } = this.#tree;
        if (newest?.size === size) {
          await this.#keepStored(newest);
          if (alongside !== undefined) await this.#database.write(alongside);
          return Buffer.from(newest.note, 'utf8');
        }
        // The time that the signatures state never goes back, whichever node makes them.
        const time = Math.max(now, newest?.created_at ?? 0);
        const note = await this.#sign(time);
        await this.anchor.keep(size, note);
        const row = { log: this.id, size, note: Buffer.from(note).toString('utf8'), created_at: time };
        const stored = await this.#database.write(async (tx) => {
          if (!(await this.#isNext(tx, newest))) return false;
          await store.insertCheckpoint(tx, row);
          await alongside?.(tx);
          return true;
        });
        if (stored) return note;
      }
    });
  }

  /** The newest stored checkpoint, with whatever others have signed under it; undefined where none was made. */
  async newestCheckpoint(): Promise<{ size: number; note: Uint8Array } | undefined> {
    const newest = await this.#database.read((snapshot) => store.newestCheckpoint(snapshot, this.id));
    return newest && { size: newest.size, note: Buffer.from(newest.note, 'utf8') };
  }

  /** That the entry is in the tree of that size (RFC 6962 section 2.1.1); this node's tree has that size at least. */
  inclusionProof(index: number, size: number): Promise<Uint8Array[]> {
    return this.#database.read((snapshot) =>
      inclusionProof(sha256, index, size, (address) => tileOf(snapshot, this.id, address)),
    );
  }

  /** That the tree of one size begins with that of another (RFC 6962 section 2.1.2). */
  consistencyProof(from: number, to: number): Promise<Uint8Array[]> {
    return this.#database.read((snapshot) =>
      consistencyProof(sha256, from, to, (address) => tileOf(snapshot, this.id, address)),
    );
  }

  /**
   * What a checkpoint from outside says, whether or not this log contains it.
   *
   * @throws LedgerError where it is no checkpoint that a key of this log has signed while it was one
   */
  openNote(note: Uint8Array): Promise<Checkpoint> {
    return this.#keys.open(note);
  }

  /**
   * Holds a checkpoint from outside against this log: `contradiction` says why the log does not contain it, and is undefined where
   * it does. The tree has been integrated before.
   *
   * @throws LedgerError where it is no checkpoint that a key of this log has signed while it was one
   */
  async compare(note: Uint8Array): Promise<{ size: number; contradiction: string | undefined }> {
    const checkpoint = await this.openNote(note);
    return { size: checkpoint.size, contradiction: await this.contradiction(checkpoint) };
  }

  /** Why the log does not contain a checkpoint that is believed; undefined where it does. The tree has been integrated before. */
  contradiction({ origin, size, root }: Checkpoint): Promise<string | undefined> {
    return this.#contradiction(origin, size, root);
  }

  /** Whether a checkpoint was ever stored. */
  async hasCheckpoint(): Promise<boolean> {
    return (await this.#database.read((snapshot) => store.newestCheckpoint(snapshot, this.id))) !== undefined;
  }

  /** The lowest index whose entry was not pruned. */
  async minimumIndex(): Promise<number> {
    return (await this.#database.read((snapshot) => boundsOf(snapshot, this.id))).minimumIndex;
  }

  /** The time of an entry that is there, ms. */
  async timeOf(position: number): Promise<number> {
    const [bytes] = await this.#database.read((snapshot) =>
      store.readEntries(snapshot, this.id, position, 1),
    );
    if (bytes === undefined) {
      throw new StartupError('database.altered', `Entry ${position} of log ${this.origin} is missing.`);
    }
    return parseEntry(bytes).time;
  }

  async #integrate(): Promise<void> {
    for (;;) {
      const known = this.#watch.known(this.id);
      const { size, entries } = await this.#database.read(async (snapshot) => {
        const stored = await store.progress(snapshot, this.id);
        this.#watch.compare(this.id, stored.size, known);
        await this.#followStored(snapshot, stored);
        const next = await store.readEntries(snapshot, this.id, this.#tree.size, entriesPerStep);
        return { size: stored.size, entries: next };
      });
      this.#watch.saw(this.id, size);
      if (entries.length === 0) {
        if (this.#tree.size === size) return;
        throw new StartupError(
          'database.altered',
          `Entry ${this.#tree.size} of log ${this.origin} is missing.`,
        );
      }
      await this.#append(entries);
      if (this.#tree.size >= size) return;
    }
  }

  /** Stores the tree with these entries added; where another node was faster, nothing has changed. */
  async #append(entries: readonly Uint8Array[]): Promise<void> {
    const from = this.#tree.size;
    const { tree, tiles } = this.#tree.append(entries.map((entry) => leafHash(sha256, entry)));
    const stored = await this.#database.write((tx) =>
      store.storeIntegrated(tx, {
        log: this.id,
        from,
        to: tree.size,
        root: tree.root(),
        tiles: tiles.map(({ address, hashes }) => ({ level: address.level, tile: address.index, hashes })),
        index: entries.map((bytes, i) => placeOf(from + i, bytes)),
      }),
    );
    if (stored) this.#tree = tree;
  }

  /**
   * Takes over the stored tree where another node has brought it forward. One that does not contain this node's tree is of
   * another history: the database was put back underneath.
   */
  async #followStored(snapshot: Tx, stored: store.Progress): Promise<void> {
    const { size } = this.#tree;
    if (stored.treeSize < size) {
      throw this.#watch.report(
        `The tree of log ${this.origin} had ${size} entries, and has ${stored.treeSize}.`,
      );
    }
    const loaded = stored.treeSize === size ? undefined : await loadStored(snapshot, stored);
    const then = loaded === undefined ? stored.root : (await loadTree(snapshot, this.id, size)).root();
    if (Buffer.compare(then, this.#tree.root()) !== 0) {
      throw this.#watch.report(`The tree of log ${this.origin} has another history than it had.`);
    }
    if (loaded !== undefined) this.#tree = loaded;
  }

  /** Keeps a stored checkpoint in this node's anchor, which another node may have signed. */
  async #keepStored({ size, note }: { size: number; note: string }): Promise<void> {
    if (size <= this.anchor.size) return;
    const bytes = Buffer.from(note, 'utf8');
    const { contradiction } = await this.compare(bytes).catch((error: unknown) => {
      if (!(error instanceof LedgerError)) throw error;
      throw new StartupError('database.altered', `A checkpoint of log ${this.origin} is forged.`, error);
    });
    if (contradiction !== undefined) {
      throw this.#watch.report(`A stored checkpoint is not of this history. ${contradiction}`);
    }
    await this.anchor.keep(size, bytes);
  }

  async #contradiction(origin: string, size: number, root: Uint8Array): Promise<string | undefined> {
    if (origin !== this.origin) return `The anchor is of another log, ${origin}.`;
    if (size > this.size) {
      return `The database knows ${this.size} entries of log ${origin}; the anchor ${size}.`;
    }
    const then = await this.#database.read((snapshot) => loadTree(snapshot, this.id, size));
    if (Buffer.compare(then.root(), root) === 0) return undefined;
    return `The database's history of log ${origin} differs from the anchor's at ${size} entries.`;
  }

  async #readNewest(): Promise<store.StoredCheckpoint | undefined> {
    return this.#database.read(async (snapshot) => {
      this.#keys.take(await logKeys(snapshot, this.id));
      return store.newestCheckpoint(snapshot, this.id);
    });
  }

  /** Whether what was signed is the next checkpoint: no other node has stored one, or changed the keys, meanwhile. */
  async #isNext(tx: Tx, before: store.StoredCheckpoint | undefined): Promise<boolean> {
    const areStill = this.#keys.areStill(await lockLogKeys(tx, this.id));
    const newest = await store.newestCheckpoint(tx, this.id);
    return areStill && newest?.size === before?.size;
  }

  async #sign(time: number): Promise<Uint8Array> {
    const text = formatCheckpoint({
      origin: this.origin,
      size: this.#tree.size,
      root: this.#tree.root(),
    });
    return signNote(text, this.#keys.signers(time));
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

/** The stored tree; refuses one whose root is not the stored root. */
async function loadStored(tx: Tx, { log, treeSize, root }: store.Progress): Promise<Tree> {
  const loaded = await loadTree(tx, log, treeSize);
  if (Buffer.compare(loaded.root(), root) === 0) return loaded;
  throw new StartupError('database.altered', `The tree of log ${log} does not have its stored root.`);
}

/** The tree as it was at some size, by the stored tiles. */
function loadTree(tx: Tx, log: number, size: number): Promise<Tree> {
  return Tree.load(sha256, size, (address) => tileOf(tx, log, address));
}

/** The stored tile, cut to the width asked for: a tile is stored in its widest form. */
async function tileOf(tx: Tx, log: number, { level, index, width }: TileAddress): Promise<Uint8Array> {
  const hashes = await store.readTile(tx, log, level, index);
  if (hashes === undefined || hashes.length < width * 32) {
    throw new StartupError('database.altered', `Tile ${level}/${index} of log ${log} is missing.`);
  }
  return hashes.subarray(0, width * 32);
}

function placeOf(position: number, bytes: Uint8Array): Place {
  const { entry, time } = parseEntry(bytes);
  return { position, entry, time };
}
