import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  cosignatureTime,
  formatAddEntries,
  openNote,
  parseCheckpoint,
  parseMirrorInfo,
  parseSignatures,
  verifierOf,
  verifyLog,
  type VerifyResult,
} from '@trialkeep/ledger';
import fc from 'fast-check';
import { signaturePrimitives } from '../keys.ts';
import { TestLog } from '../log.fixture.ts';
import { originHash, sha256 } from '../primitives.ts';
import { get, post, running, start, type Answer } from '../process.fixture.ts';
import { State } from '../state.ts';
import { stateFile } from '../serve.ts';
import { defaultTokenFile } from './tokens.ts';

const verifiersOf = (keys: readonly string[]) =>
  keys.map((key) => verifierOf(sha256, signaturePrimitives, key));
const infoOf = ({ text }: Answer) => parseMirrorInfo(Buffer.from(text));
const tokenOf = (folder: string): Record<string, string> => ({
  authorization: `Bearer ${readFileSync(defaultTokenFile(folder), 'utf8').trim()}`,
});

/** Verifies the copy of a log from the mirror's own folder. */
async function verifyCopy(folder: string, log: TestLog): Promise<VerifyResult> {
  const copy = join(folder, 'logs', originHash(log.origin));
  const read = async (path: string): Promise<Uint8Array | undefined> =>
    readFile(join(copy, path)).catch(() => undefined);
  return verifyLog({
    sha256,
    verifiers: verifiersOf(log.verifierKeys),
    source: { read },
    origin: log.origin,
  });
}

async function assertWhole(folder: string, log: TestLog, size: number): Promise<void> {
  const { verdict, findings, entriesChecked } = await verifyCopy(folder, log);
  assert.deepEqual(findings, []);
  assert.deepEqual([verdict, entriesChecked], ['consistent', size]);
}

test('a whole log is copied, cosigned once it is stored, and served to whoever has a token [URS-034] [URS-039]', async (t) => {
  const log = new TestLog().appendMany(700);
  const { url, folder, made } = await running(t, 'mirror', [log]);
  const pending = await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  assert.deepEqual([pending.status, pending.text], [200, ''], 'no signature for entries that are not there');
  const path = originHash(log.origin);
  const token = tokenOf(folder);
  assert.equal((await get(url, `${path}/checkpoint`, token)).status, 404);

  const { status, text, headers } = await post(url, 'add-entries', await log.addEntries(0));
  assert.equal(status, 200);
  assert.match(headers.get('accept-encoding') ?? '', /gzip/);
  const note = Buffer.concat([await log.checkpoint(), Buffer.from(text)]);
  assert.equal((await openNote(note, verifiersOf(made.verifierKeys))).signedBy.length, 2);

  assert.equal((await get(url, `${path}/checkpoint`)).status, 401);
  const wrong = { authorization: `Bearer ${'A'.repeat(43)}` };
  assert.equal((await get(url, `${path}/tile/entries/000`, wrong)).status, 401);
  const served = await get(url, `${path}/checkpoint`, token);
  assert.equal(served.status, 200);
  const keys = [...log.verifierKeys, ...made.verifierKeys];
  assert.equal((await openNote(Buffer.from(served.text), verifiersOf(keys))).signedBy.length, 4);
  assert.match(served.headers.get('cache-control') ?? '', /^private/);
  for (const file of ['tile/entries/000', 'tile/entries/002.p/188', 'tile/0/002.p/188', 'tile/1/000.p/2']) {
    const found = await get(url, `${path}/${file}`, token);
    assert.equal(found.status, 200, file);
    assert.match(found.headers.get('cache-control') ?? '', /^private, .*immutable/);
  }
  for (const file of [
    'tile/entries/003',
    'tile/0/2',
    '../../keys.json',
    'tile/entries/000/',
    'state.sqlite',
  ]) {
    assert.equal((await get(url, `${path}/${file}`, token)).status, 404, file);
  }
  await assertWhole(folder, log, 700);
});

