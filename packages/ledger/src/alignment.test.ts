import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { entriesUpTo, entryOf, MemoryLog } from './fixture.test.ts';
import { bundlePath, encodeBundle } from './index.ts';
import { brief, foreign, logWithEntries, thousand, verify } from './verify.fixture.test.ts';

test('an edited entry is named, wherever it stands [URS-033]', async () => {
  for (const index of [0, 255, 256, 511, 767, 768, 999]) {
    const result = await verify(
      await logWithEntries(thousand.map((entry, i) => (i === index ? foreign : entry))),
    );
    assert.equal(result.verdict, 'failed');
    assert.deepEqual(brief(result), [`entry.edited ${index}`]);
  }
});

test('one changed byte is named by its entry, whichever byte it is [URS-033]', async () => {
  const log = await MemoryLog.of(entriesUpTo(300));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 299 }), fc.nat(), async (index, position) => {
      const [bundle, place] = [Math.floor(index / 256), index % 256];
      const path = bundlePath(bundle, bundle === 0 ? 256 : 44);
      const before = log.file(path);
      const start = encodeBundle(entriesUpTo(300).slice(bundle * 256, bundle * 256 + place + 1)).length;
      const length = entryOf(index).length;
      log.alter(path, (bytes) => {
        const at = start - 1 - (position % length);
        bytes[at] = (bytes[at] ?? 0) ^ 1;
      });
      assert.deepEqual(brief(await verify(log)), [`entry.edited ${index}`]);
      log.files.set(path, before);
    }),
    { numRuns: 20 },
  );
});

test('a dropped entry is named, with the rest moved up or only its bundle short [URS-033]', async () => {
  for (const index of [0, 10, 255, 256, 767, 768, 999]) {
    const movedUp = await verify(await logWithEntries(thousand.filter((_, i) => i !== index)));
    assert.deepEqual(brief(movedUp), [`entry.dropped ${index}`], 'moved up');
    assert.equal(movedUp.entriesChecked, 999);
    const log = await MemoryLog.of(thousand);
    const bundle = Math.floor(index / 256);
    const kept = thousand
      .slice(bundle * 256, bundle * 256 + 256)
      .filter((_, i) => bundle * 256 + i !== index);
    log.files.set(bundlePath(bundle, bundle === 3 ? 232 : 256), encodeBundle(kept));
    assert.deepEqual(brief(await verify(log)), [`entry.dropped ${index}`], 'bundle short');
  }
});

test('entries cut off at the end are named as one range [URS-033]', async () => {
  const result = await verify(await logWithEntries(thousand.slice(0, 700)));
  assert.deepEqual(brief(result), ['entry.dropped 700-999']);
  assert.equal(result.entriesChecked, 700);
});

test('an inserted entry is named by the entry that it stands before [URS-033]', async () => {
  for (const index of [0, 10, 255, 256, 257, 767, 768, 999]) {
    const log = await logWithEntries([...thousand.slice(0, index), foreign, ...thousand.slice(index)]);
    const result = await verify(log);
    assert.deepEqual(brief(result), [`entry.inserted ${index}`]);
    assert.equal(result.entriesChecked, 1000);
  }
  assert.deepEqual(brief(await verify(await logWithEntries([...thousand, foreign]))), [
    'entry.inserted 1000',
  ]);
});

test('reordered entries are named by their range [URS-033]', async () => {
  const swapped = (a: number, b: number): Uint8Array[] =>
    thousand.map((entry, i) => (i === a ? entryOf(b) : i === b ? entryOf(a) : entry));
  for (const [a, b] of [
    [0, 1],
    [5, 9],
    [255, 256],
    [254, 255],
    [998, 999],
  ] as const) {
    assert.deepEqual(brief(await verify(await logWithEntries(swapped(a, b)))), [`entry.reordered ${a}-${b}`]);
  }
  for (const [from, to] of [
    [20, 40],
    [250, 260],
    [40, 20],
    [510, 500],
  ] as const) {
    const moved = thousand.toSpliced(from, 1).toSpliced(to, 0, entryOf(from));
    const range = `${Math.min(from, to)}-${Math.max(from, to)}`;
    assert.deepEqual(brief(await verify(await logWithEntries(moved))), [`entry.reordered ${range}`]);
  }
  const reversed = [...thousand.slice(0, 256).reverse(), ...thousand.slice(256)];
  assert.deepEqual(brief(await verify(await logWithEntries(reversed))), ['entry.reordered 0-255']);
});

