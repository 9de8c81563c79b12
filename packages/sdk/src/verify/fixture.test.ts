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
import type { Caller } from '../client/index.ts';
import { TrialkeepError } from '../errors.ts';
import { sha256 } from './primitives.ts';
import type { PayloadLine } from './payload-line.ts';

// The network and the server are replaced by a log in memory; ledger, signatures and files are real.

/** A signature as `signatures.list` gives it, in what an export takes of it. */
export interface ListedSignature {
  readonly record: string;
  readonly document: string | null;
}

const signaturesPerPage = 100;

export class StandInLog implements Caller {
  static readonly origin = 'example.org/ledger/test';
  /** What `payloads.open` gives. */
  payloads: readonly PayloadLine[] = [];
  /** What is thrown in place of the signatures where it is set. */
  signaturesRefusal: Error | undefined;
  /** Bundles below are not there. */
  minimumIndex = 0;
  readonly verifierKey: string;
  readonly #key = generateKey('ED25519');
  readonly #files = new Map<string, Uint8Array>();
  readonly #size: number;
  readonly #root: Uint8Array;

  readonly #signatures: readonly ListedSignature[];

  /** @param texts the entries, or how many there are to be */
  constructor(texts: number | readonly string[], signatures: readonly ListedSignature[] = []) {
    const all =
      typeof texts === 'number' ? Array.from({ length: texts }, (_, index) => `{"entry":${index}}`) : texts;
    const size = all.length;
    this.#size = size;
    this.#signatures = signatures;
    this.verifierKey = formatVerifierKey(sha256, StandInLog.origin, 1, ed25519PublicKey(this.#key));
    const entries = all.map((text) => Buffer.from(text));
    const { tree, tiles } = Tree.empty(sha256).append(entries.map((entry) => leafHash(sha256, entry)));
    this.#root = tree.root();
    for (const { address, hashes } of tiles) {
      this.#files.set(tilePath(address), hashes);
    }
    for (let first = 0; first < size; first += 256) {
      const some = entries.slice(first, first + 256);
      this.#files.set(bundlePath(first / 256, some.length), encodeBundle(some));
    }
  }

  async checkpoint(): Promise<Uint8Array> {
    const { name, keyId } = parseVerifierKey(sha256, this.verifierKey);
    const signer = { name, keyId, sign: (text: Uint8Array) => signEd25519(this.#key, text) };
    return signNote(formatCheckpoint({ origin: StandInLog.origin, size: this.#size, root: this.#root }), [
      signer,
    ]);
  }

  alter(path: string, at: number): void {
    const bytes = Buffer.from(this.#files.get(path) ?? assert.fail(path));
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    this.#files.set(path, bytes);
  }

  drop(path: string): void {
    assert.ok(this.#files.delete(path));
  }

  call = (async (id: string, input: { path: string; cursor?: string; first: number; count: number }) => {
    if (id === 'ledger.bounds') return { minimumIndex: this.minimumIndex, size: this.#size };
    if (id === 'timestamps.list') return { timestamps: [], next: null };
    if (id === 'ledger.verifier-key') return `${this.verifierKey}\n`;
    if (id === 'payloads.open') {
      const { first, count } = input;
      const none = { content: null, blinding: null };
      return { payloads: this.payloads.slice(first, first + count).map((line) => ({ ...none, ...line })) };
    }
    if (id === 'signatures.list') {
      if (this.signaturesRefusal !== undefined) throw this.signaturesRefusal;
      const first = Number(input.cursor ?? 0);
      const end = first + signaturesPerPage;
      const next = end < this.#signatures.length ? String(end) : null;
      return { signatures: this.#signatures.slice(first, end), next };
    }
    if (id === 'ledger.checkpoint') return Buffer.from(await this.checkpoint()).toString();
    const file = this.#files.get(`tile/${input.path}`);
    if (file === undefined) throw new TrialkeepError('tile.unknown', errors['tile.unknown']);
    return file;
  }) as unknown as Caller['call'];
}

export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'trialkeep-verify-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
