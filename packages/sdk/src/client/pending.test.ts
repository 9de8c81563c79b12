import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { errors, pendingStates } from '@trialkeep/contract';
import type { ErrorCode } from '@trialkeep/contract';
import { createClient } from './client.ts';
import { credential, json, key, rejection, serving } from './fixture.test.ts';
import { pendingOf } from './pending.ts';
import type { Pending } from './pending.ts';

const approval = '00000000-0000-4000-8000-00000000000a';
const hash = 'ab'.repeat(32);

/** An answer as the server gives it. */
function refuse(response: ServerResponse, code: ErrorCode, more: object = {}): void {
  json(response, errors[code].status, { error: { ...errors[code], code, requestId: 'r1', ...more } });
}

const destroy = { key, reason: 'the study is over' };

test('each state that is no fault comes as a value with its next step [URS-010] [URS-029]', async () => {
  const answers: [ErrorCode, object, Pending][] = [
    [
      'approval.needed',
      { approval },
      { state: 'approval-needed', approval, next: errors['approval.needed'].fix },
    ],
    [
      'signature.needed',
      { signature: { meaning: 'approval', hash } },
      { state: 'signature-needed', meaning: 'approval', hash, next: errors['signature.needed'].fix },
    ],
    ['tenant.sealed', {}, { state: 'sealed', next: errors['tenant.sealed'].fix }],
    ['server.in_recovery', {}, { state: 'in-recovery', next: errors['server.in_recovery'].fix }],
    ['server.busy', {}, { state: 'try-again', afterMs: 7000, next: errors['server.busy'].fix }],
  ];
  assert.deepEqual(
    answers.map(([, , { state }]) => state),
    [...pendingStates],
  );
  for (const [code, more, expected] of answers) {
    await serving(
      (response) => refuse(response.setHeader('retry-after', '7'), code, more),
      async (url, seen) => {
        const client = createClient({ url, credential });
        assert.deepEqual(await client.attempt('keys.schedule-destruction', destroy), expected);
        assert.equal(seen.length, 1, 'a change is never sent twice by itself');
        const error = await rejection(client.call('keys.schedule-destruction', destroy));
        assert.deepEqual([error.code, error.state, error.retryAfterMs], [code, expected.state, 7000]);
        assert.deepEqual(pendingOf(error), expected);
      },
    );
  }
});

test('what was done is a value too, and a fault is thrown', async () => {
  await serving(
    (response, _, count) =>
      count === 1 ? json(response, 200, { keys: [] }) : refuse(response, 'access.denied'),
    async (url) => {
      const client = createClient({ url, credential });
      assert.deepEqual(await client.attempt('keys.list', {}), { state: 'done', output: { keys: [] } });
      const error = await rejection(client.attempt('keys.list', {}));
      assert.deepEqual([error.code, error.state, pendingOf(error)], ['access.denied', undefined, undefined]);
    },
  );
  assert.equal(pendingOf(new Error('other')), undefined);
});

test('a state without what one needs to go on is not believed', async () => {
  const answers: [ErrorCode, object][] = [
    ['approval.needed', {}],
    ['approval.needed', { approval: '../tenants' }],
    ['approval.needed', { approval: 7 }],
    ['signature.needed', {}],
    ['signature.needed', { signature: null }],
    ['signature.needed', { signature: { meaning: 'friendship', hash } }],
    ['signature.needed', { signature: { meaning: 'approval', hash: hash.toUpperCase() } }],
  ];
  for (const [code, more] of answers) {
    await serving(
      (response) => refuse(response, code, more),
      async (url) => {
        const error = await rejection(
          createClient({ url, credential }).attempt('keys.schedule-destruction', destroy),
        );
        assert.equal(error.code, 'client.bad_answer', JSON.stringify([code, more]));
      },
    );
  }
  await serving(
    (response) => json(response, 202, { id: key }),
    async (url) => {
      const error = await rejection(
        createClient({ url, credential }).attempt('keys.schedule-destruction', destroy),
      );
      assert.equal(error.code, 'client.bad_answer', 'a kept request is no result');
    },
  );
});

test('when to try again is bounded, and a date in its place is passed over', async () => {
  const headers: [string | undefined, number][] = [
    ['2', 2000],
    ['999999999', 3_600_000],
    ['-1', 1000],
    ['Wed, 21 Oct 2026 07:28:00 GMT', 1000],
    [undefined, 1000],
  ];
  for (const [header, afterMs] of headers) {
    await serving(
      (response) =>
        refuse(header === undefined ? response : response.setHeader('retry-after', header), 'server.busy'),
      async (url) => {
        const attempt = await createClient({ url, credential }).attempt('keys.rotate', { key });
        assert.deepEqual(attempt, { state: 'try-again', afterMs, next: errors['server.busy'].fix });
      },
    );
  }
});
