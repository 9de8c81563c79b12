/** What the tests of archives share: a log that grows, and the stores that an archive can lie in. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { errors } from '@trialkeep/contract';
import { ed25519PublicKey, generateKey, mlDsa44PublicKey, signEd25519, signMlDsa44 } from '@trialkeep/crypto';
import {
  Tree,
  consistencyProof,
  cosigner,
  encodeBundle,
  formatCheckpoint,
  formatVerifierKey,
  leafHash,
  noteTypes,
  parseTilePath,
  parseVerifierKey,
  signNote,
} from '@trialkeep/ledger';
import type { Signer } from '@trialkeep/ledger';
import type { Caller } from '../client/index.ts';
import { TrialkeepError } from '../errors.ts';
import { sha256 } from '../verify/primitives.ts';
import { folderStore } from './folder-store.ts';
import type { ArchiveStore } from './store.ts';

export const origin = 'archive.example/log';

export interface LogKey {
  readonly verifierKey: string;
  readonly signer: Signer;
}

export function newEd25519(name = origin): LogKey {
  const key = generateKey('ED25519');
  const verifierKey = formatVerifierKey(sha256, name, noteTypes.ed25519, ed25519PublicKey(key));
  const { keyId } = parseVerifierKey(sha256, verifierKey);
  return { verifierKey, signer: { name, keyId, sign: (bytes) => signEd25519(key, bytes) } };
}

export function newMlDsa(name = origin): LogKey {
  const key = generateKey('ML_DSA_44');
  const publicKey = mlDsa44PublicKey(key);
  const sign = (message: Uint8Array) => signMlDsa44(key, message);
  const type = noteTypes.mlDsa44;
  const signer = cosigner(sha256, { name, type, publicKey, sign, now: () => 1000 });
  return { verifierKey: formatVerifierKey(sha256, name, type, publicKey), signer };
}

/** A server's log that grows, and whose keys change. */
export class GrowingLog implements Caller {
  readonly entries: Uint8Array[] = [];
  keys: readonly LogKey[] = [newEd25519(), newMlDsa()];
  minimumIndex = 0;
  name = origin;
  /** Every call, by its operation and what it named. */
  readonly calls: string[] = [];
  /** Changes what is answered; for a server that lies. */
  lie: (id: string, answer: unknown) => unknown = (_id, answer) => answer;

  grow(count: number, text = 'entry'): this {
    for (let i = 0; i < count; i++) this.entries.push(Buffer.from(`{"${text}":${this.entries.length}}`));
    return this;
  }

  get verifierKeys(): string[] {
    return this.keys.map(({ verifierKey }) => verifierKey);
  }

  checkpoint(): Promise<Uint8Array> {
    const tree = Tree.empty(sha256).append(this.entries.map((entry) => leafHash(sha256, entry))).tree;
    const text = formatCheckpoint({ origin: this.name, size: tree.size, root: tree.root() });
    return signNote(
      text,
      this.keys.map(({ signer }) => signer),
    );
  }

  async #answer(id: string, input: { path: string; from: number; to: number }): Promise<unknown> {
    if (id === 'ledger.verifier-key') return this.verifierKeys.map((key) => `${key}\n`).join('');
    if (id === 'ledger.checkpoint') return Buffer.from(await this.checkpoint()).toString();
    if (id === 'ledger.bounds') return { minimumIndex: this.minimumIndex, size: this.entries.length };
    if (id === 'ledger.consistency') return { ...input, hashes: await this.#consistency(input) };
    assert.equal(id, 'ledger.tile');
    const { kind, address } = parseTilePath(`tile/${input.path}`);
    assert.equal(kind, 'entries', 'tiles are computed, never fetched');
    const first = address.index * 256;
    const bundle = this.entries.slice(first, first + address.width);
    if (bundle.length === address.width && first >= this.minimumIndex) return encodeBundle(bundle);
    throw new TrialkeepError('tile.unknown', errors['tile.unknown']);
  }

  async #consistency({ from, to }: { from: number; to: number }): Promise<string[]> {
    const hashes = this.entries.slice(0, to).map((entry) => leafHash(sha256, entry));
    const { tiles } = Tree.empty(sha256).append(hashes);
    const proof = await consistencyProof(sha256, from, to, ({ level, index }) => {
      const tile = tiles.find(({ address }) => address.level === level && address.index === index);
      return tile?.hashes ?? assert.fail();
    });
    return proof.map((hash) => Buffer.from(hash).toString('base64'));
  }

  call = (async (id: string, input: { path: string; from: number; to: number }) => {
    this.calls.push(id === 'ledger.tile' ? input.path : id);
    return this.lie(id, await this.#answer(id, input));
  }) as unknown as Caller['call'];
}

/** A store, and a way to look into it and to change it behind the archive's back. */
export interface TestStore {
  readonly store: ArchiveStore;
  /** The folder that the files lie in, whatever the store is. */
  readonly folder: string;
}

export function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-archive-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A kind of place, and why it is not tested here. */
export interface StoreKind {
  readonly name: string;
  readonly skip: string | false;
  make(t: TestContext): Promise<TestStore>;
}

export const folderKind: StoreKind = {
  name: 'a folder',
  skip: false,
  make: async (t: TestContext): Promise<TestStore> => {
    const folder = join(makeFolder(t), 'archive');
    return { store: folderStore(folder), folder };
  },
};