test('a swap of far entries is named at both places [URS-033]', async () => {
  const entries = thousand.with(3, entryOf(700)).with(700, entryOf(3));
  assert.deepEqual(brief(await verify(await logWithEntries(entries))), [
    'entry.edited 3',
    'entry.edited 700',
  ]);
});

test('several changes are named each [URS-033]', async () => {
  const entries = thousand.with(900, foreign).with(7, foreign);
  entries.splice(500, 1);
  entries.splice(300, 0, foreign, foreign);
  const result = await verify(await logWithEntries(entries));
  assert.deepEqual(brief(result), [
    'entry.edited 7',
    'entry.inserted 300',
    'entry.dropped 500',
    'entry.edited 900',
  ]);
  assert.equal(result.entriesChecked, 997);
});

test('any one change is caught and named by its index [URS-033]', async () => {
  const change = fc.record({
    kind: fc.constantFrom('edited', 'dropped', 'inserted'),
    index: fc.integer({ min: 0, max: 999 }),
  });
  await fc.assert(
    fc.asyncProperty(change, async ({ kind, index }) => {
      const entries = [...thousand];
      if (kind === 'edited') entries[index] = foreign;
      else if (kind === 'dropped') entries.splice(index, 1);
      else entries.splice(index, 0, foreign);
      assert.deepEqual(brief(await verify(await logWithEntries(entries))), [`entry.${kind} ${index}`]);
    }),
    { numRuns: 20 },
  );
});

test('a log of equal entries is followed as well [URS-033]', async () => {
  const log = await MemoryLog.of(Array.from({ length: 600 }, () => foreign));
  assert.equal((await verify(log)).verdict, 'consistent');
  log.putBundles(
    Array.from({ length: 599 }, () => foreign),
    600,
  );
  assert.deepEqual(brief(await verify(log)), ['entry.dropped 599']);
});

test('bytes added to a bundle or cut off are found [URS-033]', async () => {
  const path = bundlePath(1, 256);
  const log = await MemoryLog.of(thousand);
  log.alter(path, (bytes) => Uint8Array.from([...bytes, 0]));
  assert.deepEqual(brief(await verify(log)), [`bundle.malformed 256-511 ${path}`]);
  const cut = await MemoryLog.of(thousand);
  cut.alter(path, (bytes) => bytes.slice(0, -1));
  assert.deepEqual(brief(await verify(cut)), [`bundle.malformed 256-511 ${path}`, 'entry.dropped 511']);
});

test('a bundle of noise, endless or empty, is found and ends [URS-033]', async () => {
  const path = bundlePath(1, 256);
  for (const noise of [new Uint8Array(0), new Uint8Array(20_000_000), new Uint8Array(500).fill(0xff)]) {
    const log = await MemoryLog.of(thousand);
    log.files.set(path, noise);
    const result = await verify(log);
    assert.equal(result.verdict, 'failed');
    assert.equal(result.findings.find(({ code }) => code.startsWith('entry.'))?.index, 256);
    assert.equal(result.entriesChecked, 744);
  }
});

test('a missing bundle is named and the rest is checked [URS-033]', async () => {
  const log = await MemoryLog.of(thousand);
  log.files.delete(bundlePath(1, 256));
  const result = await verify(log);
  assert.deepEqual(brief(result), [`bundle.missing 256-511 ${bundlePath(1, 256)}`]);
  assert.equal(result.entriesChecked, 744);
});

test('behind a missing bundle a shift is found anew, and nothing is called foreign [URS-033]', async () => {
  const log = await logWithEntries(thousand.toSpliced(10, 1));
  log.files.delete(bundlePath(1, 256));
  assert.deepEqual(brief(await verify(log)), [
    'entry.dropped 10',
    `bundle.missing 256-511 ${bundlePath(1, 256)}`,
    'entry.dropped 512',
  ]);
});

test('a gap too wide to be followed is named where it begins [URS-033]', async () => {
  const result = await verify(await logWithEntries(thousand.toSpliced(10, 300)));
  assert.equal(result.verdict, 'failed');
  assert.equal(brief(result)[0], 'entry.dropped 10-309');
  const none = await verify(await logWithEntries(thousand.map(() => foreign)));
  assert.deepEqual([brief(none), none.entriesChecked], [['entry.edited 0-999'], 0]);
});
