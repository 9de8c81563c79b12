import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { assertNoKeyLiteral } from './key-literal.ts';

test('configuration that holds what looks like a key stops the start [URS-011]', () => {
  const key = randomBytes(32);
  for (const literal of [key.toString('hex'), key.toString('base64'), key.toString('base64url')]) {
    assert.throws(() => assertNoKeyLiteral(JSON.stringify({ value: literal })), {
      code: 'config.key_literal',
    });
  }
  const header = ['-----BEGIN', 'PRIVATE KEY-----'].join(' ');
  assert.throws(() => assertNoKeyLiteral(header), { code: 'config.key_literal' });
});

test('configuration as the first run writes it passes [URS-011]', () => {
  const id = '580f2d38-5c3d-4774-ae89-db60d26a98e0';
  const text = JSON.stringify({ format: 1, profile: 'evaluation', origin: `trialkeep.localhost/${id}` });
  assert.doesNotThrow(() => assertNoKeyLiteral(text));
});
