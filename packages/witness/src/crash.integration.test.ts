/**
 * `kill -9` of a witness and of a mirror at random moments of a request, over and over. TRIALKEEP_WITNESS_KILLS says how often
 * (24 of each unless it is set), TRIALKEEP_CRASH_SEED repeats the choices of an earlier run (the moments depend on the machine as well).
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCheckpoint, parseMirrorInfo, parseNote, verifierOf, verifyLog } from '@trialkeep/ledger';
import { startChild, type Child } from './child.fixture.ts';
import { signaturePrimitives } from './keys.ts';
import { TestLog } from './log.fixture.ts';
import { originHash, sha256 } from './primitives.ts';
import { configure, get, make, makeFolder, post, type Answer } from './process.fixture.ts';
import { stateFile } from './serve.ts';
import { State } from './state.ts';

const kills = Number(process.env['TRIALKEEP_WITNESS_KILLS'] ?? 24);
const seed = Number(process.env['TRIALKEEP_CRASH_SEED'] ?? randomInt(2 ** 31));

/** Numbers that a seed decides (mulberry32), from 0 up to, and without, 1. */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a request was answered; undefined where the process ended before. */
async function attempt(request: Promise<Answer>): Promise<Answer | undefined> {
  return request.catch(() => undefined);
}

/** What is on disk, read as another process reads it. */
function onDisk<T>(folder: string, read: (state: State) => T): T {
  const state = State.open(stateFile(folder));
  try {
    return read(state);
  } finally {
    state.close();
  }
}

test(`a witness that is killed ${kills} times has cosigned nothing that it does not know, and one root for a size [URS-034]`, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const random = randomFrom(seed);
  const folder = makeFolder(t);
  await make(folder, 'witness');
  // Two histories of one log, which both try to be the one.
  const branches = [new TestLog().append(5)];
  branches.push(branches[0]?.fork() ?? new TestLog());
  const [one = new TestLog(), two = new TestLog()] = branches;
  configure(folder, one);
  /** Root by size, of whatever was cosigned. */
  const cosigned = new Map<number, string>();
  let largest = 0;
  let child: Child | undefined;
  t.after(async () => child?.kill());
  let answered = 0;
  for (let round = 0; round < kills; round++) {
    const running = await startChild('witness', folder);
    child = running;
    // Some time after a request is on its way, however fast the machine is.
    let requestsLeft = Math.floor(random() * 12);
    let killing: Promise<void> | undefined;
    const sent = (): void => {
      if (requestsLeft-- === 0) killing = sleep(random() * 25).then(async () => running.kill());
    };
    for (let going = true; going;) {
      const requests = [one, two].map(async (log) => {
        log.append(1);
        const from = await attempt(post(running.url, 'add-checkpoint', await log.addCheckpoint(0)));
        const old = from?.status === 409 ? Number(from.text) : 0;
        const body = await log.addCheckpoint(old);
        sent();
        const answer = await attempt(post(running.url, 'add-checkpoint', body));
        if (answer === undefined) return false;
        if (answer.status !== 200) return true;
        answered += 1;
        const root = Buffer.from(log.root()).toString('hex');
        assert.equal(cosigned.get(log.size) ?? root, root, `two roots at size ${log.size}`);
        cosigned.set(log.size, root);
        largest = Math.max(largest, log.size);
        return true;
      });
      going = (await Promise.all(requests)).every(Boolean);
    }
    await killing;
    onDisk(folder, (state) => {
      const head = state.head(one.origin);
      assert.ok((head?.size ?? 0) >= largest, 'what was cosigned is on disk');
      if (head === undefined) return;
      const { size, root } = parseCheckpoint(parseNote(head.note).text);
      assert.deepEqual([size, Buffer.from(root)], [head.size, Buffer.from(head.root)]);
      const known = cosigned.get(size);
      assert.equal(known ?? Buffer.from(root).toString('hex'), Buffer.from(root).toString('hex'));
    });
  }
  t.diagnostic(`${answered} cosignatures, the largest over ${largest} entries`);
  assert.ok(answered > 0);
});

test(`a mirror that is killed ${kills} times resumes, and has signed only for entries that it has [URS-034]`, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const random = randomFrom(seed + 1);
  const folder = makeFolder(t);
  await make(folder, 'mirror');
  const log = new TestLog();
  configure(folder, log);
  const verifiers = log.verifierKeys.map((key) => verifierOf(sha256, signaturePrimitives, key));
  const copy = join(folder, 'logs', originHash(log.origin));
  let child: Child | undefined;
  t.after(async () => child?.kill());
  let [signed, interrupted] = [0, 0];
  for (let round = 0; round < kills; round++) {
    const before = log.size;
    log.appendMany(1 + Math.floor(random() * 900), 100);
    const running = await startChild('mirror', folder);
    child = running;
    const { url } = running;
    // Some time after one of the requests of a round is on its way; sometimes after the last.
    let requestsLeft = Math.floor(random() * 5);
    let killing: Promise<void> | undefined;
    const send = async (path: string, body: Uint8Array): Promise<Answer | undefined> => {
      if (requestsLeft-- === 0) killing = sleep(random() * 60).then(async () => running.kill());
      return attempt(post(url, path, body));
    };
    const answer = await send('add-checkpoint', await log.addCheckpoint(before));
    if (answer?.status === 409) await send('add-checkpoint', await log.addCheckpoint(Number(answer.text)));
    const asked = await send('add-entries', await log.addEntries(log.size));
    const next = asked?.status === 409 ? parseMirrorInfo(Buffer.from(asked.text)).nextEntry : log.size;
    const done = await send('add-entries', await log.addEntries(next));
    if (done?.status === 200) signed = log.size;
    else interrupted += 1;
    await (killing ?? running.kill());
    const { size, nextEntry } = onDisk(folder, (state) => state.copy(log.origin));
    assert.ok(size >= signed && nextEntry >= size, 'what was signed is on disk');
    // A pending checkpoint that was lost with its answer is added again by the next round.
    const read = async (path: string): Promise<Uint8Array | undefined> =>
      readFile(join(copy, path)).catch(() => undefined);
    if ((await read('checkpoint')) === undefined) continue;
    const { verdict, findings, entriesChecked } = await verifyLog({ sha256, verifiers, source: { read } });
    assert.deepEqual([verdict, findings], ['consistent', []]);
    assert.ok((entriesChecked ?? 0) >= signed);
  }
  t.diagnostic(
    `${interrupted} of ${kills} rounds were interrupted; ${signed} of ${log.size} entries signed for`,
  );
  assert.ok(interrupted > 0);
  child = await startChild('mirror', folder);
  const { url } = child;
  const pending = await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  const from = pending.status === 409 ? Number(pending.text) : log.size;
  assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(from))).status, 200);
  const asked = await post(url, 'add-entries', await log.addEntries(log.size));
  const next = asked.status === 409 ? parseMirrorInfo(Buffer.from(asked.text)).nextEntry : log.size;
  assert.equal((await post(url, 'add-entries', await log.addEntries(next))).status, 200);
  assert.equal(await child.stop(), 0);
  assert.equal((await get(url, '').catch(() => undefined)) === undefined, true, 'it has ended');
});
