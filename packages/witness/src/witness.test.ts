import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  EMPTY_ROOT,
  cosignatureTime,
  formatAddCheckpoint,
  formatCheckpoint,
  formatSignSubtree,
  openNote,
  parseCheckpoint,
  parseNote,
  parseSignatures,
  signNote,
  subtreeMessage,
  subtreeProof,
  subtreeRoot,
  verifierOf,
  type Verifier,
} from '@trialkeep/ledger';
import { verifyMlDsa44 } from '@trialkeep/crypto';
import { signaturePrimitives } from './keys.ts';
import { TestLog } from './log.fixture.ts';
import { originHash, sha256 } from './primitives.ts';
import { get, makeFolder, post, running } from './process.fixture.ts';
import { conflicts } from './report.ts';
import { State } from './state.ts';

const verifiersOf = (keys: readonly string[]): Verifier[] =>
  keys.map((key) => verifierOf(sha256, signaturePrimitives, key));

/** What `trialkeep witness conflicts` shows. */
interface Shown {
  readonly conflicts: readonly {
    readonly kind: string;
    readonly origin: string;
    readonly proof: readonly string[];
    readonly older: { readonly checkpoint: string; readonly size: number };
    readonly newer: { readonly checkpoint: string; readonly size: number };
  }[];
}
const shownConflicts = (folder: string): Shown['conflicts'] =>
  (conflicts(folder, 'witness') as Shown).conflicts;

test('a checkpoint is cosigned with both keys, and served with all signatures [URS-034]', async (t) => {
  const log = new TestLog().append(3);
  const { url, made } = await running(t, 'witness', [log]);
  const first = await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  assert.equal(first.status, 200);
  const note = Buffer.concat([await log.checkpoint(), Buffer.from(first.text)]);
  const witnesses = verifiersOf(made.verifierKeys);
  assert.equal((await openNote(note, witnesses)).signedBy.length, 2);
  for (const { signature } of parseSignatures(Buffer.from(first.text))) {
    assert.ok(Math.abs(cosignatureTime(signature) - Date.now() / 1000) < 60);
  }

  log.append(300);
  const second = await post(url, 'add-checkpoint', await log.addCheckpoint(3));
  assert.equal(second.status, 200);
  const served = await get(url, `${originHash(log.origin)}/checkpoint`);
  assert.equal(served.status, 200);
  const all = [...verifiersOf(log.verifierKeys), ...witnesses];
  const opened = await openNote(Buffer.from(served.text), all);
  assert.equal(opened.signedBy.length, 4);
  assert.equal(parseCheckpoint(opened.text).size, 303);
  assert.ok(served.text.endsWith(second.text), 'the cosignatures that were returned');
});

test('every refusal has the status code of the specification [URS-034]', async (t) => {
  const log = new TestLog().append(20);
  const { url } = await running(t, 'witness', [log]);
  const add = async (body: Uint8Array | string): Promise<number> =>
    (await post(url, 'add-checkpoint', body)).status;
  const checkpoint = await log.checkpoint(10);

  assert.equal(await add(''), 400, 'no lines');
  assert.equal(await add('old 0\n\nexample'), 400, 'no note');
  assert.equal(await add(`old 01\n\n${Buffer.from(checkpoint).toString()}`), 400, 'leading zero');
  assert.equal(
    await add(`old 0\n${'A'.repeat(44)}\n\n${Buffer.from(checkpoint).toString()}`),
    400,
    'not a hash',
  );
  const stranger = new TestLog().append(5);
  assert.equal(await add(await stranger.addCheckpoint(0)), 404, 'unknown origin');
  const impostor = new TestLog(log.origin).append(5);
  assert.equal(await add(await impostor.addCheckpoint(0)), 403, 'unknown key');
  const altered = Buffer.from(checkpoint).toString().replace('\n10\n', '\n11\n');
  assert.equal(await add(`old 0\n\n${altered}`), 403, 'a known key that did not sign this');
  assert.equal(
    await add(formatAddCheckpoint({ oldSize: 11, proof: [], checkpoint })),
    400,
    'old size is larger',
  );

  const mismatch = await post(url, 'add-checkpoint', await log.addCheckpoint(5, 10));
  assert.deepEqual([mismatch.status, mismatch.type, mismatch.text], [409, 'text/x.tlog.size', '0\n']);
  const needless = { oldSize: 0, proof: [log.root(3)], checkpoint };
  assert.equal(await add(formatAddCheckpoint(needless)), 422, 'a proof from zero');
  const notEmpty = { oldSize: 0, proof: [], checkpoint: await log.checkpoint(0, log.root(3)) };
  assert.equal(await add(formatAddCheckpoint(notEmpty)), 422, 'an empty tree with another root');
  assert.equal((await get(url, `${originHash(log.origin)}/checkpoint`)).status, 404, 'never cosigned');

  assert.equal(await add(await log.addCheckpoint(0, 10)), 200);
  const later = await post(url, 'add-checkpoint', await log.addCheckpoint(0, 20));
  assert.deepEqual([later.status, later.type, later.text], [409, 'text/x.tlog.size', '10\n']);
  const wrongProof = { oldSize: 10, proof: await log.proof(9, 20), checkpoint: await log.checkpoint(20) };
  assert.equal(await add(formatAddCheckpoint(wrongProof)), 422, 'a proof from elsewhere');
  const other = { oldSize: 10, proof: [], checkpoint: await log.checkpoint(10, log.root(9)) };
  assert.equal(await add(formatAddCheckpoint(other)), 422, 'same size, other root');
  assert.equal(await add(await log.addCheckpoint(10, 10)), 200, 'the same again');
  assert.equal((await get(url, 'add-checkpoint')).status, 404);
  assert.equal((await get(url, 'nothing/checkpoint')).status, 404);
});

