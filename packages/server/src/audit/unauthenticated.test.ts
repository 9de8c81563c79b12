import assert from 'node:assert/strict';
import test from 'node:test';
import { UnauthenticatedCounter } from './unauthenticated.ts';

function makeCounter() {
  const clock = { time: 60_000, now: () => clock.time };
  return { clock, counter: new UnauthenticatedCounter(clock) };
}

test('refusals of unknown callers are one entry for each source and minute [URS-019] [URS-032]', () => {
  const { clock, counter } = makeCounter();
  for (let i = 0; i < 500; i++) counter.count('10.0.0.1', i % 2 === 0 ? 'keys.list' : 'keys.show');
  counter.count('10.0.0.2', 'keys.list');
  assert.deepEqual(counter.take(false), [], 'the minute is not over');
  clock.time = 120_000;
  const taken = counter.take(false);
  assert.deepEqual(
    taken.map(({ source, count, operations }) => [source, count, [...operations].sort()]),
    [
      ['10.0.0.1', 500, ['keys.list', 'keys.show']],
      ['10.0.0.2', 1, ['keys.list']],
    ],
  );
  assert.deepEqual(counter.take(true), []);
});

test('however many sources there are, what is kept of them is bounded [URS-032]', () => {
  const { counter } = makeCounter();
  for (let i = 0; i < 50_000; i++) counter.count(`source ${i}`, 'keys.list');
  const taken = counter.take(true);
  assert.equal(taken.length, 1001);
  assert.equal(
    taken.reduce((sum, { count }) => sum + count, 0),
    50_000,
  );
  assert.equal(taken.at(-1)?.source, 'others');
});

test('a hundred thousand refusals are bounded in what is kept and what is written, whoever they come from [URS-019] [URS-032]', () => {
  const { clock, counter } = makeCounter();
  const operations = ['keys.list', 'keys.show', 'request.unknown', 'ledger.query'];
  let entries = 0;
  for (let i = 0; i < 100_000; i++) {
    counter.count(`source ${i % 30_000}`, operations[i % operations.length] ?? '');
    // Ten thousand a minute, recorded as the server does it.
    if (i % 10_000 !== 9999) continue;
    clock.time += 60_000;
    const taken = counter.take(false);
    assert.ok(taken.length <= 1001, String(taken.length));
    assert.ok(taken.every((minute) => minute.operations.size <= operations.length));
    entries += taken.length;
  }
  assert.ok(entries <= 10 * 1001);
  assert.deepEqual(counter.take(true), []);
});

test('a revoked credential gets 120 entries a minute, and is counted beyond that [URS-032]', () => {
  const { clock, counter } = makeCounter();
  const refused = { log: 7, actor: 'credential', code: 'auth.revoked', source: '10.0.0.1' } as const;
  const admitted = Array.from({ length: 160 }, () => counter.admit(refused, 'keys.encrypt'));
  assert.equal(admitted.filter(Boolean).length, 120);
  const [counted] = counter.take(true);
  assert.deepEqual([counted?.log, counted?.actor, counted?.count], [7, 'credential', 40]);
  clock.time += 60_000;
  assert.equal(counter.admit(refused, 'keys.encrypt'), true);
});

test('a signed request that is out of its time gets no entry of its own, and hides no other refusal [URS-032]', () => {
  const { counter } = makeCounter();
  const replayed = {
    log: 7,
    actor: 'credential',
    code: 'auth.signature_expired',
    source: '10.0.0.1',
  } as const;
  for (let i = 0; i < 500; i++) assert.equal(counter.admit(replayed, 'keys.encrypt'), false);
  const revoked = { ...replayed, code: 'auth.revoked' } as const;
  const admitted = Array.from({ length: 130 }, () => counter.admit(revoked, 'keys.encrypt'));
  assert.equal(admitted.filter(Boolean).length, 120);
  assert.deepEqual(
    counter.take(true).map(({ actor, code, count }) => [actor, code, count]),
    [
      ['credential', 'auth.signature_expired', 500],
      ['credential', 'auth.revoked', 10],
    ],
  );
});
