import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { ed25519PublicKey, ed25519Verifier, entriesUpTo, MemoryLog, sha256 } from './fixture.test.ts';
import {
  bundlePath,
  checkpointPath,
  consistencyProof,
  decodeBundle,
  encodeBundle,
  formatCheckpoint,
  formatVerifierKey,
  inclusionProof,
  leafHash,
  openNote,
  parseCheckpoint,
  parseTilePath,
  parseVerifierKey,
  tilePath,
  Tree,
  verifyConsistency,
  verifyInclusion,
  type Verifier,
} from './index.ts';

type Case = { error: string };
type Vectors = {
  leaf: { entry: string; hash: string }[];
  root: { size: number; root: string }[];
  inclusion: { index: number; size: number; proof: string[] }[];
  consistency: { from: number; to: number; proof: string[] }[];
  tilePath: { level: number; index: number; width: number; path: string }[];
  bundlePath: { index: number; width: number; path: string }[];
  badPath: string[];
  bundle: { entries: string[]; bundle: string }[];
  badBundle: (Case & { width: number; bundle: string })[];
  verifierKey: { name: string; type: number; publicKey: string; keyId: string; verifierKey: string }[];
  badVerifierKey: string[];
  note: { name: string; verifierKey: string; text: string; note: string }[];
  badNote: (Case & { name: string; verifierKey: string; note: string })[];
  checkpoint: { origin: string; size: number; root: string; text: string }[];
  badCheckpoint: string[];
  log: { size: number; files: Record<string, string> }[];
};

const file = new URL('../../../vectors/ledger.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const leafOf = (i: number): Uint8Array => leafHash(sha256, entriesUpTo(i + 1)[i] ?? new Uint8Array(0));

function treeOf(size: number): Tree {
  return Tree.empty(sha256).append(entriesUpTo(size).map((entry) => leafHash(sha256, entry))).tree;
}

function verifierOf(line: string): Verifier {
  const { name, keyId, publicKey } = parseVerifierKey(sha256, line);
  return ed25519Verifier(name, keyId, ed25519PublicKey(publicKey));
}

test('vectors: leaf hashes and roots [URS-033]', () => {
  for (const { entry, hash } of vectors.leaf) assert.equal(hex(leafHash(sha256, bytesOf(entry))), hash);
  for (const { size, root } of vectors.root) assert.equal(hex(treeOf(size).root()), root);
});

test('vectors: proofs, made and verified [URS-033]', async () => {
  for (const { index, size, proof } of vectors.inclusion) {
    const { readTile, tree } = await MemoryLog.of(entriesUpTo(size));
    assert.deepEqual((await inclusionProof(sha256, index, size, readTile)).map(hex), proof);
    const claim = { leafHash: leafOf(index), index, size, root: tree.root(), proof: proof.map(bytesOf) };
    verifyInclusion(sha256, claim);
  }
  for (const { from, to, proof } of vectors.consistency) {
    const { readTile, tree } = await MemoryLog.of(entriesUpTo(to));
    assert.deepEqual((await consistencyProof(sha256, from, to, readTile)).map(hex), proof);
    const [fromRoot, toRoot] = [treeOf(from).root(), tree.root()];
    verifyConsistency(sha256, { from, to, fromRoot, toRoot, proof: proof.map(bytesOf) });
  }
});

test('vectors: paths [URS-033]', () => {
  for (const { path, ...address } of vectors.tilePath) {
    assert.equal(tilePath(address), path);
    assert.deepEqual(parseTilePath(path), { kind: 'tile', address });
  }
  for (const { path, ...address } of vectors.bundlePath) {
    assert.equal(bundlePath(address.index, address.width), path);
    assert.deepEqual(parseTilePath(path), { kind: 'entries', address });
  }
  for (const path of vectors.badPath)
    assert.throws(() => parseTilePath(path), { code: 'ledger.tile_path' }, path);
});

test('vectors: entry bundles [URS-033]', () => {
  for (const { entries, bundle } of vectors.bundle) {
    assert.equal(hex(encodeBundle(entries.map(bytesOf))), bundle);
    assert.deepEqual(decodeBundle(bytesOf(bundle), entries.length).map(hex), entries);
  }
  for (const { width, bundle, error } of vectors.badBundle) {
    assert.throws(() => decodeBundle(bytesOf(bundle), width), { code: error }, bundle);
  }
});

test('vectors: verifier keys [URS-033]', () => {
  for (const { name, type, publicKey, keyId, verifierKey } of vectors.verifierKey) {
    assert.equal(formatVerifierKey(sha256, name, type, bytesOf(publicKey)), verifierKey);
    const id = Number.parseInt(keyId, 16);
    assert.deepEqual(parseVerifierKey(sha256, verifierKey), {
      name,
      keyId: id,
      type,
      publicKey: bytesOf(publicKey),
    });
  }
  for (const line of vectors.badVerifierKey) {
    assert.throws(() => parseVerifierKey(sha256, line), { code: 'ledger.key_malformed' }, line);
  }
});

test('vectors: signed notes [URS-033]', async () => {
  for (const { name, verifierKey, text, note } of vectors.note) {
    assert.equal(
      (await openNote(new TextEncoder().encode(note), [verifierOf(verifierKey)])).text,
      text,
      name,
    );
  }
  for (const { name, verifierKey, note, error } of vectors.badNote) {
    const opening = openNote(new TextEncoder().encode(note), [verifierOf(verifierKey)]);
    await assert.rejects(opening, { code: error }, name);
  }
});

test('vectors: checkpoints [URS-033]', () => {
  for (const { origin, size, root, text } of vectors.checkpoint) {
    assert.equal(formatCheckpoint({ origin, size, root: bytesOf(root) }), text);
    assert.deepEqual(parseCheckpoint(text), { origin, size, root: bytesOf(root) });
  }
  for (const text of vectors.badCheckpoint) {
    assert.throws(() => parseCheckpoint(text), { code: 'ledger.checkpoint_malformed' }, JSON.stringify(text));
  }
});

test('vectors: the files of whole logs [URS-033]', async () => {
  for (const { size, files } of vectors.log) {
    const log = await MemoryLog.of(entriesUpTo(size));
    log.files.delete(checkpointPath);
    const hashes = [...log.files].map(([path, bytes]) => [path, hex(sha256(bytes))]);
    assert.deepEqual(Object.fromEntries(hashes), files);
  }
});
