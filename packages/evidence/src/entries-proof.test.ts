import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Tree, leafHash, type TileAddress } from '@trialkeep/ledger';
import { sha256 } from './fixture.test.ts';
import { EvidenceError, makeEntriesProof, rootOfEntries } from './index.ts';

const entry = (index: number): Uint8Array => new TextEncoder().encode(`{"entry":${index}}`);

/** The tree of so many entries, with its tiles. */
function treeOf(size: number) {
  const leaves = Array.from({ length: size }, (_, i) => leafHash(sha256, entry(i)));
  const { tree, tiles } = Tree.empty(sha256).append(leaves);
  const stored = new Map(tiles.map(({ address, hashes }) => [`${address.level}/${address.index}`, hashes]));
  const read = ({ level, index, width }: TileAddress): Uint8Array =>
    (stored.get(`${level}/${index}`) ?? new Uint8Array()).subarray(0, width * 32);
  return { root: Buffer.from(tree.root()), read };
}

test('any entries of any tree lead to its root, and no others do [URS-033] [URS-084]', async () => {
  const listed = fc.integer({ min: 1, max: 1200 }).chain((size) =>
    fc.record({
      size: fc.constant(size),
      indexes: fc.uniqueArray(fc.nat(size - 1), { minLength: 1, maxLength: 40 }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(listed, fc.nat(), async ({ size, indexes }, at) => {
      const sorted = indexes.toSorted((a, b) => a - b);
      const { root, read } = treeOf(size);
      const proof = await makeEntriesProof(sha256, sorted, size, read);
      const entries = sorted.map((index) => ({ index, bytes: entry(index) }));
      assert.deepEqual(Buffer.from(rootOfEntries(sha256, entries, size, proof)), root);
      const altered = entries.map((each, i) =>
        i === at % entries.length ? { ...each, bytes: entry(-1) } : each,
      );
      assert.notDeepEqual(Buffer.from(rootOfEntries(sha256, altered, size, proof)), root);
      const longer = Buffer.concat([proof, Buffer.alloc(32)]);
      for (const bad of [
        longer,
        Buffer.concat([proof, Buffer.alloc(1)]),
        ...(proof.length > 0 ? [proof.subarray(1)] : []),
      ]) {
        assert.throws(() => rootOfEntries(sha256, entries, size, bad), EvidenceError);
      }
    }),
    { numRuns: 30 },
  );
});
