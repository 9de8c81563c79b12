import assert from 'node:assert/strict';
import { createHash, createPrivateKey, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { withCode } from './fixture.test.ts';
import { generateKey, mlDsa44PublicKey, signMlDsa44, verifyMlDsa44 } from './index.ts';
import { mlDsa44PrivateKey, mlDsa44Seed } from './ml-dsa.ts';

const message = Buffer.from('a checkpoint');

test('a signature verifies under its key and message, and under nothing else [URS-045]', () => {
  const key = generateKey('ML_DSA_44');
  const publicKey = mlDsa44PublicKey(key);
  const signature = signMlDsa44(key, message);
  assert.deepEqual([publicKey.length, signature.length], [1312, 2420]);
  assert.ok(verifyMlDsa44(publicKey, message, signature));
  assert.ok(!signMlDsa44(key, message).equals(signature), 'hedged: another signature each time');
  assert.ok(!verifyMlDsa44(publicKey, Buffer.from('another'), signature));
  assert.ok(!verifyMlDsa44(mlDsa44PublicKey(generateKey('ML_DSA_44')), message, signature));
  for (const at of [0, 32, 1000, 2340, 2419]) {
    const changed = Buffer.from(signature);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.ok(!verifyMlDsa44(publicKey, message, changed), `byte ${at}`);
  }
});

test('whatever the lengths, verifying answers false and does not throw', () => {
  const key = generateKey('ML_DSA_44');
  const publicKey = mlDsa44PublicKey(key);
  const signature = signMlDsa44(key, message);
  for (const bytes of [0, 1, 64, 2419, 2421]) {
    assert.equal(verifyMlDsa44(publicKey, message, randomBytes(bytes)), false);
  }
  for (const bytes of [0, 32, 1311, 1313]) {
    assert.equal(verifyMlDsa44(randomBytes(bytes), message, signature), false);
  }
  assert.equal(verifyMlDsa44(new Uint8Array(1312), message, signature), false);
});

test('the seed gives the key that another implementation derives from it, and comes back [URS-045]', () => {
  const seed = Uint8Array.from({ length: 32 }, (_, i) => i);
  const key = mlDsa44PrivateKey(seed);
  // Computed with pyca/cryptography.
  const expected = '9f107644c1084526af3bc8098680b05499a2325a644e388fb4f970e058d19d46';
  assert.equal(createHash('sha256').update(mlDsa44PublicKey(key)).digest('hex'), expected);
  assert.deepEqual(new Uint8Array(mlDsa44Seed(key)), seed);
  assert.deepEqual(
    seed,
    Uint8Array.from({ length: 32 }, (_, i) => i),
    'the seed stays the caller’s',
  );
});

test('a key of another kind is refused, and so is one without its seed', () => {
  const unsuitable = withCode('crypto.key_unsuitable');
  const ed25519 = generateKey('ED25519');
  assert.throws(() => signMlDsa44(ed25519, message), unsuitable);
  assert.throws(() => mlDsa44PublicKey(ed25519), unsuitable);
  assert.throws(() => mlDsa44Seed(ed25519), unsuitable);
  assert.throws(() => mlDsa44PrivateKey(new Uint8Array(31)), withCode('crypto.argument_invalid'));
  // RFC 9881 section 6: PrivateKeyInfo around `both` (seed and expanded key) ends with the expanded key, 2,560 bytes.
  const both = generateKey('ML_DSA_44').export({ format: 'der', type: 'pkcs8' });
  const head = Buffer.from('30820a18020100300b060960864801650304031104820a0404820a00', 'hex');
  const der = Buffer.concat([head, both.subarray(-2560)]);
  const seedless = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  assert.throws(() => mlDsa44Seed(seedless), unsuitable);
});
