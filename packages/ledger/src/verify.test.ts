import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { entriesUpTo, entryOf, keyFrom, logKey, MemoryLog, sha256, type Key } from './fixture.test.ts';
import {
  bundlePath,
  encodeBundle,
  EMPTY_ROOT,
  formatCheckpoint,
  signNote,
  verifyLog,
  type Finding,
  type VerifyOptions,
  type VerifyResult,
} from './index.ts';

/** Verifies with the log's key. */
function verify(log: MemoryLog, options: Partial<VerifyOptions> = {}): Promise<VerifyResult> {
  return verifyLog({ sha256, verifiers: [logKey.verifier], source: log.source, ...options });
}

/** Findings in one line each: code, entry range and file. */
function brief({ findings }: VerifyResult): string[] {
  return findings.map(({ code, index, lastIndex, path }: Finding) => {
    const range = index === undefined ? '' : ` ${index}${lastIndex === undefined ? '' : `-${lastIndex}`}`;
    return `${code}${range}${path === undefined ? '' : ` ${path}`}`;
  });
}

const foreign = new TextEncoder().encode('never in the log');
const thousand = entriesUpTo(1000);
/** Three levels of tiles, full and partial. */
const large = await MemoryLog.of(entriesUpTo(66_000));

/** A log of 1,000 entries whose bundles hold `entries` instead, laid out anew. */
async function logWithEntries(entries: readonly Uint8Array[]): Promise<MemoryLog> {
  const log = await MemoryLog.of(thousand);
  log.putBundles(entries, 1000);
  return log;
}

test('an untouched log of any size is verified with a kept checkpoint [URS-033]', async () => {
  const small = [0, 1, 2, 255, 256, 257, 1000].map((size) => MemoryLog.of(entriesUpTo(size)));
  for (const log of [...(await Promise.all(small)), large]) {
    const { size } = log.tree;
    const verified = await verify(log, { kept: log.checkpoint });
    assert.deepEqual(
      [verified.verdict, verified.freshness, brief(verified)],
      ['verified', 'kept checkpoint', []],
    );
    assert.deepEqual([verified.origin, verified.size, verified.entriesChecked], [logKey.name, size, size]);
    assert.deepEqual(verified.root, log.tree.root());
  }
});

test('without a kept checkpoint a log is consistent, and its freshness unproven [URS-033]', async () => {
  const { verdict, freshness, findings } = await verify(await MemoryLog.of(thousand));
  assert.deepEqual([verdict, freshness, findings], ['consistent', 'unproven', []]);
});

test('any kept checkpoint of the same history is continued [URS-033]', async () => {
  const log = await MemoryLog.of(thousand);
  for (const size of [0, 1, 255, 256, 257, 512, 999]) {
    const kept = (await MemoryLog.of(thousand.slice(0, size))).checkpoint;
    assert.equal((await verify(log, { kept })).verdict, 'verified', `kept at ${size}`);
  }
});

test('entries and progress are reported in order, proven entries only [URS-033]', async () => {
  const log = await logWithEntries(thousand.map((entry, i) => (i === 300 ? foreign : entry)));
  const seen: number[] = [];
  const progress: number[] = [];
  const result = await verify(log, {
    onEntry: async (index, entry) => {
      assert.deepEqual(Buffer.from(entry), Buffer.from(entryOf(index)));
      seen.push(index);
      await Promise.resolve();
    },
    onProgress: (done, total) => progress.push(done / total),
  });
  assert.deepEqual(
    seen,
    [...thousand.keys()].filter((i) => i !== 300),
  );
  assert.equal(result.entriesChecked, 999);
  assert.deepEqual(progress, [0.256, 0.512, 0.768, 1]);
});

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

test('a changed tile of any level is named, and its entries are proven from what lies below it [URS-033]', async () => {
  for (const [path, range] of [
    ['tile/0/257.p/208', '65792-65999'],
    ['tile/1/000', '0-65535'],
    ['tile/2/000.p/1', '0-65535'],
  ] as const) {
    const whole = large.file(path);
    large.alter(path, (bytes) => void (bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1));
    const altered = await verify(large, { kept: large.checkpoint });
    assert.deepEqual(brief(altered), [`tile.altered ${range} ${path}`]);
    assert.equal(altered.entriesChecked, 66_000);
    large.files.set(path, whole);
  }
});

test('a tile that is missing or cut short is named [URS-033]', async () => {
  const log = await MemoryLog.of(thousand);
  for (const [path, range] of [
    ['tile/0/001', '256-511'],
    ['tile/0/003.p/232', '768-999'],
    ['tile/1/000.p/3', '0-767'],
  ] as const) {
    const whole = log.file(path);
    log.files.set(path, whole.slice(0, -1));
    assert.deepEqual(brief(await verify(log)), [`tile.altered ${range} ${path}`]);
    log.files.delete(path);
    const result = await verify(log);
    assert.deepEqual(brief(result), [`tile.missing ${range} ${path}`]);
    assert.equal(result.entriesChecked, 1000);
    log.files.set(path, whole);
  }
});

