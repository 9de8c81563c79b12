import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { entriesUpTo, naiveRoot, sha256 } from './fixture.test.ts';
import { EMPTY_ROOT, leafHash, LedgerError, nodeHash } from './index.ts';
import { leafHashes, merkleRoot } from './merkle.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('the empty root is SHA-256 of nothing [URS-033]', () => {
  assert.equal(hex(EMPTY_ROOT), hex(sha256(new Uint8Array(0))));
  assert.equal(hex(merkleRoot(sha256, new Uint8Array(0))), hex(EMPTY_ROOT));
});

test('leaf and node hashes are those of RFC 6962, kept apart by their first byte [URS-033]', () => {
  const entry = Uint8Array.of(0x61);
  const [left, right] = [leafHash(sha256, entry), leafHash(sha256, new Uint8Array(0))];
  assert.equal(hex(left), hex(sha256(Uint8Array.of(0, 0x61))));
  assert.equal(hex(nodeHash(sha256, left, right)), hex(sha256(Uint8Array.from([1, ...left, ...right]))));
  assert.notEqual(
    hex(leafHash(sha256, Uint8Array.from([...left, ...right]))),
    hex(nodeHash(sha256, left, right)),
  );
});

test('the root over leaf hashes is that of the recursive definition [URS-033]', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 70 }), (entries) => {
      assert.equal(
        hex(merkleRoot(sha256, leafHashes(sha256, entries))),
        hex(naiveRoot(entries.map((entry) => leafHash(sha256, entry)))),
      );
    }),
    { numRuns: 60 },
  );
  for (const size of [1, 2, 3, 255, 256]) {
    const entries = entriesUpTo(size);
    const hashes = entries.map((entry) => leafHash(sha256, entry));
    assert.equal(hex(merkleRoot(sha256, leafHashes(sha256, entries))), hex(naiveRoot(hashes)));
  }
});

test('hashes of a wrong length are refused [URS-033]', () => {
  const short = { name: 'LedgerError', code: 'ledger.hash_size' };
  assert.throws(() => nodeHash(sha256, new Uint8Array(31), new Uint8Array(32)), short);
  assert.throws(() => nodeHash(sha256, new Uint8Array(32), new Uint8Array(33)), short);
  assert.throws(() => merkleRoot(sha256, new Uint8Array(33)), LedgerError);
});

test('hashes that are given as a Node Buffer stay as they are [URS-033]', () => {
  const given = Buffer.from(leafHashes(sha256, entriesUpTo(5)));
  const before = Buffer.from(given);
  merkleRoot(sha256, given);
  assert.deepEqual(given, before);
});
