import assert from 'node:assert/strict';
import test from 'node:test';
import { entriesUpTo, entryOf, keyFrom, logKey, MemoryLog, sha256, type Key } from './fixture.test.ts';
import {
  bundlePath,
  EMPTY_ROOT,
  formatCheckpoint,
  signNote,
  verifyLog,
  type VerifyOptions,
} from './index.ts';
import { brief, foreign, logWithEntries, thousand, verify } from './verify.fixture.test.ts';

/** Three levels of tiles, full and partial. */
const large = await MemoryLog.of(entriesUpTo(66_000));

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

test("the key of another log does not stand in for the log's, whatever origin is asked for [URS-033]", async () => {
  const log = await MemoryLog.of(thousand);
  await log.sign(logKey, 'log.example/another');
  const asked = { origin: 'log.example/another' };
  assert.deepEqual(brief(await verify(log, asked)), ['checkpoint.origin']);
  const another = keyFrom('another', 'log.example/another');
  const both = [logKey.verifier, another.verifier];
  assert.deepEqual(brief(await verify(log, { ...asked, verifiers: both })), ['checkpoint.origin']);
  await log.sign(another);
  assert.equal((await verify(log, { ...asked, verifiers: both })).verdict, 'consistent');
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
