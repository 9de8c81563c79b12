import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withCode } from './fixture.test.ts';
import {
  generateKey,
  generateKeyMaterial,
  isForPurpose,
  keyAlgorithm,
  keyAlgorithms,
  keyPurposes,
  signatureAlgorithms,
  signatureAlgorithmsOf,
  type KeyAlgorithm,
} from './index.ts';
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

test("a key of each of Trialkeep's own kinds, fresh each time", () => {
  for (const { algorithm } of Object.values(keyPurposes)) {
    if (algorithm === undefined) continue;
    const [a, b] = [generateKey(algorithm), generateKey(algorithm)];
    assert.ok(!a.equals(b));
    assert.equal(a.type, ['ED25519', 'ML_DSA_44'].includes(algorithm) ? 'private' : 'secret');
    if (a.type === 'secret') assert.equal(a.symmetricKeySize, 32);
  }
});

test('each algorithm of a system has a purpose, each purpose an algorithm, and what signs has one way at least [URS-045]', () => {
  const systems = (Object.keys(keyAlgorithms) as KeyAlgorithm[]).filter(
    (name) => keyAlgorithm(name).purposes.length > 0,
  );
  assert.equal(systems.length, 13);
  for (const name of systems) {
    assert.equal(signatureAlgorithmsOf(name).length > 0, isForPurpose(name, 'sign'), name);
    assert.equal(keyAlgorithm(name).legacy === true, keyAlgorithm(name).strengthBits < 128, name);
  }
  for (const purpose of ['encrypt', 'decrypt', 'sign', 'mac', 'agree']) {
    assert.ok(systems.some((name) => isForPurpose(name, purpose)));
  }
});

test('what is not in the registry does not exist [URS-045]', async () => {
  for (const name of ['AES_128', 'RSA_1024', 'constructor', '__proto__', 'toString', '']) {
    assert.throws(() => generateKey(name as KeyAlgorithm), withCode('crypto.algorithm_unknown'));
    await assert.rejects(generateKeyMaterial(name), withCode('crypto.algorithm_unknown'));
    assert.throws(() => isForPurpose(name, 'encrypt'), withCode('crypto.algorithm_unknown'));
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
    signatureAlgorithms,
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