test('the empty log can be cosigned, and any signature line may stand anywhere [URS-034]', async (t) => {
  const log = new TestLog();
  const { url, made } = await running(t, 'witness', [log]);
  assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(0))).status, 200);
  log.append(7);
  const text = formatCheckpoint({ origin: log.origin, size: 7, root: log.root() });
  const unknown = { name: 'example.org/unknown', keyId: 7, sign: () => Buffer.alloc(64, 1) };
  const { ed25519, mlDsa44 } = log.signers;
  const checkpoint = await signNote(text, [unknown, mlDsa44, unknown, ed25519]);
  const answer = await post(
    url,
    'add-checkpoint',
    formatAddCheckpoint({ oldSize: 0, proof: [], checkpoint }),
  );
  assert.equal(answer.status, 200);
  const { text: note } = await get(url, `${originHash(log.origin)}/checkpoint`);
  const names = parseNote(Buffer.from(note)).signatures.map(({ name }) => name);
  assert.deepEqual(
    names,
    [log.origin, log.origin, made.name, made.name],
    'unknown signatures are not passed on',
  );
});

test('a root that another one of its size contradicts is kept with both signed checkpoints [URS-033] [URS-034]', async (t) => {
  const log = new TestLog().append(10);
  const { url, folder, logged } = await running(t, 'witness', [log]);
  assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(0))).status, 200);
  const fork = log.fork();
  log.append(5);
  fork.append(5);
  assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(10))).status, 200);

  const lie = await fork.addCheckpoint(15);
  assert.equal((await post(url, 'add-checkpoint', lie)).status, 422);
  assert.equal((await post(url, 'add-checkpoint', lie)).status, 422);
  const [found, ...more] = shownConflicts(folder);
  assert.equal(more.length, 0, 'once');
  assert.equal(found?.kind, 'fork');
  for (const { checkpoint } of [found.older, found.newer]) {
    const { text, signedBy } = await openNote(Buffer.from(checkpoint), verifiersOf(log.verifierKeys));
    assert.equal(signedBy.length, 2);
    assert.equal(parseCheckpoint(text).size, 15);
  }
  assert.notEqual(found.older.checkpoint, found.newer.checkpoint);
  assert.ok(logged.some((line) => line.includes('"level":50') && line.includes('it lies')));
  assert.equal(
    (await post(url, 'add-checkpoint', await log.append(1).addCheckpoint(15))).status,
    200,
    'goes on',
  );
});