test('every answer to an upload that cannot be taken is that of the specification [URS-034]', async (t) => {
  const log = new TestLog().appendMany(300);
  const { url } = await running(t, 'mirror', [log]);
  const upload = async (body: Uint8Array): Promise<Answer> => post(url, 'add-entries', body);
  assert.equal((await upload(Buffer.alloc(0))).status, 400, 'no header');
  assert.equal((await upload(Buffer.from('000361', 'hex'))).status, 400, 'a header cut off');
  const stranger = new TestLog().append(2);
  assert.equal((await upload(await stranger.addEntries(0))).status, 404);
  const whole = await log.addEntries(0);
  assert.equal((await upload(whole)).status, 422, 'no pending checkpoint');
  await post(url, 'add-checkpoint', await log.addCheckpoint(0));

  const notPending = await upload(await log.addEntries(0, 299));
  assert.deepEqual([notPending.status, notPending.type], [409, 'text/x.tlog.mirror-info']);
  assert.deepEqual([infoOf(notPending).size, infoOf(notPending).nextEntry], [300, 0]);
  const ahead = await upload(await log.addEntries(256));
  assert.deepEqual([ahead.status, infoOf(ahead).size, infoOf(ahead).nextEntry], [409, 300, 0]);

  assert.equal((await upload(whole.subarray(0, 5000))).status, 400, 'not one whole package');
  const altered = Buffer.from(whole);
  altered[200] = (altered[200] ?? 0) ^ 1;
  assert.equal((await upload(altered)).status, 422, 'an entry that the log does not hold');
  const empty = await upload(await log.addEntries(0, 300, { packages: 0 }));
  assert.equal(empty.status, 400, 'a header and nothing else');
  assert.equal(
    (await post(url, 'add-entries', whole, { 'content-encoding': 'br' })).status,
    415,
    'an encoding that is not read',
  );
  assert.equal((await upload(whole)).status, 200);
  assert.equal((await upload(await log.addEntries(300))).status, 200, 'nothing left to send');
  log.appendMany(9000);
  await post(url, 'add-checkpoint', await log.addCheckpoint(300));
  const older = await upload(await log.addEntries(0, 300));
  assert.equal(older.status, 200, 'the mirror checkpoint itself');
});

test('an upload in parts goes on where it ended, whatever it is cut into [URS-034]', async (t) => {
  const log = new TestLog().appendMany(1000);
  const { url, folder } = await running(t, 'mirror', [log]);
  await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  const prefix = await post(url, 'add-entries', await log.addEntries(0, 1000, { packages: 2 }));
  assert.deepEqual([prefix.status, prefix.type], [202, 'text/x.tlog.mirror-info']);
  assert.deepEqual([infoOf(prefix).size, infoOf(prefix).nextEntry], [1000, 512]);

  const rest = await log.addEntries(512);
  const cut = await post(url, 'add-entries', rest.subarray(0, rest.length - 3));
  assert.deepEqual([cut.status, infoOf(cut).nextEntry], [202, 768]);
  const { text } = await post(url, 'add-entries', gzipSync(await log.addEntries(768)), {
    'content-encoding': 'gzip',
  });
  assert.equal(parseSignatures(Buffer.from(text)).length, 2);
  await assertWhole(folder, log, 1000);
});

