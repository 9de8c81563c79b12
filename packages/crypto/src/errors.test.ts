import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CryptoError, cryptoErrors, type CryptoErrorCode } from './index.ts';

const codes = Object.keys(cryptoErrors) as CryptoErrorCode[];

test('each error has a stable code, one sentence, and the fix', () => {
  for (const code of codes) {
    assert.match(code, /^crypto\.[a-z]+(_[a-z]+)*$/);
    for (const text of [cryptoErrors[code].message, cryptoErrors[code].fix]) {
      assert.match(text, /^[A-Z].*\.$/s);
    }
    const error = new CryptoError(code);
    assert.equal(error.code, code);
    assert.equal(error.message, cryptoErrors[code].message);
    assert.equal(error.fix, cryptoErrors[code].fix);
    assert.equal(error.name, 'CryptoError');
  }
});

test('a detail is added to the sentence', () => {
  assert.equal(
    new CryptoError('crypto.suite_unknown', '0x0578').message,
    `${cryptoErrors['crypto.suite_unknown'].message} (0x0578)`,
  );
});
