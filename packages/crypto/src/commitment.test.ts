import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { flipped, withCode } from './fixture.test.ts';
import { commitPayload, verifyPayload } from './index.ts';

const payload = Buffer.from('{"reason":"site transfer"}');

test('a known commitment', () => {
  const r = Buffer.from('6ff3ac464546c4b130f750a27455e5c60358fb9bc4508f9d92cf157f9a5809d0', 'hex');
  const entryId = Buffer.from('6bed0cf2ae2cde7e65b89037e1747f4b', 'hex');
  assert.equal(
    commitPayload(r, entryId, payload).toString('hex'),
    '232806587ab25bcb704e944d18486f3d58b5aa548b42b07ea4d39acfffcb4bf4',
  );
});

test('a commitment holds for its payload, entry and random value only', () => {
  const [r, entryId] = [randomBytes(32), randomBytes(16)];
  const commitment = commitPayload(r, entryId, payload);
  assert.ok(verifyPayload(commitment, r, entryId, payload));
  assert.ok(!verifyPayload(commitment, flipped(r, 31), entryId, payload));
  assert.ok(!verifyPayload(commitment, r, flipped(entryId, 0), payload));
  assert.ok(!verifyPayload(commitment, r, entryId, payload.subarray(1)));
  assert.ok(!verifyPayload(commitment, r, entryId, Buffer.alloc(0)));
  assert.ok(!verifyPayload(commitment.subarray(1), r, entryId, payload));
  assert.ok(!verifyPayload(Buffer.alloc(0), r, entryId, payload));
  for (let offset = 0; offset < commitment.length; offset += 1) {
    assert.ok(!verifyPayload(flipped(commitment, offset), r, entryId, payload));
  }
});

test('one payload twice gives two commitments', () => {
  const entryId = randomBytes(16);
  assert.notDeepEqual(
    commitPayload(randomBytes(32), entryId, payload),
    commitPayload(randomBytes(32), entryId, payload),
  );
});

test('a random value or entry id of another size is refused', () => {
  for (const [rBytes, idBytes] of [
    [31, 16],
    [33, 16],
    [32, 15],
    [32, 17],
    [0, 0],
  ] as const) {
    assert.throws(
      () => commitPayload(Buffer.alloc(rBytes), Buffer.alloc(idBytes), payload),
      withCode('crypto.argument_invalid'),
    );
  }
});
