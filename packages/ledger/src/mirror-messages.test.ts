import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { entriesUpTo, entryOf, MemoryLog, sha256 } from './fixture.test.ts';
import {
  formatAddEntries,
  formatMirrorInfo,
  formatPackage,
  isSubtree,
  leafHashes,
  LedgerError,
  maxMirrorInfoBytes,
  merkleRoot,
  packagesBetween,
  parseMirrorInfo,
  readAddEntries,
  subtreeProof,
  verifySubtree,
  type AddEntriesHeader,
  type EntryPackage,
} from './index.ts';
import { fromHex, hex, vectorsOf } from './witnessing.fixture.test.ts';

const malformed = { code: 'ledger.message_malformed' };

/** The body in pieces of at most `bytes`, as a network gives it. */
function* inPieces(body: Uint8Array, bytes: number): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += bytes) yield body.subarray(at, at + bytes);
}

async function readAll(
  body: Uint8Array,
  bytes: number,
): Promise<{ header: AddEntriesHeader; packages: EntryPackage[] }> {
  const { header, packages } = await readAddEntries(inPieces(body, bytes));
  const all: EntryPackage[] = [];
  for await (const one of packages) all.push(one);
  return { header, packages: all };
}

test('vectors: add-entries is read from pieces of any length, and every package is proven [URS-033]', async () => {
  for (const { body, origin, uploadStart, uploadEnd, ticket, ...vector } of vectorsOf('addEntries')) {
    for (const bytes of [1, 7, 1000, 1 << 20]) {
      const { header, packages } = await readAll(fromHex(body), bytes);
      assert.deepEqual({ ...header, ticket: hex(header.ticket) }, { origin, uploadStart, uploadEnd, ticket });
      const places = packages.map(({ place: { entries, subtree } }) => [
        entries.start,
        entries.end,
        subtree.start,
      ]);
      assert.deepEqual(places, vector.packages);
      const { tree } = await MemoryLog.of(entriesUpTo(uploadEnd));
      for (const { place, entries, proof } of packages) {
        const { start } = place.entries;
        const earlier = entriesUpTo(start).slice(place.subtree.start);
        assert.deepEqual(
          entries.map(hex),
          entries.map((_, i) => hex(entryOf(start + i))),
        );
        const subtreeRoot = merkleRoot(sha256, leafHashes(sha256, [...earlier, ...entries]));
        const claim = { subtree: place.subtree, subtreeRoot, size: uploadEnd, root: tree.root(), proof };
        verifySubtree(sha256, claim);
      }
    }
  }
});

test('vectors: add-entries is written as the specification says [URS-033]', async () => {
  for (const { body, packages, ticket, ...head } of vectorsOf('addEntries')) {
    const { readTile } = await MemoryLog.of(entriesUpTo(head.uploadEnd));
    const parts = [formatAddEntries({ ...head, ticket: fromHex(ticket) })];
    for (const { entries, subtree } of [...packagesBetween(head.uploadStart, head.uploadEnd)].slice(
      0,
      packages.length,
    )) {
      const proof = await subtreeProof(sha256, subtree, head.uploadEnd, readTile);
      parts.push(formatPackage(entriesUpTo(entries.end).slice(entries.start), proof));
    }
    assert.equal(Buffer.concat(parts).toString('hex'), body);
  }
});

test('vectors: what is no add-entries is refused, behind the packages that are whole [URS-033]', async () => {
  for (const { why, body, packages } of vectorsOf('badAddEntries')) {
    let whole = 0;
    const reading = async (): Promise<void> => {
      const { packages } = await readAddEntries(inPieces(fromHex(body), 11));
      for await (const { entries } of packages) whole += Math.sign(entries.length);
    };
    await assert.rejects(reading, malformed, why);
    assert.equal(whole, packages, why);
  }
});