test('entries are proven even where no tile is left [URS-033]', async () => {
  const log = await MemoryLog.of(thousand);
  for (const path of [...log.files.keys()]) if (/^tile\/[0-9]/.test(path)) log.files.delete(path);
  const result = await verify(log, { kept: (await MemoryLog.of(thousand.slice(0, 500))).checkpoint });
  assert.ok(result.findings.every(({ code }) => code === 'tile.missing'));
  assert.deepEqual([result.findings.length, result.findingsOmitted], [5, 0]);
  assert.deepEqual([result.entriesChecked, result.freshness], [1000, 'kept checkpoint']);
});

test('a tile and the tile above it, altered to agree, are both named [URS-033]', async () => {
  const log = await MemoryLog.of(thousand);
  const other = await MemoryLog.of(thousand.with(300, foreign));
  for (const path of ['tile/0/001', 'tile/1/000.p/3']) log.files.set(path, other.file(path));
  const result = await verify(log);
  assert.deepEqual(brief(result), ['tile.altered 0-767 tile/1/000.p/3', 'tile.altered 256-511 tile/0/001']);
  assert.equal(result.entriesChecked, 1000);
});

test('an entry edited together with its tile cannot be told from its neighbours [URS-033]', async () => {
  const log = await MemoryLog.of(thousand);
  const other = await MemoryLog.of(thousand.with(300, foreign));
  for (const path of ['tile/0/001', bundlePath(1, 256)]) log.files.set(path, other.file(path));
  const result = await verify(log, { kept: (await MemoryLog.of(thousand.slice(0, 400))).checkpoint });
  assert.deepEqual(brief(result), [
    'tile.altered 256-511 tile/0/001',
    'entry.unlocated 256-511',
    'log.unproven',
  ]);
  assert.equal(result.entriesChecked, 744);
});

test('a log rewritten up to the checkpoint does not give the signed root [URS-033]', async () => {
  const log = await MemoryLog.of(thousand.with(300, foreign));
  const signed = (await MemoryLog.of(thousand)).checkpoint;
  log.files.set('checkpoint', signed);
  const result = await verify(log, { kept: signed });
  assert.deepEqual(brief(result), ['checkpoint.root']);
  assert.deepEqual([result.verdict, result.entriesChecked], ['failed', 0]);
});

test('an older checkpoint in place of the newest is a truncated log [URS-033]', async () => {
  const kept = (await MemoryLog.of(thousand)).checkpoint;
  const older = await MemoryLog.of(thousand.slice(0, 700));
  const result = await verify(older, { kept });
  assert.deepEqual(
    [result.verdict, result.freshness, brief(result)],
    ['failed', 'unproven', ['log.truncated']],
  );
  assert.equal(result.entriesChecked, 700);
});

test('another history under the same key is a forked log, longer or of one size [URS-033]', async () => {
  const kept = (await MemoryLog.of(thousand.slice(0, 700))).checkpoint;
  for (const size of [700, 701, 1000]) {
    const rewritten = await MemoryLog.of(thousand.slice(0, size).with(300, foreign));
    assert.equal((await verify(rewritten)).verdict, 'consistent');
    const result = await verify(rewritten, { kept });
    assert.deepEqual([result.verdict, brief(result)], ['failed', ['log.forked']]);
  }
});

test('a kept checkpoint is believed only under the same key and of the same log [URS-033]', async () => {
  const log = await MemoryLog.of(thousand);
  const forger = keyFrom('forger', logKey.name);
  const forged = (await MemoryLog.of(thousand, forger)).checkpoint;
  assert.deepEqual(brief(await verify(log, { kept: forged })), ['kept.unusable']);
  assert.deepEqual(brief(await verify(log, { kept: new Uint8Array(3) })), ['kept.unusable']);
  const sibling = await MemoryLog.of(thousand);
  await sibling.sign(logKey, 'log.example/another');
  assert.deepEqual(brief(await verify(log, { kept: sibling.checkpoint })), ['kept.origin']);
});

test('a checkpoint that is not the log’s own is refused before anything in it is used [URS-033]', async () => {
  const open = async (checkpoint: Uint8Array | undefined, options: Partial<VerifyOptions> = {}) => {
    const log = await MemoryLog.of(thousand);
    if (checkpoint === undefined) log.files.delete('checkpoint');
    else log.files.set('checkpoint', checkpoint);
    const result = await verify(log, options);
    assert.deepEqual(
      [result.verdict, result.origin, result.size, result.entriesChecked],
      ['failed', undefined, undefined, 0],
    );
    return brief(result);
  };
  const checkpointBy = async (key: Key, origin?: string) => {
    const log = await MemoryLog.of(thousand);
    await log.sign(key, origin);
    return log.checkpoint;
  };
  const own = await checkpointBy(logKey);
  const edit = (from: string | RegExp, to: string): Uint8Array =>
    new TextEncoder().encode(new TextDecoder().decode(own).replace(from, to));

  assert.deepEqual(await open(undefined), ['checkpoint.missing']);
  assert.deepEqual(await open(await checkpointBy(keyFrom('wrong', logKey.name))), ['checkpoint.signature']);
  assert.deepEqual(await open(await checkpointBy(keyFrom('wrong', 'other.example'))), [
    'checkpoint.signature',
  ]);
  assert.deepEqual(await open(edit('\n1000\n', '\n1001\n')), ['checkpoint.signature']);
  assert.deepEqual(await open(edit(/\n/g, '\r\n')), ['checkpoint.malformed']);
  assert.deepEqual(await open(new Uint8Array(2_000_000).fill(0x61)), ['checkpoint.malformed']);
  assert.deepEqual(await open(await checkpointBy(logKey, 'log.example/another')), ['checkpoint.origin']);
  assert.deepEqual(await open(own, { origin: 'log.example/another' }), ['checkpoint.origin']);
});

