import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rest, restMs } from './breath.ts';

test('while many wait for the disk, batches get a quarter of the time, and never none [URS-003]', () => {
  assert.equal(restMs(100, 0), 0);
  assert.equal(restMs(100, 7), 0);
  assert.equal(restMs(100, 8), 300);
  assert.equal(restMs(10_000, 4096), 2000);
});

test('a server that stops keeps nobody waiting for a rest', async () => {
  await rest(3_600_000, AbortSignal.abort());
  await rest(0, new AbortController().signal);
});