test('vectors: mirror-info [URS-033]', () => {
  for (const { body, ticket, ...sizes } of vectorsOf('mirrorInfo')) {
    assert.deepEqual(parseMirrorInfo(fromHex(body)), { ...sizes, ticket: fromHex(ticket) });
    assert.equal(hex(formatMirrorInfo({ ...sizes, ticket: fromHex(ticket) })), body);
  }
  for (const { why, body } of vectorsOf('badMirrorInfo')) {
    assert.throws(() => parseMirrorInfo(fromHex(body)), malformed, why);
  }
  const longest = {
    size: Number.MAX_SAFE_INTEGER,
    nextEntry: Number.MAX_SAFE_INTEGER,
    ticket: new Uint8Array(65_535),
  };
  assert.equal(formatMirrorInfo(longest).length, maxMirrorInfoBytes);
  assert.deepEqual(parseMirrorInfo(formatMirrorInfo(longest)), longest);
  assert.throws(() => formatMirrorInfo({ ...longest, ticket: new Uint8Array(65_536) }), malformed);
});

test('the canonical sequence covers the interval once, in subtrees, bundle by bundle [URS-033]', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat(2000), (uploadStart, length) => {
      const uploadEnd = Math.min(uploadStart + length, Number.MAX_SAFE_INTEGER);
      let next = uploadStart;
      for (const { entries, subtree } of packagesBetween(uploadStart, uploadEnd)) {
        assert.equal(entries.start, next);
        assert.ok(entries.end > entries.start && subtree.end === entries.end && isSubtree(subtree));
        assert.equal(subtree.start, Math.floor(entries.start / 256) * 256);
        assert.ok(entries.end === uploadEnd || entries.end % 256 === 0);
        next = entries.end;
      }
      assert.equal(next, uploadEnd);
    }),
  );
  assert.throws(() => [...packagesBetween(2, 1)], malformed);
});

test('what cannot be sent is refused [URS-033]', () => {
  const header = { origin: 'o', uploadStart: 0, uploadEnd: 1, ticket: new Uint8Array(0) };
  for (const change of [
    { origin: '' },
    { origin: 'a\nb' },
    { origin: '\ud800' },
    { origin: 'o'.repeat(65_536) },
    { ticket: new Uint8Array(65_536) },
    { uploadStart: 2 },
  ]) {
    assert.throws(() => formatAddEntries({ ...header, ...change }), malformed);
  }
  assert.throws(() => formatAddEntries({ ...header, uploadEnd: 2 ** 53 }), { code: 'ledger.log_size' });
  const hash = new Uint8Array(32);
  assert.throws(() => formatPackage([], []), malformed);
  assert.throws(() => formatPackage(entriesUpTo(257), []), malformed);
  assert.throws(
    () =>
      formatPackage(
        [hash],
        Array.from({ length: 64 }, () => hash),
      ),
    malformed,
  );
  assert.throws(() => formatPackage([new Uint8Array(65_536)], []), { code: 'ledger.entry_size' });
  assert.throws(() => formatPackage([hash], [new Uint8Array(31)]), { code: 'ledger.hash_size' });
});

test('empty entries and entries of the greatest length are carried, and other bytes refused [URS-033]', async () => {
  const header = { origin: 'o', uploadStart: 255, uploadEnd: 258, ticket: new Uint8Array(0) };
  const entries = [new Uint8Array(0), new Uint8Array(65_535).fill(7), new Uint8Array(1)];
  const body = Buffer.concat([
    formatAddEntries(header),
    formatPackage(entries.slice(0, 1), []),
    formatPackage(entries.slice(1), []),
  ]);
  const { packages } = await readAll(body, 4096);
  assert.deepEqual(
    packages.flatMap((one) => one.entries.map(({ length }) => length)),
    [0, 65_535, 1],
  );
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 1, max: 50 }),
      async (bytes, piece) => {
        try {
          await readAll(bytes, piece);
        } catch (error) {
          assert.ok(error instanceof LedgerError && error.code === 'ledger.message_malformed');
        }
      },
    ),
  );
});

test('what the network throws is passed on, and no more is asked for than is read [URS-033]', async () => {
  const { body } = vectorsOf('addEntries')[0] ?? { body: '' };
  let given = 0;
  async function* broken(): AsyncGenerator<Uint8Array> {
    for (const piece of inPieces(fromHex(body).subarray(0, 60), 10)) {
      given++;
      yield piece;
    }
    await Promise.resolve();
    throw new Error('connection lost');
  }
  const { packages } = await readAddEntries(broken());
  assert.ok(given <= 6);
  await assert.rejects(packages.next(), /connection lost/);
});