test('any sequence of sizes and cuts leads to the same files [URS-034]', async (t) => {
  const logs: TestLog[] = [];
  const { url, folder } = await running(t, 'mirror', []);
  const { addLog } = await import('../logs.ts');
  const step = fc.record({ grow: fc.integer({ min: 0, max: 600 }), keep: fc.integer({ min: 1, max: 1000 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), async (steps) => {
      const log = new TestLog();
      logs.push(log);
      addLog(folder, log.verifierKeys);
      let [known, next] = [0, 0];
      for (const { grow, keep } of steps) {
        log.appendMany(grow, 40);
        const added = await post(url, 'add-checkpoint', await log.addCheckpoint(known));
        assert.equal(added.status, 200);
        known = log.size;
        const body = await log.addEntries(next);
        const cut = await post(url, 'add-entries', body.subarray(0, Math.ceil((body.length * keep) / 1000)));
        assert.ok([200, 202, 400].includes(cut.status), String(cut.status));
        if (cut.status === 202) next = infoOf(cut).nextEntry;
        if (cut.status === 200) next = known;
      }
      assert.equal((await post(url, 'add-entries', await log.addEntries(next))).status, 200);
      await assertWhole(folder, log, log.size);
    }),
    { numRuns: 12 },
  );
});

test('several uploads of one log at once end with one whole copy [URS-034]', async (t) => {
  const log = new TestLog().appendMany(2000);
  const { url, folder } = await running(t, 'mirror', [log], { behindTlsProxy: true });
  await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  const small = await log.addEntries(0);
  log.appendMany(1000);
  await post(url, 'add-checkpoint', await log.addCheckpoint(2000));
  const bodies = [small, await log.addEntries(0), small, await log.addEntries(0)];
  const answers = await Promise.all(
    bodies.map(async (body, i) => post(url, 'add-entries', body, { 'x-forwarded-for': `192.0.2.${i}` })),
  );
  assert.ok(answers.every(({ status }) => [200, 409].includes(status)));
  assert.ok([answers[1], answers[3]].every((answer) => answer?.status === 200));
  await assertWhole(folder, log, 3000);
});

test('a past pending checkpoint is taken while it is known, and by its ticket afterwards [URS-034]', async (t) => {
  const log = new TestLog().append(70);
  const { url, folder } = await running(t, 'mirror', [log]);
  await post(url, 'add-checkpoint', await log.addCheckpoint(0, 1));
  const begun = await post(url, 'add-entries', await log.addEntries(1, 1));
  assert.equal(begun.status, 409);
  for (const [from, to] of [
    [1, 60],
    [60, 70],
  ] as const) {
    assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(from, to))).status, 200);
  }
  // As after some hundred further checkpoints.
  const database = new DatabaseSync(stateFile(folder));
  database.prepare('delete from checkpoint where size = 1').run();
  database.close();
  const ticket = new Uint8Array(infoOf(begun).ticket);
  const forgotten = await post(url, 'add-entries', await log.addEntries(0, 1));
  assert.deepEqual([forgotten.status, infoOf(forgotten).size], [409, 70]);
  const forged = Buffer.from(ticket);
  forged[40] = (forged[40] ?? 0) ^ 1;
  assert.equal((await post(url, 'add-entries', await log.addEntries(0, 1, { ticket: forged }))).status, 409);
  assert.equal((await post(url, 'add-entries', await log.addEntries(0, 1, { ticket }))).status, 200);
  assert.equal(
    (await post(url, 'add-entries', await log.addEntries(1, 60))).status,
    200,
    'of those that are kept',
  );
  await assertWhole(folder, log, 60);
});

test('a client that stops in the middle, or sends no end of entries again, holds nobody up [URS-034]', async (t) => {
  const log = new TestLog().appendMany(9000, 30);
  const { url, folder } = await running(t, 'mirror', [log]);
  await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  const body = await log.addEntries(0);
  const { hostname, port } = new URL(url);
  const hanging = request({ hostname, port, method: 'POST', path: '/add-entries' });
  hanging.on('error', () => undefined);
  hanging.setHeader('content-type', 'application/octet-stream');
  hanging.write(body.subarray(0, 60_000));
  assert.equal((await post(url, 'add-entries', body)).status, 200);
  hanging.destroy();
  await post(url, 'add-checkpoint', await log.appendMany(1).addCheckpoint(9000));
  const excess = await post(url, 'add-entries', await log.addEntries(0, 9001));
  assert.deepEqual([excess.status, infoOf(excess).nextEntry], [409, 9000], 'too much is there already');
  assert.equal((await post(url, 'add-entries', await log.addEntries(9000))).status, 200);
  await assertWhole(folder, log, 9001);
});