test('a continuation without a valid proof, and a fork below the latest size, are kept too [URS-034]', async (t) => {
  const log = new TestLog().append(10);
  const { url, folder, logged } = await running(t, 'witness', [log]);
  await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  const fork = log.fork().append(9);
  await post(url, 'add-checkpoint', await log.append(4).addCheckpoint(10));
  await post(url, 'add-checkpoint', await log.append(4).addCheckpoint(14));
  // It claims the older size, so that the answer is 409; the lie is noticed all the same.
  assert.equal((await post(url, 'add-checkpoint', await fork.addCheckpoint(10, 14))).status, 409);
  const unproven = { oldSize: 18, proof: await fork.proof(18, 19), checkpoint: await fork.checkpoint(19) };
  assert.equal((await post(url, 'add-checkpoint', formatAddCheckpoint(unproven))).status, 422);
  const kinds = shownConflicts(folder).map(({ kind, older, newer }) => [kind, older.size, newer.size]);
  assert.deepEqual(kinds, [
    ['fork', 14, 14],
    ['unproven', 18, 19],
  ]);
  const levels = logged.map((line) => JSON.parse(line) as { level: number; newerSize?: number });
  assert.deepEqual(
    levels
      .filter(({ newerSize }) => newerSize !== undefined)
      .map(({ level, newerSize }) => [newerSize, level]),
    [
      [14, 50],
      [19, 40],
    ],
  );
});

test('a wrong proof of an honest log is forgotten once the log has shown a right one [URS-034]', async (t) => {
  const log = new TestLog().append(10);
  const { url, folder } = await running(t, 'witness', [log]);
  await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  const fork = log.fork().append(5);
  log.append(5);
  for (const liar of [log, fork]) {
    const wrong = { oldSize: 10, proof: [log.root(3)], checkpoint: await liar.checkpoint() };
    assert.equal((await post(url, 'add-checkpoint', formatAddCheckpoint(wrong))).status, 422);
  }
  assert.equal(shownConflicts(folder).length, 2);
  assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(10))).status, 200);
  const left = shownConflicts(folder).map(({ newer }) => parseNote(Buffer.from(newer.checkpoint)).text);
  assert.deepEqual(left, [parseNote(await fork.checkpoint()).text]);
});

test('no number of wrong proofs keeps a fork from being kept [URS-033] [URS-034]', (t) => {
  const path = join(makeFolder(t), 'state.sqlite');
  State.create(path);
  const state = State.open(path);
  t.after(() => state.close());
  const older = { size: 1, root: Buffer.alloc(32), note: Buffer.from('older') };
  const conflict = (kind: 'fork' | 'unproven', size: number) => {
    const newer = { size, root: Buffer.alloc(32, 1), note: Buffer.from('newer') };
    return state.keepConflict({ origin: 'example.org/log', kind, older, newer, proof: '' }, 1);
  };
  const kept = Array.from({ length: 210 }, (_, i) => conflict('unproven', i + 2));
  assert.deepEqual([kept.indexOf('no room'), kept.lastIndexOf('kept')], [200, 199]);
  assert.equal(conflict('unproven', 2), 'known');
  assert.deepEqual([conflict('fork', 1), conflict('fork', 1)], ['kept', 'known']);
});

test('a log that shows two witnesses different histories is caught by its own signatures [URS-033] [URS-034]', async (t) => {
  const shown = new TestLog().append(30);
  const one = await running(t, 'witness', [shown], { name: 'example.org/w1' });
  const two = await running(t, 'witness', [shown], { name: 'example.org/w2' });
  for (const { url } of [one, two]) {
    assert.equal((await post(url, 'add-checkpoint', await shown.addCheckpoint(0))).status, 200);
  }
  const hidden = shown.fork().append(12);
  shown.append(12);
  // Each witness by itself sees a log that only grows.
  assert.equal((await post(one.url, 'add-checkpoint', await shown.addCheckpoint(30))).status, 200);
  assert.equal((await post(two.url, 'add-checkpoint', await hidden.addCheckpoint(30))).status, 200);

  // A monitor reads both. Both notes bear the log's signature and one size, and have two roots: nothing but a lie explains that.
  const path = `${originHash(shown.origin)}/checkpoint`;
  const notes = await Promise.all(
    [one, two].map(async ({ url }) => Buffer.from((await get(url, path)).text)),
  );
  const keys = verifiersOf(shown.verifierKeys);
  const [a, b] = await Promise.all(
    notes.map(async (note) => parseCheckpoint((await openNote(note, keys)).text)),
  );
  assert.ok(a !== undefined && b !== undefined);
  assert.deepEqual([a.origin, a.size], [b.origin, b.size]);
  assert.notDeepEqual(a.root, b.root);

  // What one witness cosigned, shown to the other, is refused there and kept as evidence.
  const [first = Buffer.alloc(0)] = notes;
  const body = formatAddCheckpoint({ oldSize: 42, proof: [], checkpoint: first });
  assert.equal((await post(two.url, 'add-checkpoint', body)).status, 422);
  assert.deepEqual(
    shownConflicts(two.folder).map(({ kind, origin }) => [kind, origin]),
    [['fork', shown.origin]],
  );
});

