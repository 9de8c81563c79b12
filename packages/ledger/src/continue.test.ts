import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { entriesUpTo, MemoryLog, sha256 } from './fixture.test.ts';
import {
  bundlePath,
  entriesSince,
  LedgerError,
  leafHash,
  parseCheckpoint,
  parseNote,
  progressAtStart,
  tilePath,
  Tree,
  type Checkpoint,
  type Progress,
} from './index.ts';

const all = entriesUpTo(1000);
const rootOf = (size: number): Uint8Array =>
  Tree.empty(sha256)
    .append(all.slice(0, size).map((entry) => leafHash(sha256, entry)))
    .tree.root();
const progressAt = (size: number): Progress => ({ size, root: rootOf(size) });
const checkpointOf = async (log: MemoryLog): Promise<Checkpoint> =>
  parseCheckpoint(parseNote((await log.source.read('checkpoint', 10_000)) ?? assert.fail()).text);

/** What a reader gets that had come so far. */
async function read(log: MemoryLog, since: Progress): Promise<{ entries: Uint8Array[]; progress: Progress }> {
  const entries: Uint8Array[] = [];
  let progress = since;
  for await (const part of entriesSince(await checkpointOf(log), { sha256, source: log.source }, since)) {
    assert.equal(part.first, since.size + entries.length);
    entries.push(...part.entries);
    progress = part.progress;
  }
  return { entries, progress };
}

const withCode = (code: string) => (error: unknown) => error instanceof LedgerError && error.code === code;

test('a reader gets what it has not had, wherever it stopped [URS-039]', async () => {
  const logs = new Map<number, Promise<MemoryLog>>();
  const size = fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.constantFrom(0, 1, 255, 256, 257, 512, 1000));
  await fc.assert(
    fc.asyncProperty(size, size, async (one, other) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)];
      const log = logs.get(to) ?? MemoryLog.of(all.slice(0, to));
      logs.set(to, log);
      const { entries, progress } = await read(
        await log,
        from === 0 ? progressAtStart(sha256) : progressAt(from),
      );
      assert.deepEqual(entries, all.slice(from, to));
      assert.deepEqual(progress, progressAt(to));
    }),
    { numRuns: 60 },
  );
});

test('a log that does not go on from where it was read is forked [URS-033]', async () => {
  const log = await MemoryLog.of(all.slice(0, 600));
  const other = { size: 300, root: rootOf(301) };
  await assert.rejects(read(log, other), withCode('ledger.continuation_forked'));
  await assert.rejects(read(log, progressAt(601)), withCode('ledger.continuation_forked'));
  await assert.rejects(read(log, { size: 600, root: rootOf(599) }), withCode('ledger.continuation_forked'));
});

test('altered, missing and cut bundles and tiles stop the reader before what they hold [URS-033]', async () => {
  const spoil: ((log: MemoryLog) => void)[] = [
    (log) => log.putBundles([...all.slice(0, 700), all[0] ?? assert.fail(), ...all.slice(701)], 1000),
    (log) => void log.files.delete(bundlePath(2, 256)),
    (log) =>
      void log.files.set(
        bundlePath(2, 256),
        log.files.get(bundlePath(2, 256))?.slice(0, -1) ?? all[0] ?? assert.fail(),
      ),
  ];
  for (const each of spoil) {
    const log = await MemoryLog.of(all);
    each(log);
    const had: number[] = [];
    const reading = async (): Promise<void> => {
      const files = { sha256, source: log.source };
      for await (const { first } of entriesSince(await checkpointOf(log), files, progressAt(10)))
        had.push(first);
    };
    await assert.rejects(reading(), withCode('ledger.continuation_unproven'));
    assert.deepEqual(had, [10, 256]);
  }
  const log = await MemoryLog.of(all);
  log.files.set(tilePath({ level: 0, index: 3, width: 232 }), new Uint8Array(232 * 32));
  assert.equal((await read(log, progressAt(0))).entries.length, 1000, 'entries stand in for their tile');
});
