import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errors } from '@trialkeep/contract';
import { ed25519PublicKey, generateKey, signEd25519 } from '@trialkeep/crypto';
import {
  bundlePath,
  encodeBundle,
  formatCheckpoint,
  formatVerifierKey,
  leafHash,
  parseVerifierKey,
  signNote,
  tilePath,
  Tree,
} from '@trialkeep/ledger';
import type { Signer } from '@trialkeep/ledger';
import type { Caller } from '../client/index.ts';
import { TrialkeepError } from '../errors.ts';
import { sha256 } from '../verify/primitives.ts';

// The network and the server are replaced by a log in memory that grows; ledger, signatures, files and collectors are real.

const origin = 'example.org/ledger/stream';

export function entryText(position: number, history = 0): string {
  const outcome = position % 7 === 3 ? 'refused' : 'success';
  const time = 1_700_000_000_000 + position;
  return `{"actor":"a${history}","operation":"keys.decrypt","outcome":"${outcome}","time":${time},"v":1}`;
}

/** The entry of a rotation, in canonical form. */
export function rotationText(verifierKey: string): string {
  const logKeys = JSON.stringify({ begins: [verifierKey], ends: ['00000000'], endsAt: 1_800_000_000_000 });
  return `{"logKeys":${logKeys},"operation":"ledger.rotate-key","outcome":"success","time":1700000000000,"v":1}`;
}

export class GrowingLog implements Caller {
  /** What the server says the log's keys are. */
  verifierKey: string;
  /** What every call throws while it is set. */
  failure: Error | undefined;
  #key = generateKey('ED25519');
  #signers: Signer[];
  readonly #files = new Map<string, Uint8Array>();
  #entries: Uint8Array[] = [];
  #tree = Tree.empty(sha256);

  constructor(size: number) {
    this.verifierKey = formatVerifierKey(sha256, origin, 1, ed25519PublicKey(this.#key));
    this.#signers = [this.#signer()];
    this.grow(size);
  }

  /** Makes another key, which signs beside the one before; the entry says so. */
  rotate(entry: (verifierKey: string) => string = rotationText, name = origin): string {
    this.#key = generateKey('ED25519');
    this.verifierKey = formatVerifierKey(sha256, name, 1, ed25519PublicKey(this.#key));
    this.#signers.push(this.#signer());
    this.#put([Buffer.from(entry(this.verifierKey))]);
    return this.verifierKey;
  }

  /** Ends the overlap: the newest key alone signs. */
  retire(): void {
    this.#signers = this.#signers.slice(-1);
  }

  get size(): number {
    return this.#tree.size;
  }

  #signer(): Signer {
    const key = this.#key;
    const { name, keyId } = parseVerifierKey(sha256, this.verifierKey);
    return { name, keyId, sign: (bytes) => signEd25519(key, bytes) };
  }

  grow(count: number): void {
    const first = this.#entries.length;
    this.#put(Array.from({ length: count }, (_, i) => Buffer.from(entryText(first + i))));
  }

  /** Begins another history of the same size. */
  rewrite(): void {
    const size = this.#entries.length;
    this.#entries = [];
    this.#tree = Tree.empty(sha256);
    this.#put(Array.from({ length: size }, (_, i) => Buffer.from(entryText(i, 1))));
  }

  #put(added: readonly Uint8Array[]): void {
    this.#entries.push(...added);
    const { tree, tiles } = this.#tree.append(added.map((entry) => leafHash(sha256, entry)));
    this.#tree = tree;
    for (const { address, hashes } of tiles) this.#files.set(tilePath(address), hashes);
    for (let first = 0; first < tree.size; first += 256) {
      const bundle = this.#entries.slice(first, first + 256);
      this.#files.set(bundlePath(first / 256, bundle.length), encodeBundle(bundle));
    }
  }

  call = (async (id: string, input: { path: string }) => {
    if (this.failure !== undefined) throw this.failure;
    if (id === 'ledger.verifier-key') return `${this.verifierKey}\n`;
    if (id === 'ledger.checkpoint') {
      const text = formatCheckpoint({ origin, size: this.#tree.size, root: this.#tree.root() });
      return Buffer.from(await signNote(text, this.#signers)).toString();
    }
    assert.equal(id, 'ledger.tile');
    const file = this.#files.get(`tile/${input.path}`);
    if (file === undefined) throw new TrialkeepError('tile.unknown', errors['tile.unknown']);
    return file;
  }) as unknown as Caller['call'];
}

export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'trialkeep-stream-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Resolves once it is so. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Positions in the order in which they came: each the next one, or one that was there before. */
export function assertNoGap(positions: readonly number[]): void {
  let next = 0;
  for (const position of positions) {
    assert.ok(position <= next, `${position} came where ${next} was due`);
    next = Math.max(next, position + 1);
  }
}
