import assert from 'node:assert/strict';
import test from 'node:test';
import { findingTexts, LedgerError, ledgerErrors, type LedgerErrorCode } from './index.ts';

test('every error has a stable code, one sentence and a fix [URS-033]', () => {
  for (const [code, { message, fix }] of Object.entries(ledgerErrors)) {
    assert.match(code, /^ledger\.[a-z_]+$/);
    assert.match(message, /^[A-Z].*\.$/);
    assert.match(fix, /^[A-Z].*\.$/);
    const error = new LedgerError(code as LedgerErrorCode);
    assert.deepEqual([error.name, error.code, error.message, error.fix], ['LedgerError', code, message, fix]);
  }
});

test('a detail is added to the sentence [URS-033]', () => {
  const { message } = new LedgerError('ledger.checkpoint_malformed', 'size');
  assert.equal(message, `${ledgerErrors['ledger.checkpoint_malformed'].message} (size)`);
});

test('every finding has a code, a phrase to end a sentence with, and a fix [URS-033]', () => {
  for (const [code, { message, fix }] of Object.entries(findingTexts)) {
    assert.match(code, /^(bundle|checkpoint|cosignature|entry|kept|log|policy|tile)\.[a-z_]+$/);
    assert.match(message, /^[a-z].*[^.]$/);
    assert.match(fix, /^[A-Z].*\.$/);
  }
});
