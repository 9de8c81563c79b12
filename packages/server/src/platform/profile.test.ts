import assert from 'node:assert/strict';
import { getFips } from 'node:crypto';
import test from 'node:test';
import { profileRefusals } from './profile.ts';

test('the regulated profile names everything that it refuses [URS-085]', () => {
  const refusals = profileRefusals('regulated', {
    rootOfTrust: 'passphrase',
    transport: 'http',
    approvers: 1,
  });
  const expected = [/passphrase/, /plain HTTP/, /one person/, ...(getFips() === 1 ? [] : [/module/])];
  assert.equal(refusals.length, expected.length);
  for (const [i, pattern] of expected.entries()) assert.match(refusals[i] ?? '', pattern);
});

test('the evaluation profile refuses nothing of it [URS-085]', () => {
  assert.deepEqual(
    profileRefusals('evaluation', { rootOfTrust: 'passphrase', transport: 'http', approvers: 1 }),
    [],
  );
});
