import { randomBytes, type KeyObject } from 'node:crypto';
import { ed25519PublicKey, generateKey, mlDsa44PublicKey, signEd25519, signMlDsa44 } from '@trialkeep/crypto';
import {
  Tree,
  consistencyProof,
  cosigner,
  formatAddCheckpoint,
  formatAddEntries,
  formatCheckpoint,
  formatPackage,
  formatVerifierKey,
  keyId,
  leafHash,
  noteTypes,
  packagesBetween,
  signNote,
  subtreeProof,
  tilePath,
  type Signer,
  type TileReader,
} from '@trialkeep/ledger';
import { sha256 } from './primitives.ts';

/** A log in memory, which signs whatever a test wants it to. */
export class TestLog {
  readonly origin: string;
  readonly #keys: { readonly ed25519: KeyObject; readonly mlDsa44: KeyObject };
  readonly #entries: Uint8Array[];
  readonly #roots: Uint8Array[];
  readonly #tiles: Map<string, Uint8Array>;
  #tree: Tree;

  constructor(origin = `example.org/log/${randomBytes(4).toString('hex')}`, branch?: TestLog) {
    this.origin = origin;
    if (branch === undefined) {
      this.#keys = { ed25519: generateKey('ED25519'), mlDsa44: generateKey('ML_DSA_44') };
      this.#tree = Tree.empty(sha256);
      this.#entries = [];
      this.#roots = [this.#tree.root()];
      this.#tiles = new Map();
    } else {
      [this.#keys, this.#tree] = [branch.#keys, branch.#tree];
      [this.#entries, this.#roots, this.#tiles] = [
        [...branch.#entries],
        [...branch.#roots],
        new Map(branch.#tiles),
      ];
    }
  }

  /** A log with the same keys and entries, which goes on otherwise. */
  fork(): TestLog {
    return new TestLog(this.origin, this);
  }

  get size(): number {
    return this.#entries.length;
  }

  get verifierKeys(): string[] {
    const { ed25519, mlDsa44 } = this.#keys;
    return [
      formatVerifierKey(sha256, this.origin, noteTypes.ed25519, ed25519PublicKey(ed25519)),
      formatVerifierKey(sha256, this.origin, noteTypes.mlDsa44, mlDsa44PublicKey(mlDsa44)),
    ];
  }

  entry(index: number): Uint8Array {
    return this.#entries[index] ?? new Uint8Array(0);
  }

  root(size = this.size): Uint8Array {
    return this.#roots[size] ?? new Uint8Array(0);
  }

  /** Entries one by one, so that the log knows its root at every size. */
  append(count: number, entryBytes = 120): this {
    for (let i = 0; i < count; i++) this.#appendAll([randomBytes(entryBytes)]);
    return this;
  }

  /** Entries at once: only the root of the last size is known. */
  appendMany(count: number, entryBytes = 120): this {
    this.#appendAll(Array.from({ length: count }, () => randomBytes(entryBytes)));
    return this;
  }

  #appendAll(entries: readonly Uint8Array[]): void {
    const { tree, tiles } = this.#tree.append(entries.map((entry) => leafHash(sha256, entry)));
    this.#tree = tree;
    this.#entries.push(...entries);
    this.#roots[tree.size] = tree.root();
    // Only the widest form of a tile: a reader uses as much of it as it needs.
    for (const { address, hashes } of tiles) this.#tiles.set(tilePath({ ...address, width: 256 }), hashes);
  }

  readonly readTile: TileReader = (address) =>
    this.#tiles.get(tilePath({ ...address, width: 256 })) ?? new Uint8Array(0);

  get signers(): { ed25519: Signer; mlDsa44: Signer } {
    const { ed25519, mlDsa44 } = this.#keys;
    const publicKey = ed25519PublicKey(ed25519);
    return {
      ed25519: {
        name: this.origin,
        keyId: keyId(sha256, this.origin, noteTypes.ed25519, publicKey),
        sign: (text) => signEd25519(ed25519, text),
      },
      mlDsa44: cosigner(sha256, {
        name: this.origin,
        type: noteTypes.mlDsa44,
        publicKey: mlDsa44PublicKey(mlDsa44),
        sign: (message) => signMlDsa44(mlDsa44, message),
        now: () => 1_700_000_000,
      }),
    };
  }

  async checkpoint(size = this.size, root = this.root(size)): Promise<Uint8Array> {
    const { ed25519, mlDsa44 } = this.signers;
    return signNote(formatCheckpoint({ origin: this.origin, size, root }), [ed25519, mlDsa44]);
  }

  async proof(from: number, to: number): Promise<Uint8Array[]> {
    return from === 0 ? [] : consistencyProof(sha256, from, to, this.readTile);
  }

  /** The body of `add-checkpoint`. */
  async addCheckpoint(oldSize: number, size = this.size): Promise<Uint8Array> {
    const proof = await this.proof(oldSize, size);
    return formatAddCheckpoint({ oldSize, proof, checkpoint: await this.checkpoint(size) });
  }

  /** The body of `add-entries`, or so many packages of it. */
  async addEntries(
    uploadStart: number,
    uploadEnd = this.size,
    { ticket = new Uint8Array(0), packages = Number.MAX_SAFE_INTEGER } = {},
  ): Promise<Buffer> {
    const parts = [formatAddEntries({ origin: this.origin, uploadStart, uploadEnd, ticket })];
    for (const { entries, subtree } of packagesBetween(uploadStart, uploadEnd)) {
      if (parts.length > packages) break;
      const proof = await subtreeProof(sha256, subtree, uploadEnd, this.readTile);
      parts.push(formatPackage(this.#entries.slice(entries.start, entries.end), proof));
    }
    return Buffer.concat(parts);
  }
}
