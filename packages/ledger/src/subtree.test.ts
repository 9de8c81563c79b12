import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { entriesUpTo, MemoryLog, naiveRoot, realInputs, sha256 } from './fixture.test.ts';
import {
  consistencyProof,
  inclusionProof,
  isSubtree,
  leafHash,
  LedgerError,
  nodeHash,
  subtreeProof,
  subtreeRoot,
  verifyInclusion,
  verifySubtree,
  type EntryRange,
} from './index.ts';
import { fromHex, hex, vectorsOf } from './witnessing.fixture.test.ts';

const leaves = entriesUpTo(70).map((entry) => leafHash(sha256, entry));

/** draft-ietf-plants-merkle-tree-certs, section 4.1: BIT_CEIL by counting. */
function isSubtreeByDefinition({ start, end }: EntryRange): boolean {
  if (start >= end) return false;
  for (let power = 1; ; power *= 2) if (power >= end - start) return start % power === 0;
}

const roots = new Map<string, Uint8Array>();

/** The root over a range of the leaves, computed once. */
function rootOver(start: number, end: number): Uint8Array {
  const name = `${start} ${end}`;
  const root = roots.get(name) ?? naiveRoot(leaves.slice(start, end));
  roots.set(name, root);
  return root;
}

/** The same, section 4.4.1: SUBTREE_SUBPROOF(start, end, D_n, b), the leaves of D_n being those from `low` to `high`. */
function naiveSubtreeProof(start: number, end: number, low: number, high: number, b = true): Uint8Array[] {
  if (start === low && end === high) return b ? [] : [rootOver(low, high)];
  const middle = low + 2 ** Math.floor(Math.log2(high - low - 1));
  if (end <= middle) return [...naiveSubtreeProof(start, end, low, middle, b), rootOver(middle, high)];
  if (middle <= start) return [...naiveSubtreeProof(start, end, middle, high, b), rootOver(low, middle)];
  return [...naiveSubtreeProof(middle, end, middle, high, false), rootOver(low, middle)];
}

test('every subtree of every tree of up to 70 entries: root, proof, check, against the definition [URS-033]', async () => {
  for (let size = 1; size <= 70; size++) {
    const { readTile } = await MemoryLog.of(entriesUpTo(size));
    const root = rootOver(0, size);
    for (let start = 0; start <= size; start++) {
      for (let end = start; end <= size; end++) {
        const subtree = { start, end };
        assert.equal(isSubtree(subtree), isSubtreeByDefinition(subtree), `${start} ${end}`);
        if (!isSubtree(subtree)) continue;
        const proof = naiveSubtreeProof(start, end, 0, size);
        const made = await subtreeProof(sha256, subtree, size, readTile);
        assert.deepEqual(made.map(hex), proof.map(hex), `[${start}, ${end}) of ${size}`);
        const within = rootOver(start, end);
        if (size === 70) assert.equal(hex(await subtreeRoot(sha256, subtree, size, readTile)), hex(within));
        verifySubtree(sha256, { subtree, subtreeRoot: within, size, root, proof });
      }
    }
  }
});

test('a proof shows one subtree, in one place, of one tree [URS-033]', () => {
  const bad = { code: 'ledger.proof_invalid' };
  for (const size of [1, 2, 5, 8, 13, 33]) {
    const root = rootOver(0, size);
    for (let start = 0; start < size; start++) {
      for (let end = start + 1; end <= size; end++) {
        const subtree = { start, end };
        if (!isSubtree(subtree)) continue;
        const within = rootOver(start, end);
        const proof = naiveSubtreeProof(start, end, 0, size);
        const claim = { subtree, subtreeRoot: within, size, root, proof };
        const other = nodeHash(sha256, root, root);
        const whole = start === 0 && end === size;
        for (const change of [
          { subtreeRoot: other },
          { root: other },
          { proof: [...proof, other] },
          ...(proof.length === 0 ? [] : [{ proof: proof.slice(1) }, { proof: proof.slice(0, -1) }]),
          ...proof.map((_, i) => ({ proof: proof.with(i, other) })),
          ...(whole ? [] : [{ subtreeRoot: root, root: within }]),
        ]) {
          assert.throws(
            () => verifySubtree(sha256, { ...claim, ...change }),
            bad,
            `[${start}, ${end}) of ${size}`,
          );
        }
      }
    }
  }
});

