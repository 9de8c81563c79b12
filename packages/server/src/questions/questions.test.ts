import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { answerStatement, comparedMembers, entryKinds, kindOfEntry } from '@trialkeep/contract';
import type { Conditions, Question } from '@trialkeep/contract';
import { makeService, makeTenant, refusal, shareServer } from '../fixture.test.ts';
import type { Entry, TestServer } from '../fixture.test.ts';
import { makeAnswer } from './answer.ts';

const shared = shareServer();
const plaintext = Buffer.from('a value').toString('base64');

/** A tenant with two subjects, and uses of data of both: data keys released, decryptions, refusals. */
async function arrange() {
  const server = await shared();
  const made = await makeTenant(server);
  const { id: study } = await server.admit('studies.create', made.custodian, { protocol: randomUUID() });
  const subjects = [];
  for (const number of ['1001', '1002']) {
    subjects.push((await server.admit('subjects.create', made.custodian, { study, number })).alias);
  }
  const { key, service } = made;
  for (const subject of subjects) {
    for (const name of ['ecg', 'form']) {
      const context = { study, subject, class: name, purpose: 'analysis' };
      server.clock.time += 1000;
      const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext, context });
      const dataKey = await server.admit('keys.generate-data-key', service, { key, context });
      await server.admit('keys.decrypt', service, { key, ciphertext, context });
      await server.admit('keys.decrypt-data-key', service, { key, ciphertext: dataKey.ciphertext, context });
      const wrong = { key, ciphertext, context: { ...context, class: 'other' } };
      await assert.rejects(server.admit('keys.decrypt', service, wrong), refusal('ciphertext.invalid'));
    }
  }
  const [subject = '', other = ''] = subjects;
  return { server, ...made, study, subject, other };
}

/** All pages of an answer, `limit` entries each. */
async function ask(server: TestServer, credential: string, question: Question, limit = 3) {
  const pages = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await server.admit('questions.answer', credential, {
      ...question,
      limit,
      ...(cursor && { cursor }),
    });
    pages.push(page);
    cursor = page.next;
  }
  const [first] = pages;
  assert.ok(first?.counts);
  for (const { asked, bound } of pages) assert.deepEqual([asked, bound], [first.asked, first.bound]);
  return { ...first, counts: first.counts, entries: pages.flatMap(({ entries }) => entries) };
}

/** The same by looking at every entry: the oracle. */
function scan(entries: readonly Entry[], size: number, conditions: Conditions) {
  const { device, kinds = entryKinds, from = 0, to = Infinity } = conditions;
  return entries.slice(0, size).flatMap((entry, index) => {
    const kind = kindOfEntry(entry as unknown as Parameters<typeof kindOfEntry>[0]);
    const isMet =
      comparedMembers.every((name) => conditions[name] === undefined || conditions[name] === entry[name]) &&
      (device === undefined || [entry['actor'], entry['key'], entry['system']].includes(device)) &&
      Number(entry['time']) >= from &&
      Number(entry['time']) < to;
    return isMet && kinds.some((each) => each === kind) ? [{ index, kind }] : [];
  });
}

test('released, observed and denied stand apart, each with requester, purpose and time [URS-038]', async () => {
  const { server, tenant, custodian, subject, key, system } = await arrange();
  const question = {
    subject,
    class: 'ecg',
    kinds: ['key-released' as const, 'decryption-observed' as const],
  };
  const answer = await ask(server, custodian, question, 2);
  assert.deepEqual(answer.counts, {
    'key-released': 2,
    'decryption-observed': 1,
    'decryption-attested': 0,
    'encryption-observed': 1,
    'encryption-attested': 0,
    'use-denied': 0,
    other: 0,
  });
  assert.deepEqual(
    answer.entries.map(({ kind }) => kind),
    ['key-released', 'decryption-observed', 'key-released'],
  );
  for (const { entry } of answer.entries) {
    const said = JSON.parse(entry) as Entry;
    assert.deepEqual(
      [said['purpose'], said['subject'], said['key'], said['system']],
      ['analysis', subject, key, system],
    );
    assert.ok(said['actor'] !== undefined && Number(said['time']) > 0);
  }
  const { bound } = answer;
  assert.deepEqual(bound.checkpoint.split('\n').slice(0, 3), [bound.origin, String(bound.size), bound.root]);
  const asked = (await server.entries(tenant)).filter(({ operation }) => operation === 'questions.answer');
  assert.deepEqual(new Set(asked.map((entry) => entry['subject'])), new Set([subject]));
  assert.deepEqual(answer.statement, answerStatement);
});

test('an answer is what scanning the log gives, whatever is asked together [URS-038] [URS-039]', async () => {
  const { server, tenant, custodian, subject, other, key, system, study } = await arrange();
  const entries = await server.entries(tenant);
  const time = (index: number): number => Number(entries.at(index)?.['time']);
  const questions: Question[] = [
    {},
    { subject },
    { subject: other, class: 'form', outcome: 'refused' },
    { device: key, kinds: ['use-denied', 'key-released'] },
    { device: system, purpose: 'analysis', operation: 'keys.decrypt' },
    { study, key, system, from: time(-8), to: time(-2) },
    { from: time(0), to: time(0) + 1 },
    { actor: randomUUID() },
    { subject: randomBytes(16).toString('hex'), key },
  ];
  for (const question of questions) {
    const { entries: found, counts, bound, asked } = await ask(server, custodian, question, 4);
    const expected = scan(await server.entries(tenant), bound.size, asked.question);
    const text = JSON.stringify(question);
    assert.deepEqual(
      found.map(({ index, kind }) => ({ index, kind })),
      expected,
      text,
    );
    const { kinds: _kinds, ...others } = asked.question;
    const counted = scan(await server.entries(tenant), bound.size, others);
    for (const kind of entryKinds)
      assert.equal(counts[kind], counted.filter((one) => one.kind === kind).length, text);
    const all = await server.entries(tenant);
    assert.deepEqual(
      found.map(({ entry }) => JSON.parse(entry) as Entry),
      expected.map(({ index }) => all[index]),
    );
  }
});

