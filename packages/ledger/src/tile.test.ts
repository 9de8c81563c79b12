import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  bundlePath,
  bundlesOfSize,
  decodeBundle,
  encodeBundle,
  LedgerError,
  parseTilePath,
  tilePath,
  tilesOfSize,
} from './index.ts';
import { rightEdgeOfSize, splitBundle } from './tile.ts';

const address = fc.record(
  {
    level: fc.integer({ min: 0, max: 63 }),
    index: fc.oneof(
      fc.maxSafeNat(),
      fc.nat(1_000_000),
      fc.constantFrom(0, 999, 1000, Number.MAX_SAFE_INTEGER),
    ),
    width: fc.integer({ min: 1, max: 256 }),
  },
  { noNullPrototype: true },
);

test('paths are those of the C2SP specification [URS-033]', () => {
  assert.equal(tilePath({ level: 0, index: 1234067, width: 256 }), 'tile/0/x001/x234/067');
  assert.equal(tilePath({ level: 0, index: 273, width: 112 }), 'tile/0/273.p/112');
  assert.equal(tilePath({ level: 63, index: 1000, width: 1 }), 'tile/63/x001/000.p/1');
  assert.equal(bundlePath(1234067, 256), 'tile/entries/x001/x234/067');
  assert.equal(bundlePath(0, 5), 'tile/entries/000.p/5');
});

test('a path and its address are one another exactly [URS-033]', () => {
  fc.assert(
    fc.property(address, (tile) => {
      const { index, width } = tile;
      assert.deepEqual(parseTilePath(tilePath(tile)), { kind: 'tile', address: tile });
      assert.deepEqual(parseTilePath(bundlePath(index, width)), {
        kind: 'entries',
        address: { index, width },
      });
    }),
  );
});

test('whatever parses is the canonical path of what it parses to [URS-033]', () => {
  const piece = fc.constantFrom(
    'tile',
    'entries',
    '0',
    '00',
    '63',
    '64',
    '000',
    'x000',
    'x001',
    '1',
    '.p',
    '256',
    '5',
  );
  const nearly = fc.array(fc.tuple(piece, fc.constantFrom('/', '', '/', '\n')), { maxLength: 7 });
  const noise = fc.oneof(
    fc.string(),
    nearly.map((pieces) => `tile/${pieces.flat().join('')}`),
  );
  fc.assert(
    fc.property(noise, (path) => {
      try {
        const parsed = parseTilePath(path);
        const { index, width } = parsed.address;
        assert.equal(parsed.kind === 'tile' ? tilePath(parsed.address) : bundlePath(index, width), path);
      } catch (error) {
        assert.ok(error instanceof LedgerError);
      }
    }),
    { numRuns: 2000 },
  );
});

test('paths that are nearly right are refused [URS-033]', () => {
  const wrong = [
    '/tile/0/000',
    'tile/0/0',
    'tile/0/1000',
    'tile/00/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/0/x000/001',
    'tile/0/001/002',
    'tile/0/x001',
    'tile/0/000.p/0',
    'tile/0/000.p/05',
    'tile/0/000.p/256',
    'tile/0/000.p/',
    'tile/0/000/p/5',
    'tile/0/000\n',
    'tile/entries/../000',
    'tile/entries/x009/x007/x199/x254/x740/992', // 2^53
    `tile/0/${'x001/'.repeat(40)}001`,
  ];
  for (const path of wrong) assert.throws(() => parseTilePath(path), { code: 'ledger.tile_path' }, path);
});

test('addresses out of bounds have no path [URS-033]', () => {
  const wrong = [
    { level: -1, index: 0, width: 1 },
    { level: 64, index: 0, width: 1 },
    { level: 0.5, index: 0, width: 1 },
    { level: 0, index: -1, width: 1 },
    { level: 0, index: 2 ** 53, width: 1 },
    { level: 0, index: 0, width: 0 },
    { level: 0, index: 0, width: 257 },
    { level: 0, index: 0, width: Number.NaN },
  ];
  for (const tile of wrong) assert.throws(() => tilePath(tile), { code: 'ledger.tile_address' });
});

