/** What the tests of this package share: real primitives, a naive tree, and a log in memory. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  hash,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  bundlePath,
  bundlesOfSize,
  checkpointPath,
  encodeBundle,
  formatCheckpoint,
  keyId,
  leafHash,
  nodeHash,
  signNote,
  tilePath,
  Tree,
  type LogSource,
  type Sha256,
  type Signer,
  type TileReader,
  type Verifier,
} from './index.ts';

export const sha256: Sha256 = (data) => hash('sha256', data, 'buffer');

/** A folder of real inputs, or the sentence that says why a test that needs it is skipped. */
export function realInputs(folder: string): { path: string; skip: string | false } {
  const root = process.env['TRIALKEEP_SHARED_DATA'] ?? new URL('../../../../shared/data', import.meta.url);
  const path = `${typeof root === 'string' ? root : fileURLToPath(root)}/${folder}`;
  return { path, skip: existsSync(path) ? false : `no folder shared/data/${folder} beside the repository` };
}

/** RFC 6962 section 2.1, word for word and slow, over leaf hashes: the oracle of the tests. */
export function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (only === undefined) return sha256(new Uint8Array(0));
  if (leaves.length === 1) return only;
  const k = splitPoint(leaves.length);
  return nodeHash(sha256, naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}

/** RFC 6962 section 2.1.1: PATH(m, D[n]). */
export function naiveInclusion(m: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length <= 1) return [];
  const k = splitPoint(leaves.length);
  const [left, right] = [leaves.slice(0, k), leaves.slice(k)];
  return m < k
    ? [...naiveInclusion(m, left), naiveRoot(right)]
    : [...naiveInclusion(m - k, right), naiveRoot(left)];
}

/** RFC 6962 section 2.1.2: SUBPROOF(m, D[n], b); PROOF(m, D[n]) has b = true. */
export function naiveConsistency(m: number, leaves: readonly Uint8Array[], b = true): Uint8Array[] {
  if (m === leaves.length) return b ? [] : [naiveRoot(leaves)];
  const k = splitPoint(leaves.length);
  const [left, right] = [leaves.slice(0, k), leaves.slice(k)];
  return m <= k
    ? [...naiveConsistency(m, left, b), naiveRoot(right)]
    : [...naiveConsistency(m - k, right, false), naiveRoot(left)];
}

/** "k is the largest power of two smaller than n". */
function splitPoint(n: number): number {
  return 2 ** Math.floor(Math.log2(n - 1));
}

export function entryOf(i: number): Uint8Array {
  return new TextEncoder().encode(`{"entry":${i}}`);
}

export function entriesUpTo(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => entryOf(i));
}

export type Key = { name: string; publicKey: Uint8Array; signer: Signer; verifier: Verifier };

/** An Ed25519 key made from a word: the same word, the same key. */
export function keyFrom(word: string, name: string): Key {
  const seed = createHash('sha256').update(word).digest();
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey);
  const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
  const id = keyId(sha256, name, 0x01, raw);
  const signer = {
    name,
    keyId: id,
    sign: (text: Uint8Array) => new Uint8Array(sign(null, text, privateKey)),
  };
  return { name, publicKey: raw, signer, verifier: ed25519Verifier(name, id, publicKey) };
}

export function ed25519Verifier(name: string, id: number, key: KeyObject): Verifier {
  return { name, keyId: id, verify: (text, signature) => verify(null, text, key, signature) };
}

/** The public key object for 32 raw bytes. */
export function ed25519PublicKey(raw: Uint8Array): KeyObject {
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw]);
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}

export const logKey = keyFrom('log', 'log.example/trial');

/** The files of a log by path, as an exported folder would hold them, to be tampered with. */
export class MemoryLog {
  readonly files = new Map<string, Uint8Array>();
  tree = Tree.empty(sha256);

  static async of(entries: readonly Uint8Array[], key: Key = logKey): Promise<MemoryLog> {
    const log = new MemoryLog();
    const { tree, tiles } = Tree.empty(sha256).append(entries.map((entry) => leafHash(sha256, entry)));
    log.tree = tree;
    for (const { address, hashes } of tiles) log.files.set(tilePath(address), hashes);
    log.putBundles(entries, tree.size);
    await log.sign(key);
    return log;
  }

  /** Lays `entries` out in the bundles of a log of `size` entries; with fewer entries the last bundles are short. */
  putBundles(entries: readonly Uint8Array[], size: number): void {
    for (const { index, width } of bundlesOfSize(size)) {
      const isLast = (index + 1) * 256 >= size;
      const bundle = entries.slice(index * 256, isLast ? undefined : index * 256 + width);
      this.files.set(bundlePath(index, width), bundle.length > 0 ? encodeBundle(bundle) : new Uint8Array(0));
    }
  }

  async sign(key: Key = logKey, origin = key.name): Promise<void> {
    const text = formatCheckpoint({ origin, size: this.tree.size, root: this.tree.root() });
    this.files.set(checkpointPath, await signNote(text, [key.signer]));
  }

  get checkpoint(): Uint8Array {
    return this.file(checkpointPath);
  }

  file(path: string): Uint8Array {
    const bytes = this.files.get(path);
    if (bytes === undefined) throw new Error(`no file ${path}`);
    return bytes;
  }

  /** Replaces a file by what `change` makes of a copy. */
  alter(path: string, change: (bytes: Uint8Array) => Uint8Array | void): void {
    const copy = this.file(path).slice();
    this.files.set(path, change(copy) ?? copy);
  }

  get source(): LogSource {
    return {
      read: (path, maxBytes) => this.files.get(path)?.subarray(0, maxBytes),
      paths: () => this.files.keys(),
    };
  }

  get readTile(): TileReader {
    return (address) => this.file(tilePath(address));
  }
}