test('what a key has signed is still read strictly: leading zeros, stray bits, impossible sizes [URS-033]', async () => {
  const root = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';
  for (const [size, hash] of [
    ['01000', root],
    ['9007199254740992', root],
    ['1000', root.replace('2I=', '2J=')],
    ['1000', root.slice(0, -1)],
  ]) {
    const log = await MemoryLog.of(thousand);
    log.files.set('checkpoint', await signNote(`${logKey.name}\n${size}\n${hash}\n`, [logKey.signer]));
    assert.deepEqual(brief(await verify(log)), ['checkpoint.malformed']);
  }
});

test('an empty log has the root of no entries and no other [URS-033]', async () => {
  const log = await MemoryLog.of([]);
  const text = formatCheckpoint({ origin: logKey.name, size: 0, root: EMPTY_ROOT.map((byte) => byte ^ 1) });
  log.files.set('checkpoint', await signNote(text, [logKey.signer]));
  assert.deepEqual(brief(await verify(log)), ['checkpoint.root']);
});

test('a log of another origin verifies when that origin is asked for [URS-033]', async () => {
  const log = await MemoryLog.of(thousand);
  await log.sign(logKey, 'log.example/another');
  assert.equal((await verify(log, { origin: 'log.example/another' })).verdict, 'consistent');
});

test('a log that has grown since its checkpoint verifies from its full tiles [URS-033]', async () => {
  const log = await MemoryLog.of(entriesUpTo(1024));
  const older = await MemoryLog.of(thousand);
  for (const path of ['checkpoint', 'tile/1/000.p/3']) log.files.set(path, older.file(path));
  const grown = await verify(log);
  assert.deepEqual([grown.verdict, grown.entriesChecked], ['consistent', 1000]);
  assert.deepEqual(
    grown.findings.map(({ code, severity }) => `${code} ${severity}`),
    Array.from({ length: 3 }, () => 'log.extra_file warning'), // the two full files at the end, and tile/1/000.p/4,
  );
});

test('files that the checkpoint does not cover are named; older partial tiles may stay [URS-033]', async () => {
  const log = await MemoryLog.of(thousand);
  const extra = [
    'tile/0/004',
    'tile/2/000.p/1',
    'tile/entries/003.p/233',
    'notes.txt',
    'tile/0/3',
    'tile/1/000',
  ];
  for (const path of [...extra, 'tile/0/003.p/7', 'tile/entries/000.p/9']) log.files.set(path, foreign);
  const result = await verify(log);
  assert.deepEqual(
    brief(result),
    extra.map((path) => `log.extra_file ${path}`),
  );
  assert.equal(result.verdict, 'consistent');
});

test('findings are bounded, and their number is not lost [URS-033]', async () => {
  const log = await MemoryLog.of(entriesUpTo(10));
  const paths = Array.from({ length: 1500 }, (_, i) => `stray/${i}`);
  const source = { ...log.source, paths: () => paths };
  const result = await verify(log, { source });
  assert.deepEqual([result.findings.length, result.findingsOmitted], [1000, 500]);
});

test('every finding is a sentence that names its place [URS-033]', async () => {
  const entries = thousand.with(5, foreign).with(6, foreign).with(9, foreign);
  entries.splice(900, 0, foreign);
  const log = await logWithEntries(entries);
  log.files.delete('tile/0/001');
  log.files.set('strange\u001b[31m', foreign);
  const { findings } = await verify(log, { kept: new Uint8Array(0) });
  assert.deepEqual(
    findings.map(({ sentence }) => sentence.split(':')[0]),
    [
      'Entries 5 to 6',
      'Entry 9',
      'tile/0/001 (entries 256 to 511)',
      'Before entry 900',
      'The kept checkpoint is not one that the given key has signed.',
      '"strange\\u001b[31m"',
    ],
  );
  for (const { sentence } of findings) assert.match(sentence, /^[^\u0000-\u001f]+\.$/);
});

test('an unreadable source is the caller’s error, not a finding [URS-033]', async () => {
  const source = {
    read: () => {
      throw new Error('disk');
    },
  };
  await assert.rejects(verifyLog({ sha256, verifiers: [logKey.verifier], source }), /disk/);
});
