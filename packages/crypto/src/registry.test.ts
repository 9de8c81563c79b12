import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withCode } from './fixture.test.ts';
import { generateKey, keyAlgorithms, keyPurposes, type KeyAlgorithm } from './index.ts';
import {
  compactSuites,
  messageSuites,
  passwordHashes,
  requireSuite,
  wrapSuites,
  hpkeSuites,
  escrowProfiles,
  rsaOaepHashes,
} from './registry.ts';

test('a key of each algorithm, fresh each time', () => {
  for (const algorithm of Object.keys(keyAlgorithms) as KeyAlgorithm[]) {
    const [a, b] = [generateKey(algorithm), generateKey(algorithm)];
    assert.ok(!a.equals(b));
    assert.equal(a.type, ['ED25519', 'ML_DSA_44'].includes(algorithm) ? 'private' : 'secret');
    if (a.type === 'secret') assert.equal(a.symmetricKeySize, 32);
  }
});

test('what is not in the registry does not exist [URS-045]', () => {
  for (const name of ['AES_128', 'RSA_1024', 'constructor', '__proto__', 'toString', '']) {
    assert.throws(() => generateKey(name as KeyAlgorithm), withCode('crypto.algorithm_unknown'));
  }
  for (const suites of [compactSuites, wrapSuites, messageSuites]) {
    for (const suite of [0, 2, 0x0378, 0x0178, 0x0014, 0xffff]) {
      assert.throws(() => requireSuite(suites, suite, 4), withCode('crypto.suite_unknown'));
    }
  }
});

test('the registry cannot be changed, and inherits nothing', () => {
  for (const table of [
    keyAlgorithms,
    keyPurposes,
    passwordHashes,
    compactSuites,
    wrapSuites,
    messageSuites,
    hpkeSuites,
    escrowProfiles,
    rsaOaepHashes,
  ]) {
    assert.ok(Object.isFrozen(table));
    assert.equal(Object.getPrototypeOf(table), null);
  }
});

test('an error for a suite names it', () => {
  assert.throws(() => requireSuite(messageSuites, 0x0378, 4), /\(0x0378\)/);
});

test('no two secret types and no two purposes share a byte', () => {
  const types = Object.values(keyAlgorithms).map(({ secretType }) => secretType);
  const purposes = Object.values(keyPurposes).map(({ byte }) => byte);
  for (const numbers of [types, purposes]) assert.equal(new Set<number>(numbers).size, numbers.length);
});
