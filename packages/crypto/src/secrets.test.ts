import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256, withCode } from './fixture.test.ts';
import { equalSecrets, generateCredential, hashCredential, randomId } from './index.ts';

test('a known credential hash', () => {
  const credential = `tkc_${Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('base64url')}`;
  assert.equal(
    hashCredential(credential).toString('hex'),
    sha256(Buffer.from(`trialkeep/credential/v1\0${credential}`)),
  );
});

test('credentials are 256 random bits in one spelling', () => {
  const credentials = new Set(Array.from({ length: 100 }, generateCredential));
  assert.equal(credentials.size, 100);
  for (const credential of credentials) {
    assert.match(credential, /^tkc_[A-Za-z0-9_-]{43}$/);
    assert.equal(hashCredential(credential).length, 32);
    assert.deepEqual(hashCredential(credential), hashCredential(credential));
  }
});

test('what is no credential is refused', () => {
  const zeros = `tkc_${'A'.repeat(43)}`;
  assert.equal(hashCredential(zeros).length, 32);
  for (const text of [
    '',
    'tkc_',
    zeros.slice(0, -1),
    `${zeros}A`,
    `${zeros}\n`,
    ` ${zeros}`,
    zeros.toUpperCase(),
    `tkc_${'A'.repeat(42)}B`,
    `tkc_${'A'.repeat(42)}+`,
    `xxx_${'A'.repeat(43)}`,
    'A'.repeat(1_000_000),
  ]) {
    assert.throws(() => hashCredential(text), withCode('crypto.credential_malformed'));
  }
});

test('equality of secrets', () => {
  assert.ok(equalSecrets(Buffer.alloc(0), Buffer.alloc(0)));
  assert.ok(equalSecrets(Buffer.from('abc'), Buffer.from('abc')));
  assert.ok(!equalSecrets(Buffer.from('abc'), Buffer.from('abd')));
  assert.ok(!equalSecrets(Buffer.from('abc'), Buffer.from('ab')));
});

test('identifiers are 128 random bits', () => {
  const ids = Array.from({ length: 100 }, () => randomId());
  assert.ok(ids.every((id) => id.length === 16));
  assert.equal(new Set(ids.map((id) => id.toString('hex'))).size, 100);
});
