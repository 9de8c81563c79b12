import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { maxBatchItems } from '@trialkeep/contract';
import type { ItemOutcome } from '@trialkeep/contract';
import { Batches, plaintext, requestId } from './batch.fixture.test.ts';
import { refusal } from './fixture.test.ts';
import { stores } from './installation.fixture.test.ts';
import { OperationError } from './platform/errors.ts';

const [sqlite] = stores;
assert.ok(sqlite);

/** The results, where there is nothing else. */
function results<Result>(outcomes: readonly ItemOutcome<Result>[]): Result[] {
  return outcomes.map((outcome) => {
    if ('error' in outcome) return assert.fail(JSON.stringify(outcome.error));
    return outcome.result;
  });
}

const codeOf = (outcome: ItemOutcome<unknown>): string =>
  'error' in outcome ? outcome.error.code : 'success';

for (const store of stores) {
  test(
    `a thousand items in one request, each with its own outcome and entry, in order, on ${store.name} [URS-002] [URS-032]`,
    {
      skip: store.skip,
    },
    async (t) => {
      const batches = await Batches.arrange(t, store);
      const { key } = batches;
      const encrypted = results(await batches.encrypts(maxBatchItems));
      assert.equal(new Set(encrypted.map(({ ciphertext }) => ciphertext)).size, maxBatchItems);
      const entries = await batches.entries('keys.encrypt');
      const classes = Array.from({ length: maxBatchItems }, (_, i) => `c${i}`);
      assert.deepEqual(
        entries.map((entry) => entry['class']),
        classes,
      );
      assert.ok(entries.every(({ outcome, version }) => outcome === 'success' && version === 1));
      assert.deepEqual(await batches.entries('keys.encrypt-batch'), []);

      const opened = await batches.asks('keys.decrypt-batch', {
        key,
        items: encrypted.map(({ ciphertext }, i) => ({ ciphertext, context: { class: `c${i}` } })),
      });
      assert.ok(results(opened.items).every((result) => result.plaintext === plaintext));
      const decryptions = await batches.entries('keys.decrypt');
      assert.deepEqual(
        decryptions.map((entry) => entry['class']),
        classes,
      );
      // The payload says which item of which request it was.
      const entry = String(decryptions[17]?.['entry']);
      const { payload } = await batches.rules('ledger.payload', { entry });
      const said = payload as Record<'requestId' | 'item' | 'input', unknown>;
      assert.deepEqual(
        [said.requestId, said.item, said.input],
        [requestId, 17, { context: { class: 'c17' } }],
      );
    },
  );
}

test('one bad item among a thousand fails by itself, and says where [URS-002] [URS-032] [URS-047]', async (t) => {
  const batches = await Batches.arrange(t, sqlite);
  const { key } = batches;
  const encrypted = results(await batches.encrypts(maxBatchItems));
  const items = encrypted.map(({ ciphertext }, i) => ({ ciphertext, context: { class: `c${i}` } }));
  items[500] = { ...(items[501] ?? assert.fail()), context: { class: 'c500' } };
  const { items: outcomes } = await batches.asks('keys.decrypt-batch', { key, items });
  const [bad] = outcomes.splice(500, 1);
  assert.equal(results(outcomes).length, maxBatchItems - 1);
  assert.ok(bad && 'error' in bad);
  assert.deepEqual([bad.error.code, bad.error.field], ['ciphertext.invalid', '/items/500/ciphertext']);
  const failed = (await batches.entries('keys.decrypt')).filter(({ outcome }) => outcome !== 'success');
  assert.deepEqual(
    failed.map((entry) => [entry['class'], entry['outcome'], entry['code']]),
    [['c500', 'failed', 'ciphertext.invalid']],
  );
});

test('items fail for reasons of their own, and equal items are items of their own [URS-002] [URS-032]', async (t) => {
  const batches = await Batches.arrange(t, sqlite);
  const { key } = batches;
  const { id: study } = await batches.rules('studies.create', { protocol: 'P-1' });
  const { alias: subject } = await batches.rules('subjects.create', { study, number: '001' });
  const nobody = '0'.repeat(32);
  const good = { plaintext, context: { study, subject } };
  const { items } = await batches.asks('keys.encrypt-batch', {
    key,
    items: [
      good,
      good,
      { plaintext, context: { study, subject: nobody } },
      { plaintext, context: { subject } },
      { plaintext: Buffer.alloc(65_536).toString('base64'), context: { study } },
      { plaintext: '' },
    ],
  });
  assert.deepEqual(items.map(codeOf), [
    'success',
    'success',
    'subject.unknown',
    'context.invalid',
    'request.too_large',
    'success',
  ]);
  const fields = items.map((outcome) => ('error' in outcome ? outcome.error.field : undefined));
  assert.deepEqual(fields.slice(2, 5), [
    '/items/2/context/subject',
    '/items/3/context/subject',
    '/items/4/plaintext',
  ]);
  const entries = await batches.entries('keys.encrypt');
  assert.deepEqual(
    entries.map(({ outcome, code, subject: alias }) => [outcome, code, alias]),
    [
      ['success', undefined, subject],
      ['success', undefined, subject],
      ['refused', 'subject.unknown', nobody],
      ['refused', 'context.invalid', subject],
      ['refused', 'request.too_large', undefined],
      ['success', undefined, undefined],
    ],
  );
  const [one, other] = items;
  assert.notDeepEqual(one, other);
});