test('vectors: subtrees [URS-033]', async () => {
  for (const { start, end, size, root, proof } of vectorsOf('subtree')) {
    const { readTile, tree } = await MemoryLog.of(entriesUpTo(size));
    const subtree = { start, end };
    assert.equal(hex(await subtreeRoot(sha256, subtree, size, readTile)), root);
    assert.deepEqual((await subtreeProof(sha256, subtree, size, readTile)).map(hex), proof);
    const claim = { subtree, subtreeRoot: fromHex(root), size, root: tree.root(), proof: proof.map(fromHex) };
    verifySubtree(sha256, claim);
  }
  for (const { start, end, size } of vectorsOf('badSubtree')) {
    const range = { code: 'ledger.proof_range' };
    const { readTile, tree } = await MemoryLog.of(entriesUpTo(size));
    await assert.rejects(async () => subtreeProof(sha256, { start, end }, size, readTile), range);
    await assert.rejects(async () => subtreeRoot(sha256, { start, end }, size, readTile), range);
    const claim = { subtreeRoot: tree.root(), size, root: tree.root(), proof: [] };
    assert.throws(() => verifySubtree(sha256, { subtree: { start, end }, ...claim }), range);
  }
});

test('a subtree from 0 is a consistency proof, one of one entry an audit path [URS-033]', async () => {
  const { readTile } = await MemoryLog.of(entriesUpTo(700));
  for (const n of [1, 2, 255, 256, 257, 511, 512, 699, 700]) {
    const prefix = await subtreeProof(sha256, { start: 0, end: n }, 700, readTile);
    assert.deepEqual(prefix, await consistencyProof(sha256, n, 700, readTile));
    const entry = await subtreeProof(sha256, { start: n - 1, end: n }, 700, readTile);
    assert.deepEqual(entry, await inclusionProof(sha256, n - 1, 700, readTile));
  }
});

test('numbers that are none, and huge ones, are refused or handled [URS-033]', () => {
  for (const start of [-1, 0.5, Number.NaN, 2 ** 53]) {
    assert.equal(isSubtree({ start, end: start + 1 }), false, `${start}`);
  }
  const size = Number.MAX_SAFE_INTEGER;
  assert.ok(isSubtree({ start: 0, end: size }));
  assert.ok(isSubtree({ start: 2 ** 52, end: size }));
  const hash = leaves[0] ?? new Uint8Array(32);
  const claim = { subtreeRoot: hash, size, root: hash, proof: [] };
  assert.throws(() => verifySubtree(sha256, { subtree: { start: 2 ** 52, end: size }, ...claim }), {
    code: 'ledger.proof_invalid',
  });
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat(300), (start, length) => {
      const range = { start, end: start + length };
      if (!Number.isSafeInteger(range.end)) return;
      assert.equal(isSubtree(range), isSubtreeByDefinition(range));
    }),
  );
});

type PublicVector = { desc: string; wantErr: boolean; proof: string[] | null; start: number; end: number };
const folder = realInputs('merkle-vectors');
const ofBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

function publicVectors<V extends PublicVector>(kind: string): [string, V][] {
  const path = join(folder.path, 'testdata', kind);
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.json'),
  );
  assert.ok(files.length > 50, `${path} holds vectors`);
  return files.map((name) => [name, JSON.parse(readFileSync(join(path, name), 'utf8')) as V]);
}

/** Accepted or refused as the vector says, but for a root that is not 32 bytes long and a subtree without entries. */
function check(name: string, vector: PublicVector, hashes: string[], work: () => void): void {
  const isWhole = hashes.every((hash) => ofBase64(hash).length === 32);
  const isEmpty = vector.start === vector.end;
  if (vector.wantErr || !isWhole || isEmpty) assert.throws(work, LedgerError, `${name}: ${vector.desc}`);
  else assert.doesNotThrow(work, `${name}: ${vector.desc}`);
}

test('public subtree consistency vectors [URS-033]', { skip: folder.skip }, () => {
  type Vector = PublicVector & { size: number; root1: string; root2: string };
  for (const [name, vector] of publicVectors<Vector>('subtreeconsistency')) {
    const { start, end, size, root1, root2, proof } = vector;
    const claim = {
      subtree: { start, end },
      subtreeRoot: ofBase64(root1),
      size,
      root: ofBase64(root2),
      proof: (proof ?? []).map(ofBase64),
    };
    check(name, vector, [root1, root2], () => verifySubtree(sha256, claim));
  }
});

test(
  'public subtree inclusion vectors: a subtree is a tree of its own [URS-033]',
  { skip: folder.skip },
  () => {
    type Vector = PublicVector & { leafIdx: number; root: string; leafHash: string };
    for (const [name, vector] of publicVectors<Vector>('subtreeinclusion')) {
      const { leafIdx, start, end, root, leafHash: leaf, proof } = vector;
      check(name, vector, [root, leaf], () => {
        if (!isSubtree({ start, end })) throw new LedgerError('ledger.proof_range');
        verifyInclusion(sha256, {
          leafHash: ofBase64(leaf),
          index: leafIdx - start,
          size: end - start,
          root: ofBase64(root),
          proof: (proof ?? []).map(ofBase64),
        });
      });
    }
  },
);