test('the document of an answer is the same bytes for the same question, time and size [URS-038]', async () => {
  const { server, tenant, custodian, subject } = await arrange();
  const { bound, entries } = await ask(server, custodian, { subject });
  const log = server.instance.ledger.logOfTenant(tenant) ?? assert.fail();
  const asked = { question: { subject, period: 'this-year' as const }, at: server.clock.time };
  const make = (size?: number) => makeAnswer(server.instance, log, asked, size);
  const first = await make(bound.size);
  await ask(server, custodian, {});
  assert.deepEqual(await make(bound.size), first);
  const document = JSON.parse(Buffer.from(first).toString()) as {
    bound: unknown;
    entries: { index: number }[];
    asked: { question: Conditions };
  };
  assert.deepEqual(document.bound, bound);
  assert.deepEqual(
    document.entries.map(({ index }) => index),
    entries.map(({ index }) => index),
  );
  assert.equal(document.asked.question.from, Date.UTC(new Date(asked.at).getUTCFullYear(), 0, 1));
  assert.notDeepEqual(await make(), first);
  await assert.rejects(make(bound.size + 100_000), refusal('checkpoint.unknown'));
});

test('cursors of other questions, sizes that are none and times that contain nothing are refused [URS-039]', async () => {
  const { server, custodian, subject, other } = await arrange();
  const admit = (input: object) => server.admit('questions.answer', custodian, input);
  const { next } = await admit({ subject, limit: 1 });
  assert.ok(next);
  const invalid = refusal('request.invalid');
  await assert.rejects(admit({ subject: other, cursor: next }), invalid);
  await assert.rejects(admit({ subject, class: 'ecg', cursor: next }), invalid);
  await assert.rejects(server.admit('ledger.query', custodian, { cursor: next }), invalid);
  const altered = next.replace(/^[0-9a-z]+/, 'zzzzzzzzzzz');
  for (const cursor of ['x', altered, `0-${next}`, next.toUpperCase()]) {
    await assert.rejects(admit({ subject, cursor }), invalid, cursor);
  }
  for (const limit of [0, 1001]) await assert.rejects(admit({ limit }), invalid);
  await assert.rejects(admit({ kinds: ['key-released', 'key-released'] }), invalid);
  await assert.rejects(admit({ size: 10_000_000 }), refusal('checkpoint.unknown'));
  const times = refusal('question.times');
  await assert.rejects(admit({ from: 2, to: 1 }), times);
  await assert.rejects(admit({ from: 1, to: 1 }), times);
  await assert.rejects(admit({ period: 'today', from: 1 }), times);
  await assert.rejects(server.admit('ledger.query', custodian, { from: 2, to: 1 }), times);
  assert.deepEqual((await admit({ subject: randomBytes(16).toString('hex') })).entries, []);
});

test('a saved question is asked by its id, at the time of asking; its owner or who manages people removes it [URS-039]', async () => {
  const { server, tenant, custodian, subject, system, key } = await arrange();
  const issue = async (name: string) =>
    (await server.admit('credentials.issue', custodian, { name, role: 'auditor' })).secret;
  const [one, two] = [await issue('one'), await issue('two')];
  const question = { subject, period: 'today' as const };
  const saved = await server.admit('questions.save', one, { name: 'Today', question });
  assert.deepEqual(saved.question, question);
  assert.deepEqual(await server.admit('questions.show', two, { saved: saved.id }), saved);
  assert.deepEqual((await server.admit('questions.list', two, {})).questions, [saved]);
  const answer = await server.admit('questions.answer', two, { saved: saved.id });
  const { at, period, question: asked } = answer.asked;
  assert.deepEqual([answer.asked.saved, period], [saved.id, 'today']);
  assert.deepEqual([asked.from, asked.to], [at - (at % 86_400_000), at - (at % 86_400_000) + 86_400_000]);
  const invalid = refusal('request.invalid');
  await assert.rejects(server.admit('questions.answer', two, { saved: saved.id, subject }), invalid);
  await assert.rejects(
    server.admit('questions.save', two, { name: 'Today', question: {} }),
    refusal('question.exists'),
  );
  await assert.rejects(
    server.admit('questions.save', two, { name: 'No time', question: { from: 2, to: 2 } }),
    refusal('question.times'),
  );
  await assert.rejects(
    server.admit('questions.remove', two, { saved: saved.id }),
    refusal('question.foreign'),
  );
  const service = await makeService(server, custodian, system, [key]);
  await assert.rejects(server.admit('questions.list', service, {}), refusal('access.denied'));
  await server.admit('questions.remove', custodian, { saved: saved.id });
  const unknown = refusal('question.unknown');
  await assert.rejects(server.admit('questions.remove', one, { saved: saved.id }), unknown);
  await assert.rejects(server.admit('questions.show', one, { saved: saved.id }), unknown);
  await assert.rejects(server.admit('questions.answer', one, { saved: saved.id }), unknown);
  const changes = (await server.entries(tenant)).filter(({ operation }) =>
    /^questions\.(save|remove)$/.test(String(operation)),
  );
  assert.deepEqual(
    changes.map(({ outcome }) => outcome),
    ['success', 'refused', 'refused', 'refused', 'success', 'refused'],
  );
});