test('what is wrong with the whole request refuses it with one entry [URS-019] [URS-032]', async (t) => {
  const batches = await Batches.arrange(t, sqlite);
  const { key } = batches;
  const one = { plaintext };
  const unnamed = (await batches.rules('keys.create', { system: batches.system })).id;
  const wrong: [object, string, string | undefined][] = [
    [{ key, items: [] }, 'request.invalid', '/items'],
    [{ key, items: Array.from({ length: maxBatchItems + 1 }, () => one) }, 'request.invalid', '/items'],
    [{ key, items: one }, 'request.invalid', '/items'],
    [{ key }, 'request.invalid', '/'],
    [{ key, items: [one, { ...one, key }] }, 'request.invalid', '/items/1/key'],
    [{ key, items: [one, {}] }, 'request.invalid', '/items/1'],
    [{ key, items: [{ plaintext: '?' }] }, 'request.invalid', '/items/0/plaintext'],
    [{ key, items: [one], reason: 'all' }, 'request.invalid', '/reason'],
    [{ key: unnamed, items: [one, one] }, 'key.unknown', '/key'],
  ];
  for (const [input, code, field] of wrong) {
    const before = (await batches.entries()).length;
    await assert.rejects(batches.asks('keys.encrypt-batch', input as never), (error) => {
      assert.ok(error instanceof OperationError);
      assert.deepEqual([error.code, error.field], [code, field]);
      return true;
    });
    const [entry, ...others] = (await batches.entries()).slice(before);
    assert.deepEqual([others.length, entry?.['operation'], entry?.['code']], [0, 'keys.encrypt', code]);
  }
  const before = (await batches.entries()).length;
  await assert.rejects(
    batches.rules('keys.encrypt-batch', { key, items: [one, one] }),
    refusal('access.denied'),
  );
  await batches.rules('tenants.seal', { reason: 'test' });
  await assert.rejects(batches.encrypts(3), refusal('tenant.sealed'));
  const codes = (await batches.entries()).slice(before).map((entry) => entry['code']);
  assert.deepEqual(codes, ['access.denied', undefined, 'tenant.sealed']);
});

test('data keys come in batches too, each recorded where its uses are reported [URS-002] [URS-032] [URS-038]', async (t) => {
  const batches = await Batches.arrange(t, sqlite);
  const { system } = batches;
  const { id: key } = await batches.rules('keys.create', { system, useLogged: true });
  const issue = { name: 'logged', role: 'service' as const, system, keys: [key] };
  const { secret } = await batches.rules('credentials.issue', issue);
  const { id: study } = await batches.rules('studies.create', { protocol: 'P-2' });
  const { alias: subject } = await batches.rules('subjects.create', { study, number: '001' });
  const { gate } = batches.node.rooms;
  const from = { authorization: `Bearer ${secret}`, source: '192.0.2.1', requestId };
  const context = { study, subject };
  const input = { key, items: [{ context }, {}, { context }] };
  const made = await gate.admit({ operation: 'keys.generate-data-key-batch', input, ...from });
  assert.deepEqual(made.items.map(codeOf), ['success', 'context.subject_required', 'success']);
  const keys = results(made.items.filter((outcome) => 'result' in outcome));
  assert.notEqual(keys[0]?.plaintext, keys[1]?.plaintext);
  const recorded = (await batches.entries('keys.generate-data-key')).map((entry) => entry['dataKey']);
  const hashes = keys.map(({ ciphertext }) =>
    createHash('sha256').update(Buffer.from(ciphertext, 'base64')).digest('hex'),
  );
  assert.deepEqual(recorded, [hashes[0], undefined, hashes[1]]);
  const wrapped = { key, items: keys.map(({ ciphertext }) => ({ ciphertext, context })) };
  const released = await gate.admit({ operation: 'keys.decrypt-data-key-batch', input: wrapped, ...from });
  assert.deepEqual(
    results(released.items).map((result) => result.plaintext),
    keys.map((result) => result.plaintext),
  );
});

test('what could not be recorded is not released, and the other items are [URS-032]', async (t) => {
  const batches = await Batches.arrange(t, sqlite);
  const { appender } = batches.node.instance.ledger;
  const append = appender.append.bind(appender);
  let asked = 0;
  const failing = new Set([2, 3]);
  const mocked = t.mock.method(appender, 'append', (...given: Parameters<typeof append>) =>
    failing.has(asked++) ? Promise.reject(new OperationError('server.storage_full')) : append(...given),
  );
  assert.deepEqual((await batches.encrypts(5)).map(codeOf), [
    'success',
    'success',
    'server.storage_full',
    'server.storage_full',
    'success',
  ]);
  mocked.mock.mockImplementation(async () => Promise.reject(new OperationError('server.storage_failed')));
  await assert.rejects(batches.encrypts(3), refusal('server.storage_failed'));
  mocked.mock.restore();
  assert.equal((await batches.entries('keys.encrypt')).length, 3);
});
