import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import {
  entriesUpTo,
  naiveConsistency,
  naiveInclusion,
  naiveRoot,
  realInputs,
  sha256,
} from './fixture.test.ts';
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  LedgerError,
  Tree,
  verifyConsistency,
  verifyInclusion,
  type TileReader,
} from './index.ts';

const hex = (hashes: readonly Uint8Array[]): string[] =>
  hashes.map((hash) => Buffer.from(hash).toString('hex'));

const leaves = entriesUpTo(65_537).map((entry) => leafHash(sha256, entry));
const rootOf = new Map<number, Uint8Array>();

/** The root of the first `size` entries, from the oracle, once. */
function oracleRoot(size: number): Uint8Array {
  const root = rootOf.get(size) ?? naiveRoot(leaves.slice(0, size));
  rootOf.set(size, root);
  return root;
}

/** Tiles of the largest log serve every smaller size, because a wider tile begins with the narrower one. */
const widest = new Map(
  Tree.empty(sha256)
    .append(leaves)
    .tiles.map(({ address, hashes }) => [`${address.level}/${address.index}`, hashes]),
);
const readTile: TileReader = ({ level, index }) => {
  const hashes = widest.get(`${level}/${index}`);
  assert.ok(hashes);
  return hashes;
};

test('inclusion proofs are those of the recursive definition, and verify [URS-033]', async () => {
  for (const [size, indexes] of [
    [1, [0]],
    [2, [0, 1]],
    [7, [0, 3, 6]],
    [255, [0, 254]],
    [256, [0, 255]],
    [257, [0, 255, 256]],
    [1000, [0, 256, 767, 768, 999]],
    [65_537, [40_000, 65_536]],
  ] as const) {
    for (const index of indexes) {
      const proof = await inclusionProof(sha256, index, size, readTile);
      assert.deepEqual(hex(proof), hex(naiveInclusion(index, leaves.slice(0, size))), `${index} of ${size}`);
      const leaf = leaves[index] ?? new Uint8Array(0);
      verifyInclusion(sha256, { leafHash: leaf, index, size, root: oracleRoot(size), proof });
    }
  }
});

test('consistency proofs are those of the recursive definition, and verify [URS-033]', async () => {
  for (const [from, to] of [
    [1, 1],
    [1, 2],
    [3, 7],
    [6, 8],
    [255, 256],
    [256, 257],
    [256, 512],
    [700, 1000],
    [1000, 1000],
    [65_536, 65_537],
    [1000, 65_537],
  ] as const) {
    const proof = await consistencyProof(sha256, from, to, readTile);
    assert.deepEqual(hex(proof), hex(naiveConsistency(from, leaves.slice(0, to))), `${from} to ${to}`);
    verifyConsistency(sha256, { from, to, fromRoot: oracleRoot(from), toRoot: oracleRoot(to), proof });
  }
});

test('proofs of any size verify, and not with one bit or one number changed [URS-033]', async () => {
  const sizes = fc.tuple(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 600 }), fc.nat());
  await fc.assert(
    fc.asyncProperty(sizes, async ([a, b, noise]) => {
      const [from, size] = [Math.min(a, b), Math.max(a, b)];
      const index = from - 1;
      const inclusion = {
        leafHash: leaves[index] ?? new Uint8Array(0),
        index,
        size,
        root: oracleRoot(size),
        proof: await inclusionProof(sha256, index, size, readTile),
      };
      verifyInclusion(sha256, inclusion);
      const consistency = {
        from,
        to: size,
        fromRoot: oracleRoot(from),
        toRoot: oracleRoot(size),
        proof: await consistencyProof(sha256, from, size, readTile),
      };
      verifyConsistency(sha256, consistency);

      const refused = { name: 'LedgerError' };
      const changed = (hash: Uint8Array): Uint8Array =>
        hash.map((byte, i) => (i === noise % 32 ? byte ^ 1 : byte));
      const longer = <T extends { proof: Uint8Array[] }>(claim: T): T => ({
        ...claim,
        proof: [...claim.proof, new Uint8Array(32)],
      });
      assert.throws(() => verifyInclusion(sha256, { ...inclusion, root: changed(inclusion.root) }), refused);
      assert.throws(
        () => verifyInclusion(sha256, { ...inclusion, leafHash: changed(inclusion.leafHash) }),
        refused,
      );
      assert.throws(() => verifyInclusion(sha256, { ...inclusion, index: index + 1 }), refused);
      assert.throws(() => verifyInclusion(sha256, longer(inclusion)), refused);
      assert.throws(
        () => verifyConsistency(sha256, { ...consistency, fromRoot: changed(inclusion.root) }),
        refused,
      );
      assert.throws(
        () => verifyConsistency(sha256, { ...consistency, toRoot: changed(inclusion.root) }),
        refused,
      );
      assert.throws(() => verifyConsistency(sha256, longer(consistency)), refused);
      for (const i of inclusion.proof.keys()) {
        const proof = inclusion.proof.map((hash, n) => (n === i ? changed(hash) : hash));
        assert.throws(() => verifyInclusion(sha256, { ...inclusion, proof }), refused);
      }
      for (const i of consistency.proof.keys()) {
        const proof = consistency.proof.map((hash, n) => (n === i ? changed(hash) : hash));
        assert.throws(() => verifyConsistency(sha256, { ...consistency, proof }), refused);
      }
    }),
    { numRuns: 40 },
  );
});