test('a tree of 70,000 entries has the tiles that the specification counts [URS-033]', () => {
  const tiles = [...tilesOfSize(70_000)];
  const at = (level: number) => tiles.filter((tile) => tile.level === level);
  assert.equal(at(0).filter(({ width }) => width === 256).length, 273);
  assert.deepEqual(at(0).at(-1), { level: 0, index: 273, width: 112 });
  assert.deepEqual(at(1), [
    { level: 1, index: 0, width: 256 },
    { level: 1, index: 1, width: 17 },
  ]);
  assert.deepEqual(at(2), [{ level: 2, index: 0, width: 1 }]);
  assert.equal(tiles.length, 277);
  assert.deepEqual([...rightEdgeOfSize(70_000)], [at(0).at(-1), at(1).at(-1), at(2).at(-1)]);
  assert.equal([...bundlesOfSize(70_000)].length, 274);
});

test('a tree of 256 entries has a full tile and one hash above it; an empty one has nothing [URS-033]', () => {
  assert.deepEqual(
    [...tilesOfSize(256)],
    [
      { level: 0, index: 0, width: 256 },
      { level: 1, index: 0, width: 1 },
    ],
  );
  assert.deepEqual([...tilesOfSize(0), ...bundlesOfSize(0)], []);
  assert.throws(() => [...tilesOfSize(-1)], { code: 'ledger.log_size' });
  assert.throws(() => [...bundlesOfSize(2 ** 53)], { code: 'ledger.log_size' });
});

test('the right edge of the largest log is computed without loss [URS-033]', () => {
  const edge = [...rightEdgeOfSize(Number.MAX_SAFE_INTEGER)];
  assert.deepEqual(
    edge.map(({ width }) => width),
    [255, 255, 255, 255, 255, 255, 31],
  );
  assert.equal(edge[0]?.index, 2 ** 45 - 1);
});

test('a bundle gives back its entries [URS-033]', () => {
  const entry = fc.uint8Array({ minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 256 }), (entries) => {
      assert.deepEqual(decodeBundle(encodeBundle(entries), entries.length), entries);
    }),
    { numRuns: 50 },
  );
  const longest = new Uint8Array(65_535).fill(7);
  assert.deepEqual(decodeBundle(encodeBundle([longest]), 1), [longest]);
});

test('noise is a bundle only where it encodes to itself [URS-033]', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), fc.integer({ min: 1, max: 4 }), (bytes, width) => {
      try {
        const entries = decodeBundle(bytes, width);
        assert.equal(entries.length, width);
        const encoded = entries.flatMap((entry) => [entry.length >>> 8, entry.length & 0xff, ...entry]);
        assert.deepEqual(encoded, [...bytes]);
      } catch (error) {
        assert.ok(error instanceof LedgerError);
      }
    }),
    { numRuns: 1000 },
  );
});

test('damaged bundles are refused, and split into no more than 512 entries [URS-033]', () => {
  const bundle = encodeBundle([Uint8Array.of(1, 2, 3), Uint8Array.of(4)]);
  const malformed = { code: 'ledger.bundle_malformed' };
  assert.throws(() => decodeBundle(bundle, 1), malformed);
  assert.throws(() => decodeBundle(bundle, 3), malformed);
  assert.throws(() => decodeBundle(bundle.subarray(0, -1), 2), malformed);
  assert.throws(() => decodeBundle(Uint8Array.from([...bundle, 0]), 2), malformed);
  assert.equal(splitBundle(new Uint8Array(100_000)).entries.length, 512);
});

test('entries that a bundle cannot hold are refused [URS-033]', () => {
  assert.throws(() => encodeBundle([new Uint8Array(0)]), { code: 'ledger.entry_size' });
  assert.throws(() => encodeBundle([new Uint8Array(65_536)]), { code: 'ledger.entry_size' });
  assert.throws(() => encodeBundle([]), { code: 'ledger.bundle_malformed' });
  assert.throws(() => encodeBundle(Array.from({ length: 257 }, () => new Uint8Array(1))), LedgerError);
});
