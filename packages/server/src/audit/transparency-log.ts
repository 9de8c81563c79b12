import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { ed25519PublicKey, generateKey, signEd25519, verifyEd25519 } from '@trialkeep/crypto';
import type { CompactKey } from '@trialkeep/crypto';
import {
  EMPTY_ROOT,
  LedgerError,
  Tree,
  formatCheckpoint,
  formatVerifierKey,
  leafHash,
  openNote,
  parseCheckpoint,
  parseVerifierKey,
  signNote,
} from '@trialkeep/ledger';
import type { Sha256, TileAddress, Verifier } from '@trialkeep/ledger';
import type { Database, Tx } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import type { LogAnchor } from './anchor.ts';
import { parseEntry } from './entry.ts';
import type { RollbackWatch } from './rollback.ts';
import * as store from './store.ts';
import type { LogRow } from './store.ts';

export const sha256: Sha256 = (data) => createHash('sha256').update(data).digest();
/** Ed25519, in the signed-note specification. */
const ed25519NoteType = 0x01;
/** Entries that are hashed and projected in one step: a few tens of milliseconds of the event loop at most. */
const entriesPerStep = 1024;

/** A log's keys, as its row will hold them. */
export interface NewLogKeys {
  readonly verifierKey: string;
  readonly signingKey: KeyObject;
}

export function newLogKeys(origin: string): NewLogKeys {
  const signingKey = generateKey('ED25519');
  const publicKey = ed25519PublicKey(signingKey);
  return { signingKey, verifierKey: formatVerifierKey(sha256, origin, ed25519NoteType, publicKey) };
}

export const emptyRoot: Uint8Array = EMPTY_ROOT;

/** The verifier of a log's own checkpoints. */
export function logVerifier(verifierKey: string): Verifier {
  const parsed = parseVerifierKey(sha256, verifierKey);
  return {
    name: parsed.name,
    keyId: parsed.keyId,
    verify: (text, signature) => verifyEd25519(parsed.publicKey, text, signature),
  };
}

/** What one log is opened with. */
export interface LogParts {
  readonly database: Database;
  readonly row: LogRow;
  readonly keys: { readonly signingKey: KeyObject; readonly payloadKey: CompactKey };
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
  readonly verifierKey: string;
  /** Opens and seals the payloads that name no subject. */
  readonly payloadKey: CompactKey;
  readonly anchor: LogAnchor;
  readonly #database: Database;
  readonly #signingKey: KeyObject;
  readonly #watch: RollbackWatch;
  #tree: Tree;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor({ database, row, keys, anchor, watch }: LogParts, tree: Tree) {
    this.id = row.id;
    this.tenant = row.tenant;
    this.origin = row.origin;
    this.verifierKey = row.verifier_key;
    this.payloadKey = keys.payloadKey;
    this.anchor = anchor;
    this.#database = database;
    this.#signingKey = keys.signingKey;
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

  /** The number of entries in the tree, as this node knows it. */
  get size(): number {
    return this.#tree.size;
  }

  /** Brings the tree and the projection up to every entry that was committed before the call. */
  async integrate(): Promise<void> {
    await this.#alone(() => this.#integrate());
  }

  /** Brings this node's tree up to what any node has integrated, and its anchor to the newest stored checkpoint. */
  async follow(): Promise<void> {
    await this.#alone(async () => {
      const newest = await this.#database.read(async (snapshot) => {
        await this.#followStored(snapshot, await store.progress(snapshot, this.id));
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
      const newest = await this.#database.read((snapshot) => store.newestCheckpoint(snapshot, this.id));
      await this.#integrate();
      const { size } = this.#tree;
      if (newest?.size === size) {
        await this.#keepStored(newest);
        if (alongside !== undefined) await this.#database.write(alongside);
        return Buffer.from(newest.note, 'utf8');
      }
      const note = await this.#sign();
      await this.anchor.keep(size, note);
      const row = { log: this.id, size, note: Buffer.from(note).toString('utf8'), created_at: now };
      await this.#database.write(async (tx) => {
        await store.insertCheckpoint(tx, row);
        await alongside?.(tx);
      });
      return note;
    });
  }

  /**
   * Holds a checkpoint from outside against this log: `contradiction` says why the log does not contain it, and is undefined where
   * it does. The tree has been integrated before.
   *
   * @throws LedgerError where it is no checkpoint that this log's key has signed
   */
  async compare(note: Uint8Array): Promise<{ size: number; contradiction: string | undefined }> {
    const { text } = await openNote(note, [logVerifier(this.verifierKey)]);
    const { origin, size, root } = parseCheckpoint(text);
    return { size, contradiction: await this.#contradiction(origin, size, root) };
  }

  /** Whether a checkpoint was ever stored. */
  async hasCheckpoint(): Promise<boolean> {
    return (await this.#database.read((snapshot) => store.newestCheckpoint(snapshot, this.id))) !== undefined;
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
        index: entries.map((bytes, i) => indexRow(this.id, from + i, bytes)),
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

  async #sign(): Promise<Uint8Array> {
    const { size } = this.#tree;
    const text = formatCheckpoint({ origin: this.origin, size, root: this.#tree.root() });
    const { name, keyId: id } = parseVerifierKey(sha256, this.verifierKey);
    const sign = (bytes: Uint8Array): Uint8Array => signEd25519(this.#signingKey, bytes);
    return signNote(text, [{ name, keyId: id, sign }]);
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

function indexRow(log: number, position: number, bytes: Uint8Array) {
  const entry = parseEntry(bytes);
  return {
    log,
    position,
    entry: entry.entry,
    time: entry.time,
    operation: entry.operation,
    outcome: entry.outcome,
    actor: entry.actor ?? null,
    key: entry.key ?? null,
    study: entry.study ?? null,
    system: entry.system ?? null,
    subject: entry.subject ?? null,
    class: entry.class ?? null,
  };
}
