import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { errors } from '@trialkeep/contract';
import { TrialkeepError } from '../errors.ts';
import { awaitApproval, checkedDocument } from './approval.ts';
import type { Approval } from './approval.ts';
import type { Caller } from './client.ts';

const id = '00000000-0000-4000-8000-00000000000a';
const requester = '00000000-0000-4000-8000-00000000000b';
const document = JSON.stringify({
  approval: id,
  input: { key: '00000000-0000-4000-8000-00000000000c', reason: 'the study is over' },
  operation: 'keys.schedule-destruction',
  origin: 'example.org/ledger/test',
  requestedAt: 1_700_000_000_000,
  requester,
  v: 1,
});

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function approvalOf(more: Partial<Approval> = {}): Approval {
  return {
    id,
    operation: 'keys.schedule-destruction',
    hash: hashOf(document),
    requester,
    state: 'pending',
    needed: 2,
    votes: [],
    requestedAt: 1_700_000_000_000,
    expiresAt: 1_700_600_000_000,
    failure: null,
    ...more,
  };
}

/** A client to which each look at the request gives the next of these. */
function answering(answers: (Approval['state'] | Error)[]): Caller & { looks: number } {
  const caller = {
    looks: 0,
    call: async () => {
      const answer = answers[caller.looks++] ?? assert.fail('it looked too often');
      if (answer instanceof Error) throw answer;
      return { approval: approvalOf({ state: answer }), document };
    },
  };
  return caller as unknown as Caller & { looks: number };
}

test('waiting ends with whatever ends the request, and only then [URS-010]', async () => {
  for (const state of ['executed', 'denied', 'cancelled', 'expired', 'failed'] as const) {
    const busy = new TrialkeepError('server.busy', errors['server.busy'], { retryAfterMs: 1 });
    const client = answering(['pending', busy, 'approved', state]);
    const settled = await awaitApproval(client, id, { pollMs: 1 });
    assert.deepEqual([settled.state, client.looks], [state, 4]);
  }
});

test('waiting ends with a fault, and with the reason of its signal', async () => {
  const unknown = new TrialkeepError('approval.unknown', errors['approval.unknown']);
  await assert.rejects(awaitApproval(answering([unknown]), id), unknown);
  const reason = new Error('enough');
  const controller = new AbortController();
  const waiting = awaitApproval(answering(['pending']), id, { pollMs: 60_000, signal: controller.signal });
  setTimeout(() => controller.abort(reason), 5);
  await assert.rejects(waiting, reason);
});

test('a document is shown only if it is the one whose hash is approved [URS-010] [URS-031]', async () => {
  const shown = await checkedDocument({ approval: approvalOf(), document });
  assert.deepEqual(shown, JSON.parse(document));

  const other = document.replace('study', 'trial');
  const spaced = document.replace('{', '{ ');
  const twice = document.replace('"v":1', '"v":1,"v":1');
  const more = document.replace('"v":1', '"v":1,"w":1');
  const newer = document.replace('"v":1', '"v":2');
  const deep = document.replace('"the study is over"', '['.repeat(100_000) + ']'.repeat(100_000));
  const altered: [string, Partial<Approval>][] = [
    [other, {}],
    [spaced, { hash: hashOf(spaced) }],
    [twice, { hash: hashOf(twice) }],
    [more, { hash: hashOf(more) }],
    [newer, { hash: hashOf(newer) }],
    [deep, { hash: hashOf(deep) }],
    ['nonsense', { hash: hashOf('nonsense') }],
    ['null', { hash: hashOf('null') }],
    [document, { id: requester }],
    [document, { operation: 'keys.suspend' }],
    [document, { requester: id }],
    [document, { requestedAt: 1 }],
  ];
  for (const [text, said] of altered) {
    await assert.rejects(
      checkedDocument({ approval: approvalOf(said), document: text }),
      (error: unknown) => error instanceof TrialkeepError && error.code === 'client.document_altered',
      `${text.slice(0, 100)} ${JSON.stringify(said)}`,
    );
  }
});
