import assert from 'node:assert/strict';
import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { flipped, realInput, withCode } from '../fixture.test.ts';
import { encryptOaep, unwrapKwp, unwrapRsaAes, wrapKwp, wrapRsaAes } from '../index.ts';

interface Vector {
  readonly tcId: number;
  readonly key: string;
  readonly msg: string;
  readonly ct: string;
  readonly result: 'valid' | 'invalid' | 'acceptable';
}

const { path, skip } = realInput('wycheproof/testvectors_v1/aes_kwp_test.json');
test('Wycheproof AES-KWP with 256 bits [URS-088] [URS-045]', { skip }, () => {
  const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as {
    testGroups: { keySize: number; tests: Vector[] }[];
  };
  let counted = 0;
  for (const vector of testGroups.filter(({ keySize }) => keySize === 256).flatMap(({ tests }) => tests)) {
    const key = createSecretKey(Buffer.from(vector.key, 'hex'));
    const opened = unwrapKwp(key, Buffer.from(vector.ct, 'hex'));
    counted += 1;
    if (vector.result === 'invalid') {
      assert.equal(opened, undefined, `vector ${vector.tcId}`);
      continue;
    }
    assert.equal(opened?.toString('hex'), vector.msg, `vector ${vector.tcId}`);
    const secret = Buffer.from(vector.msg, 'hex');
    if (secret.length > 0)
      assert.equal(wrapKwp(key, secret).toString('hex'), vector.ct, `vector ${vector.tcId}`);
  }
  assert.ok(counted > 40);
});

test('material of every length comes back, and altered, shorter and longer forms do not open [URS-088]', () => {
  const key = createSecretKey(randomBytes(32));
  for (let length = 1; length <= 70; length++) {
    const secret = randomBytes(length);
    const wrapped = wrapKwp(key, secret);
    assert.equal(wrapped.length, Math.ceil(length / 8) * 8 + 8);
    assert.deepEqual(unwrapKwp(key, wrapped), secret);
    for (const altered of [
      flipped(wrapped, length % wrapped.length),
      wrapped.subarray(0, -1),
      wrapped.subarray(0, -8),
      wrapped.subarray(8),
      Buffer.concat([wrapped, Buffer.alloc(8)]),
    ])
      assert.equal(unwrapKwp(key, altered), undefined);
    assert.equal(unwrapKwp(createSecretKey(randomBytes(32)), wrapped), undefined);
  }
  assert.equal(unwrapKwp(key, Buffer.alloc(0)), undefined);
  assert.equal(unwrapKwp(key, Buffer.alloc(16_384)), undefined);
  for (const length of [0, 8193]) {
    assert.throws(() => wrapKwp(key, Buffer.alloc(length)), withCode('crypto.argument_invalid'));
  }
  assert.throws(
    () => wrapKwp(createSecretKey(randomBytes(16)), randomBytes(8)),
    withCode('crypto.key_unsuitable'),
  );
});

test('whatever is wrong with wrapped material, the answer is the same [URS-088]', () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 3072 });
  const material = randomBytes(48);
  const wrapped = wrapRsaAes(publicKey, material);
  assert.deepEqual(unwrapRsaAes(privateKey, wrapped), material);
  assert.notDeepEqual(wrapRsaAes(publicKey, material), wrapped);
  const [head, tail] = [wrapped.subarray(0, 384), wrapped.subarray(384)];
  // A key of another length under the right padding.
  const short = encryptOaep(publicKey, randomBytes(16));
  for (const altered of [
    flipped(wrapped, 100),
    flipped(wrapped, 400),
    Buffer.concat([wrapRsaAes(publicKey, material).subarray(0, 384), tail]),
    Buffer.concat([short, tail]),
    Buffer.concat([tail, head]),
    head,
    tail,
    Buffer.alloc(0),
    Buffer.alloc(384 + 56),
    randomBytes(20_000),
  ]) {
    assert.throws(() => unwrapRsaAes(privateKey, altered), withCode('crypto.ciphertext_invalid'));
  }
  assert.throws(() => wrapRsaAes(privateKey, material), withCode('crypto.key_unsuitable'));
  const { privateKey: other } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  assert.throws(() => unwrapRsaAes(other, wrapped), withCode('crypto.key_unsuitable'));
});
