import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { create, makeFolder, open, refusal } from './fixture.test.ts';

test('of several installations made in one place at once there is one, and the others are refused', async (t) => {
  const folder = makeFolder(t);
  const data = join(folder, 'data');
  const results = await Promise.allSettled([create(data), create(data), create(data)]);
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const result of results) {
    if (result.status === 'rejected')
      assert.ok(refusal('data.not_empty')(result.reason), String(result.reason));
  }
  assert.deepEqual(readdirSync(folder), ['data']);
  const instance = await open(data);
  assert.deepEqual(instance.recovery, []);
  await instance.close();
});

test('an installation is not made over a file', async (t) => {
  const folder = makeFolder(t);
  const data = join(folder, 'data');
  writeFileSync(data, 'something');
  await assert.rejects(create(data), refusal('data.not_empty'));
  assert.equal(readFileSync(data, 'utf8'), 'something');
  assert.deepEqual(readdirSync(folder), ['data']);
});