test('a mirror stays on the branch that it has seen first [URS-033] [URS-034]', async (t) => {
  const log = new TestLog().append(300);
  const { url, folder } = await running(t, 'mirror', [log]);
  const fork = log.fork().append(50);
  log.append(50);
  await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  assert.equal((await post(url, 'add-entries', await log.addEntries(0))).status, 200);
  const lie = await fork.append(50).addCheckpoint(350);
  assert.equal((await post(url, 'add-checkpoint', lie)).status, 422);
  assert.equal((await post(url, 'add-entries', await fork.addEntries(350))).status, 409);
  const state = State.open(stateFile(folder), { readOnly: true });
  t.after(() => state.close());
  assert.deepEqual(
    state.conflicts().map(({ kind }) => kind),
    ['unproven'],
  );
  await assertWhole(folder, log, 350);
});

test('the cosignature of the copy never goes back in time, and a restart finds the copy as it was [URS-034]', async (t) => {
  let nowMs = Date.parse('2026-11-22T12:00:00Z');
  const clock = { now: () => nowMs };
  const log = new TestLog().appendMany(600);
  const first = await running(t, 'mirror', [log], { clock });
  await post(first.url, 'add-checkpoint', await log.addCheckpoint(0));
  const before = await post(first.url, 'add-entries', await log.addEntries(0));
  const times = parseSignatures(Buffer.from(before.text)).map(({ signature }) => cosignatureTime(signature));
  await first.close();
  nowMs -= 590_000;
  const second = await start(first.folder, 'mirror', { clock });
  t.after(async () => second.close());
  log.appendMany(100);
  await post(second.url, 'add-checkpoint', await log.addCheckpoint(600));
  const after = await post(second.url, 'add-entries', await log.addEntries(600));
  assert.equal(after.status, 200);
  for (const { signature } of parseSignatures(Buffer.from(after.text)))
    times.push(cosignatureTime(signature));
  assert.equal(new Set(times).size, 1);
  nowMs -= 20_000;
  assert.equal((await post(second.url, 'add-entries', await log.addEntries(700))).status, 503);
  assert.ok(second.logged.some((line) => line.includes('"level":50') && line.includes('ahead of the clock')));
  await assertWhole(first.folder, log, 700);
  const partial = await readdir(join(first.folder, 'logs', originHash(log.origin), 'tile/entries'));
  assert.deepEqual(partial.sort(), ['000', '001', '002.p']);
});

test('a copy whose files were changed is not signed again [URS-033] [URS-034]', async (t) => {
  const { writeFile } = await import('node:fs/promises');
  const log = new TestLog().appendMany(300);
  const { url, folder, logged } = await running(t, 'mirror', [log]);
  await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  assert.equal((await post(url, 'add-entries', await log.addEntries(0))).status, 200);
  const tile = join(folder, 'logs', originHash(log.origin), 'tile/0/001.p/44');
  await writeFile(tile, Buffer.alloc(44 * 32, 1));
  assert.equal((await post(url, 'add-entries', await log.addEntries(300))).status, 500);
  assert.ok(logged.some((line) => line.includes('another root')));
  const { findings } = await verifyCopy(folder, log);
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['tile.altered'],
  );
  const { text } = await get(url, `${originHash(log.origin)}/checkpoint`, tokenOf(folder));
  assert.equal(parseCheckpoint(text.slice(0, text.indexOf('\n\n') + 1)).size, 300);
});

test('a header that names an enormous log costs nothing [URS-034]', async (t) => {
  const log = new TestLog().append(1);
  const { url } = await running(t, 'mirror', [log]);
  await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  const header = formatAddEntries({
    origin: log.origin,
    uploadStart: 0,
    uploadEnd: Number.MAX_SAFE_INTEGER,
    ticket: new Uint8Array(65_535),
  });
  assert.equal((await post(url, 'add-entries', header)).status, 409);
});
