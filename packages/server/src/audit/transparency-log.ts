import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { ed25519PublicKey, generateKey, signEd25519, verifyEd25519 } from '@trialkeep/crypto';
import type { CompactKey } from '@trialkeep/crypto';
import {
  EMPTY_ROOT,
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
import { parseEntry } from './entry.ts';
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

/**
 * One transparency log: its tree follows the committed entries in order, and its checkpoints are signed over that tree. Whatever
 * touches the tree runs one after another.
 */
export class TransparencyLog {
  readonly id: number;
  readonly tenant: string | null;
  readonly origin: string;
  readonly verifierKey: string;
  /** Opens and seals the payloads that name no subject. */
  readonly payloadKey: CompactKey;
  readonly #database: Database;
  readonly #signingKey: KeyObject;
  #tree: Tree;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(
    database: Database,
    row: LogRow,
    keys: { signingKey: KeyObject; payloadKey: CompactKey },
    tree: Tree,
  ) {
    this.#database = database;
    this.id = row.id;
    this.tenant = row.tenant;
    this.origin = row.origin;
    this.verifierKey = row.verifier_key;
    this.payloadKey = keys.payloadKey;
    this.#signingKey = keys.signingKey;
    this.#tree = tree;
  }

  /** Loads the right edge of the stored tree; refuses one whose root is not the stored root. */
  static async open(
    database: Database,
    row: LogRow,
    keys: { signingKey: KeyObject; payloadKey: CompactKey },
  ): Promise<TransparencyLog> {
    const tree = await database.read(async (snapshot) => {
      const head = await store.head(snapshot, row.id);
      const loaded = await Tree.load(sha256, head.integrated_size, (address) =>
        tileOf(snapshot, row.id, address),
      );
      const newest = await store.newestCheckpoint(snapshot, row.id);
      const beyond = newest !== undefined && newest.size > head.integrated_size;
      if (beyond || Buffer.compare(loaded.root(), head.root) !== 0) {
        throw new StartupError('database.altered', `Log ${row.origin}.`);
      }
      return loaded;
    });
    return new TransparencyLog(database, row, keys, tree);
  }

  /** The number of entries in the tree. */
  get size(): number {
    return this.#tree.size;
  }

  /** Brings the tree and the projection up to every entry that was committed before the call. */
  async integrate(): Promise<void> {
    await this.#alone(() => this.#integrate());
  }

  /**
   * Integrates, signs a checkpoint over the tree, has it anchored, and stores it; the same one while nothing was added. In this
   * order a stored checkpoint is always anchored, so that an anchor that is missing has been taken away.
   */
  checkpoint(now: number, anchor: (note: Uint8Array) => void): Promise<Uint8Array> {
    return this.#alone(async () => {
      await this.#integrate();
      const { size } = this.#tree;
      const newest = await this.#database.read((snapshot) => store.newestCheckpoint(snapshot, this.id));
      if (newest !== undefined && newest.size === size) return Buffer.from(newest.note, 'utf8');
      const text = formatCheckpoint({ origin: this.origin, size, root: this.#tree.root() });
      const { name, keyId: id } = parseVerifierKey(sha256, this.verifierKey);
      const signer = { name, keyId: id, sign: (bytes: Uint8Array) => signEd25519(this.#signingKey, bytes) };
      const note = await signNote(text, [signer]);
      anchor(note);
      const row = { log: this.id, size, note: Buffer.from(note).toString('utf8'), created_at: now };
      await this.#database.write((tx) => store.insertCheckpoint(tx, row));
      return note;
    });
  }

  /**
   * What a checkpoint from outside says about this log: undefined where the log contains it, else why not. The tree has been
   * integrated before.
   */
  async contradiction(note: Uint8Array): Promise<string | undefined> {
    const { text } = await openNote(note, [logVerifier(this.verifierKey)]);
    const { origin, size, root } = parseCheckpoint(text);
    if (origin !== this.origin) return `The anchor is of another log, ${origin}.`;
    if (size > this.size) {
      return `The database knows ${this.size} entries of log ${origin}; the anchor ${size}.`;
    }
    const then = await this.#database.read((snapshot) =>
      Tree.load(sha256, size, (address) => tileOf(snapshot, this.id, address)),
    );
    if (Buffer.compare(then.root(), root) === 0) return undefined;
    return `The database's history of log ${origin} differs from the anchor's at ${size} entries.`;
  }

  /** Whether a checkpoint was ever stored. */
  async hasCheckpoint(): Promise<boolean> {
    return (await this.#database.read((snapshot) => store.newestCheckpoint(snapshot, this.id))) !== undefined;
  }

  async #integrate(): Promise<void> {
    for (;;) {
      const from = this.#tree.size;
      const entries = await this.#database.read((snapshot) =>
        store.readEntries(snapshot, this.id, from, entriesPerStep),
      );
      if (entries.length === 0) return;
      const { tree, tiles } = this.#tree.append(entries.map((entry) => leafHash(sha256, entry)));
      await this.#database.write((tx) =>
        store.storeIntegrated(tx, {
          log: this.id,
          from,
          to: tree.size,
          root: tree.root(),
          tiles: tiles.map(({ address, hashes }) => ({ level: address.level, tile: address.index, hashes })),
          index: entries.map((bytes, i) => indexRow(this.id, from + i, bytes)),
        }),
      );
      this.#tree = tree;
      if (entries.length < entriesPerStep) return;
    }
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

/** The stored tile, cut to the width asked for: a tile is stored in its widest form. */
export async function tileOf(tx: Tx, log: number, { level, index, width }: TileAddress): Promise<Uint8Array> {
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
