import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBase32 } from './index.ts';

test('base 32 of RFC 4648 section 10, without padding', () => {
  for (const [text, padded] of [
    ['', ''],
    ['f', 'MY======'],
    ['fo', 'MZXQ===='],
    ['foo', 'MZXW6==='],
    ['foob', 'MZXW6YQ='],
    ['fooba', 'MZXW6YTB'],
    ['foobar', 'MZXW6YTBOI======'],
  ] as const) {
    assert.equal(encodeBase32(Buffer.from(text)), padded.replaceAll('=', ''));
  }
});

test('base 32 of every byte value', () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => 255 - i));
  // By another way: the bits as one number, in base 32.
  const digits = BigInt(`0x${bytes.toString('hex')}`) << 2n;
  const expected = digits
    .toString(32)
    .replaceAll(/./g, (digit) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.charAt(Number.parseInt(digit, 32)));
  assert.equal(encodeBase32(bytes), expected);
});
