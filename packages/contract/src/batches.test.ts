import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchOperations, maxBatchBodyBytes, maxBatchItems } from './batches.ts';
import { inputPlaces } from './operation.ts';
import type { Operation } from './operation.ts';
import { operations } from './operations.ts';

const all: readonly Operation[] = Object.values(operations);
const batches = all.filter(({ batchOf }) => batchOf !== undefined);

test('a batch is its operation many times: permission, errors and requirements are those of the one [URS-002]', () => {
  assert.deepEqual(batches.map(({ id }) => id).sort(), Object.keys(batchOperations).sort());
  for (const batch of batches) {
    const single = all.find(({ id }) => id === batch.batchOf) ?? assert.fail(batch.id);
    assert.deepEqual(
      [batch.id, batch.path, batch.effect, batch.record],
      [`${single.id}-batch`, `${single.path}/batch`, 'use', 'entry'],
    );
    assert.deepEqual(
      [batch.permission, batch.reason, batch.errors, batch.requirements],
      [single.permission, single.reason, single.errors, single.requirements],
    );
    // No entry has its name, so nothing of an input goes on the record but through the items.
    assert.deepEqual([batch.recorded, batch.maxBodyBytes], [[], maxBatchBodyBytes]);
  }
});

test('the items are the inputs of the one but for the key, which travels in the path [URS-002]', () => {
  for (const batch of batches) {
    const single = all.find(({ id }) => id === batch.batchOf) ?? assert.fail(batch.id);
    assert.deepEqual(inputPlaces(batch), { path: ['key'], query: [], body: ['items'] });
    const { items } = batch.input.properties as unknown as {
      items: { minItems: number; maxItems: number; items: Operation['input'] };
    };
    const { key, ...rest } = single.input.properties;
    assert.deepEqual(batch.input.properties['key'], key);
    assert.deepEqual([items.minItems, items.maxItems], [1, maxBatchItems]);
    assert.deepEqual(items.items.properties, rest);
    const required = (single.input.required ?? []).filter((name) => name !== 'key');
    assert.deepEqual(items.items.required ?? [], required);
  }
});
