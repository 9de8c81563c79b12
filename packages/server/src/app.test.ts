import assert from 'node:assert/strict';
import test from 'node:test';
import { keyAlgorithms, operations } from '@trialkeep/contract';
import { generateKey } from '@trialkeep/crypto';
import { keyImplementations } from './keys/index.ts';
import type { Hierarchy } from './keys/index.ts';

test('every algorithm that the contract offers exists in the registry of the crypto package [URS-002]', () => {
  for (const algorithm of keyAlgorithms) assert.equal(generateKey(algorithm).type, 'secret');
});

test('every key operation of the contract is bound to a behaviour [URS-002]', () => {
  const parts = { hierarchy: {} as Hierarchy, naming: () => assert.fail(), keysOf: () => assert.fail() };
  const bound = Object.keys(keyImplementations(parts)).sort();
  assert.deepEqual(
    bound,
    Object.keys(operations)
      .filter((id) => id.startsWith('keys.'))
      .sort(),
  );
});
