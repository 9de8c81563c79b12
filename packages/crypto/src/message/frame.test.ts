import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { withCode } from '../fixture.test.ts';
import { deriveMessageKeys, FrameCipher, parseFrameHead } from './frame.ts';

const messageId = randomBytes(32);
const cipher = new FrameCipher(deriveMessageKeys(randomBytes(32), messageId, 0x0478).key, messageId);
const content = randomBytes(16);

test('a frame opens at its place only', () => {
  const sealed = cipher.seal({ sequence: 7, final: false }, content);
  assert.deepEqual(cipher.open({ sequence: 7, final: false }, sealed.ciphertext, sealed.tag), content);
  for (const shape of [
    { sequence: 7, final: true },
    { sequence: 8, final: false },
    { sequence: 0, final: false },
  ]) {
    assert.equal(cipher.open(shape, sealed.ciphertext, sealed.tag), undefined);
  }
  assert.equal(
    cipher.open({ sequence: 7, final: false }, sealed.ciphertext.subarray(1), sealed.tag),
    undefined,
  );
});

test('a message ends with frame 2³² − 1 at the latest', () => {
  const last = cipher.seal({ sequence: 0xffff_ffff, final: true }, content);
  assert.deepEqual(cipher.open({ sequence: 0xffff_ffff, final: true }, last.ciphertext, last.tag), content);
  assert.deepEqual(parseFrameHead(last.head, 0xffff_ffff, 16), {
    sequence: 0xffff_ffff,
    final: true,
    headBytes: 24,
    contentBytes: 16,
  });
  cipher.seal({ sequence: 0xffff_fffe, final: false }, content);
  assert.throws(
    () => cipher.seal({ sequence: 0xffff_ffff, final: false }, content),
    withCode('crypto.message_too_long'),
  );
  assert.throws(
    () => cipher.seal({ sequence: 0x1_0000_0000, final: true }, content),
    withCode('crypto.message_too_long'),
  );
});

test('a data key is 32 bytes, as bytes or as a key', () => {
  const dataKey = randomBytes(32);
  const fromBytes = deriveMessageKeys(dataKey, messageId, 0x0478);
  const fromKey = deriveMessageKeys(createSecretKey(dataKey), messageId, 0x0478);
  assert.deepEqual(fromBytes.commitment, fromKey.commitment);
  assert.ok(fromBytes.key.equals(fromKey.key));
  assert.ok(!fromBytes.key.equals(deriveMessageKeys(dataKey, messageId, 0x0578).key));
  for (const length of [1, 16, 31, 33]) {
    assert.throws(
      () => deriveMessageKeys(randomBytes(length), messageId, 0x0478),
      withCode('crypto.key_unsuitable'),
    );
  }
});
