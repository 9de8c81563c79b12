import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { entriesUpTo, MemoryLog, naiveRoot, sha256 } from './fixture.test.ts';
import { EMPTY_ROOT, leafHash, tilePath, tilesOfSize, Tree, type TileAddress } from './index.ts';

const sizes = [1, 2, 3, 254, 255, 256, 257, 511, 512, 513, 1000, 65_537];
const entries = entriesUpTo(65_537);
const hashes = entries.map((entry) => leafHash(sha256, entry));

test('the root of a tree is that of the recursive definition [URS-033]', () => {
  assert.deepEqual(Tree.empty(sha256).root(), EMPTY_ROOT);
  for (const size of sizes) {
    const { tree } = Tree.empty(sha256).append(hashes.slice(0, size));
    assert.equal(tree.size, size);
    assert.deepEqual(Buffer.from(tree.root()), Buffer.from(naiveRoot(hashes.slice(0, size))), `size ${size}`);
  }
});

test('however a log grows, its tiles and root are the same [URS-033]', () => {
  const target = 1500;
  const whole = Tree.empty(sha256).append(hashes.slice(0, target));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: target }), { maxLength: 12 }), (cuts) => {
      const stored = new Map<string, Uint8Array>();
      let tree = Tree.empty(sha256);
      for (const end of [...cuts.sort((a, b) => a - b), target]) {
        const grown = tree.append(hashes.slice(tree.size, end));
        for (const { address, hashes } of grown.tiles) stored.set(tilePath(address), hashes);
        tree = grown.tree;
      }
      assert.deepEqual(tree.root(), whole.tree.root());
      for (const { address, hashes } of whole.tiles) assert.deepEqual(stored.get(tilePath(address)), hashes);
    }),
    { numRuns: 30 },
  );
});

test('append gives each changed tile once, as wide as it has become [URS-033]', () => {
  const { tree } = Tree.empty(sha256).append(hashes.slice(0, 200));
  const { tiles } = tree.append(hashes.slice(200, 600));
  assert.deepEqual(
    tiles.map(({ address }) => tilePath(address)),
    ['tile/0/000', 'tile/0/001', 'tile/0/002.p/88', 'tile/1/000.p/2'],
  );
  for (const { address, hashes } of tiles) assert.equal(hashes.length, 32 * address.width);
  assert.deepEqual(tree.append([]).tiles, []);
});

test('the tiles of a log are exactly those of its size [URS-033]', () => {
  const { tiles } = Tree.empty(sha256).append(hashes);
  assert.deepEqual(
    tiles.map(({ address }) => tilePath(address)),
    [...tilesOfSize(65_537)].map(tilePath),
  );
});

test('append leaves the tree as it was, so that a failed transaction costs nothing [URS-032]', () => {
  const { tree } = Tree.empty(sha256).append(hashes.slice(0, 300));
  const root = tree.root();
  const { tree: abandoned, tiles } = tree.append(hashes.slice(300, 400));
  for (const { hashes } of tiles) hashes.fill(0);
  assert.equal(tree.size, 300);
  assert.deepEqual(tree.root(), root);
  assert.deepEqual(tree.append(hashes.slice(300, 400)).tree.root(), abandoned.root());
});

test('loading reads the partial tiles of the right edge only, and grows on as before [URS-032]', async () => {
  for (const size of [0, 1, 255, 256, 1000, 65_537]) {
    const log = await MemoryLog.of(entries.slice(0, size));
    const read: TileAddress[] = [];
    const tree = await Tree.load(sha256, size, (address) => {
      read.push(address);
      return log.file(tilePath(address));
    });
    assert.deepEqual(tree.root(), log.tree.root());
    assert.deepEqual(
      tree.append(hashes.slice(0, 300)).tree.root(),
      log.tree.append(hashes.slice(0, 300)).tree.root(),
    );
    assert.ok(read.every(({ width }) => width < 256) && read.length <= 3);
  }
});

test('loading takes a wider tile, and refuses a narrower one [URS-032]', async () => {
  const tile = new Uint8Array(32 * 9).fill(1);
  const narrow = await Tree.load(sha256, 5, () => tile.subarray(0, 32 * 5));
  const wide = await Tree.load(sha256, 5, () => tile);
  assert.deepEqual(wide.root(), narrow.root());
  const malformed = { code: 'ledger.tile_malformed' };
  await assert.rejects(async () => Tree.load(sha256, 5, () => tile.subarray(0, 32 * 4)), malformed);
  await assert.rejects(async () => Tree.load(sha256, 5, () => tile.subarray(0, 32 * 6 + 1)), malformed);
  await assert.rejects(async () => Tree.load(sha256, 2 ** 53, () => tile), { code: 'ledger.log_size' });
});

test('a leaf hash of a wrong length is refused [URS-032]', () => {
  assert.throws(() => Tree.empty(sha256).append([new Uint8Array(31)]), { code: 'ledger.hash_size' });
});