test('there is no proof outside the tree [URS-033]', async () => {
  const range = { code: 'ledger.proof_range' };
  for (const [index, size] of [
    [0, 0],
    [1, 1],
    [-1, 1],
    [0.5, 1],
    [Number.NaN, 1],
  ] as const) {
    await assert.rejects(async () => inclusionProof(sha256, index, size, readTile), range);
    const hash = new Uint8Array(32);
    assert.throws(
      () => verifyInclusion(sha256, { leafHash: hash, index, size, root: hash, proof: [] }),
      range,
    );
  }
  await assert.rejects(async () => consistencyProof(sha256, 0, 1, readTile), range);
  await assert.rejects(async () => consistencyProof(sha256, 2, 1, readTile), range);
  await assert.rejects(async () => inclusionProof(sha256, 0, 2 ** 53, readTile), { code: 'ledger.log_size' });
  await assert.rejects(async () => consistencyProof(sha256, 1, Number.NaN, readTile), {
    code: 'ledger.log_size',
  });
});

test('a proof from the largest trees ends [URS-033]', () => {
  const hash = new Uint8Array(32);
  const size = Number.MAX_SAFE_INTEGER;
  const proof = Array.from({ length: 200 }, () => hash);
  const claim = { leafHash: hash, index: size - 1, size, root: hash, proof };
  assert.throws(() => verifyInclusion(sha256, claim), { code: 'ledger.proof_invalid' });
  const sizes = { from: size - 1, to: size, fromRoot: hash, toRoot: hash };
  assert.throws(() => verifyConsistency(sha256, { ...sizes, proof }), { code: 'ledger.proof_invalid' });
});

test('a tile that is missing or short makes no proof [URS-033]', async () => {
  const none = (): Uint8Array => {
    throw new Error('unreadable');
  };
  await assert.rejects(async () => inclusionProof(sha256, 0, 300, none), /unreadable/);
  const short = (): Uint8Array => new Uint8Array(32);
  await assert.rejects(async () => inclusionProof(sha256, 0, 300, short), { code: 'ledger.tile_malformed' });
});

type Vector = { desc: string; wantErr: boolean; proof: string[] | null };
type InclusionVector = Vector & { leafIdx: number; treeSize: number; root: string; leafHash: string };
type ConsistencyVector = Vector & { size1: number; size2: number; root1: string; root2: string };

const vectors = realInputs('merkle-vectors');
const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));

function vectorsOf<V extends Vector>(kind: string): [string, V][] {
  const folder = join(vectors.path, 'testdata', kind);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.json'),
  );
  assert.ok(files.length > 50, `${folder} holds vectors`);
  return files.map((path) => [path, JSON.parse(readFileSync(join(folder, path), 'utf8')) as V]);
}

/** Our verifier wants whole hashes; one public vector calls 11 bytes a root and expects them to pass. */
function check(path: string, vector: Vector, hashes: string[], verify: () => void): void {
  const whole = hashes.every((hash) => bytesOf(hash).length === 32);
  if (vector.wantErr || !whole) assert.throws(verify, LedgerError, `${path}: ${vector.desc}`);
  else assert.doesNotThrow(verify, `${path}: ${vector.desc}`);
}

test('public inclusion vectors [URS-033]', { skip: vectors.skip }, () => {
  for (const [path, vector] of vectorsOf<InclusionVector>('inclusion')) {
    const { leafIdx: index, treeSize: size, root, leafHash, proof } = vector;
    const claim = {
      index,
      size,
      leafHash: bytesOf(leafHash),
      root: bytesOf(root),
      proof: (proof ?? []).map(bytesOf),
    };
    check(path, vector, [root, leafHash], () => verifyInclusion(sha256, claim));
  }
});

test('public consistency vectors [URS-033]', { skip: vectors.skip }, () => {
  for (const [path, vector] of vectorsOf<ConsistencyVector>('consistency')) {
    const { size1: from, size2: to, root1, root2, proof } = vector;
    const claim = {
      from,
      to,
      fromRoot: bytesOf(root1),
      toRoot: bytesOf(root2),
      proof: (proof ?? []).map(bytesOf),
    };
    check(path, vector, [root1, root2], () => verifyConsistency(sha256, claim));
  }
});