test('the time of cosignatures never goes back for a log, and the clock may [URS-034] [URS-035]', async (t) => {
  let nowMs = Date.parse('2026-11-22T12:00:00Z');
  const log = new TestLog().append(1);
  const { url } = await running(t, 'witness', [log], { clock: { now: () => nowMs } });
  const times: number[] = [];
  for (const change of [0, 5000, -600_000, 1000, 172_800_000]) {
    nowMs += change;
    const { status, text } = await post(
      url,
      'add-checkpoint',
      await log.addCheckpoint(Math.max(0, log.size - 1)),
    );
    assert.equal(status, 200);
    for (const { signature } of parseSignatures(Buffer.from(text))) times.push(cosignatureTime(signature));
    log.append(1);
  }
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
  assert.equal(times.at(-1), Math.floor(nowMs / 1000), 'and goes on once the clock has caught up');
});

test('a clock that was far ahead is said, and nothing is signed until it has caught up [URS-034] [URS-035]', async (t) => {
  let nowMs = Date.parse('2126-11-22T12:00:00Z');
  const log = new TestLog().append(1);
  const { url, logged } = await running(t, 'witness', [log], { clock: { now: () => nowMs } });
  assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(0))).status, 200);
  const body = await log.append(1).addCheckpoint(1);
  nowMs -= 601_000;
  assert.equal((await post(url, 'add-checkpoint', body)).status, 503);
  const line = logged.find((one) => one.includes('ahead of the clock')) ?? '';
  assert.match(line, /"level":50/);
  assert.match(line, /"lastCosignature":"2126-11-22T12:00:00\.000Z"/);
  nowMs += 1000;
  assert.equal((await post(url, 'add-checkpoint', body)).status, 200);
});

test('two submissions of one size at once: one continuation, never two [URS-034]', async (t) => {
  const log = new TestLog().append(4);
  const { url, folder } = await running(t, 'witness', [log]);
  await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  for (let round = 0; round < 8; round++) {
    const from = log.size;
    const branches = [log.fork().append(2), log.append(2)];
    const bodies = await Promise.all(branches.map(async (branch) => branch.addCheckpoint(from)));
    const answers = await Promise.all(bodies.map(async (body) => post(url, 'add-checkpoint', body)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    assert.ok(answers.every(({ status }) => status === 200 || status === 409));
    if (answers[1]?.status !== 200) break;
  }
  assert.ok(shownConflicts(folder).length > 0);
});

test('a subtree of a cosigned checkpoint is signed without a time [URS-034]', async (t) => {
  const log = new TestLog().append(14);
  const { url, made } = await running(t, 'witness', [log]);
  const lines = (await post(url, 'add-checkpoint', await log.addCheckpoint(0))).text;
  const note = Buffer.concat([await log.checkpoint(), Buffer.from(lines)]);
  const subtree = { start: 8, end: 13 };
  const root = await subtreeRoot(sha256, subtree, 14, log.readTile);
  const proof = await subtreeProof(sha256, subtree, 14, log.readTile);
  const sign = async (request: Parameters<typeof formatSignSubtree>[0]) =>
    post(url, 'sign-subtree', formatSignSubtree(request));

  const { status, text } = await sign({ subtree, root, proof, checkpoint: note });
  assert.equal(status, 200);
  const [line, ...more] = parseSignatures(Buffer.from(text));
  assert.ok(line !== undefined && more.length === 0);
  const message = subtreeMessage({ cosigner: made.name, time: 0n, origin: log.origin, ...subtree, root });
  const key = verifierOf(sha256, signaturePrimitives, made.verifierKeys[1] ?? '');
  assert.equal(cosignatureTime(line.signature), 0);
  assert.ok(verifyMlDsa44(key.publicKey, message, line.signature.subarray(8)));

  assert.equal((await sign({ subtree, root, proof, checkpoint: await log.checkpoint() })).status, 403);
  assert.equal((await sign({ subtree, root: EMPTY_ROOT, proof, checkpoint: note })).status, 422);
  const beyond = { subtree: { start: 8, end: 16 }, root, proof, checkpoint: note };
  assert.equal((await sign(beyond)).status, 400);
  const unknown = await new TestLog().append(14).checkpoint();
  assert.equal((await sign({ subtree, root, proof, checkpoint: unknown })).status, 404);
  assert.equal((await post(url, 'sign-subtree', `subtree 9 13\n${'A'.repeat(43)}=\n\nx`)).status, 400);
});
