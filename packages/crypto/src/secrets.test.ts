import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256, withCode } from './fixture.test.ts';
import {
  equalSecrets,
  generateCredential,
  generateSecret,
  hashCredential,
  hashSecret,
  randomId,
  secretKind,
  type SecretKind,
} from './index.ts';

const prefixes: Record<SecretKind, string> = {
  credential: 'tkc_',
  session: 'tks_',
  invitation: 'tki_',
  import: 'tkm_',
};
const kinds = Object.keys(prefixes) as SecretKind[];

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

test('each kind of secret has its prefix and its own hash', () => {
  const random = Buffer.from(Array.from({ length: 32 }, (_, i) => 255 - i)).toString('base64url');
  for (const kind of kinds) {
    const secret = `${prefixes[kind]}${random}`;
    assert.equal(secretKind(secret), kind);
    assert.equal(hashSecret(secret).toString('hex'), sha256(Buffer.from(`trialkeep/${kind}/v1\0${secret}`)));
    const fresh = Array.from({ length: 100 }, () => generateSecret(kind));
    assert.equal(new Set(fresh).size, 100);
    assert.ok(fresh.every((each) => each.length === 47 && secretKind(each) === kind));
  }
});

test('a secret of another kind is no credential', () => {
  for (const kind of kinds.filter((each) => each !== 'credential')) {
    assert.throws(() => hashCredential(generateSecret(kind)), withCode('crypto.credential_malformed'));
  }
});

test('what is no secret has no kind and no hash', () => {
  for (const prefix of [...Object.values(prefixes), '', 'tkx_', 'TKS_', 'tks-']) {
    const zeros = 'A'.repeat(43);
    for (const random of [
      '',
      zeros.slice(1),
      `${zeros}A`,
      `${zeros}\n`,
      `${'A'.repeat(42)}B`,
      `${zeros.slice(1)}=`,
    ]) {
      assert.equal(secretKind(prefix + random), undefined);
      assert.throws(() => hashSecret(prefix + random), withCode('crypto.secret_malformed'));
    }
  }
  assert.equal(secretKind(`tkx_${'A'.repeat(43)}`), undefined);
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
