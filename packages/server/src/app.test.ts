import assert from 'node:assert/strict';
import test from 'node:test';
import {
  batchOperations,
  dataKeyPairAlgorithms,
  importAlgorithms,
  keyAlgorithms,
  keyPurposes,
  operations,
  signatureAlgorithms,
} from '@trialkeep/contract';
import {
  importableAlgorithms,
  keyAlgorithms as registry,
  signatureAlgorithms as waysToSign,
} from '@trialkeep/crypto';
import { keyImplementations } from './keys/index.ts';

test('the algorithms, purposes and ways to sign that the contract offers are those of the registry [URS-045]', () => {
  const ofSystems = Object.entries(registry).filter(([, { purposes }]) => purposes.length > 0);
  assert.deepEqual(
    ofSystems.map(([name]) => name),
    keyAlgorithms,
  );
  const purposes = new Set<string>(ofSystems.flatMap(([, row]) => [...row.purposes]));
  assert.deepEqual(purposes, new Set<string>(keyPurposes));
  assert.deepEqual(Object.keys(waysToSign), signatureAlgorithms);
  assert.deepEqual(importableAlgorithms, importAlgorithms);
  for (const name of dataKeyPairAlgorithms) assert.ok(Object.hasOwn(registry, name));
});

test('every key operation of the contract is bound to a behaviour [URS-002]', () => {
  // None of it is called.
  const parts = {} as Parameters<typeof keyImplementations>[0];
  const bound = Object.keys(keyImplementations(parts)).sort();
  assert.deepEqual(
    bound,
    Object.keys(operations)
      .filter((id) => /^(?:keys|random)\./.test(id) && !Object.hasOwn(batchOperations, id))
      .filter((id) => !['keys.list', 'keys.export'].includes(id))
      .sort(),
  );
});
