import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { withCode } from '../fixture.test.ts';
import { maximumFrameBytes, parseMessageHeader, type MessageHeader } from '../index.ts';
import { encodeHeaderBody } from './header.ts';

const recipient = { providerId: 'aws-kms', providerInfo: Buffer.from('arn'), ciphertext: randomBytes(131) };
const options = {
  suite: 0x0478 as const,
  messageId: randomBytes(32),
  context: { study: 'TK-1', subject: 'a1' },
  encryptedDataKeys: [recipient],
  frameBytes: 4096,
  commitment: randomBytes(32),
};

function encode(change: Partial<typeof options> = {}): Buffer {
  return Buffer.concat([encodeHeaderBody({ ...options, ...change }), Buffer.alloc(16)]);
}

function parsed(bytes: Uint8Array): MessageHeader {
  const header = parseMessageHeader(bytes);
  assert.ok(header !== 'more');
  return header;
}

test('a header comes back as it went in', () => {
  const bytesOf = (most: number, least = 0) => fc.uint8Array({ minLength: least, maxLength: most });
  const recipients = fc.array(
    fc.record({
      providerId: fc.string({ minLength: 1, maxLength: 40, unit: 'binary' }),
      providerInfo: bytesOf(100),
      ciphertext: bytesOf(300, 1),
    }),
    { minLength: 1, maxLength: 16 },
  );
  fc.assert(
    fc.property(
      recipients,
      fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { maxKeys: 5 }),
      fc.integer({ min: 1, max: maximumFrameBytes }),
      (encryptedDataKeys, context, frameBytes) => {
        const bytes = Buffer.concat([
          encodeHeaderBody({ ...options, encryptedDataKeys, context, frameBytes }),
          Buffer.alloc(16),
        ]);
        const header = parsed(Buffer.concat([bytes, randomBytes(40)]));
        assert.deepEqual({ ...header.context }, { ...context });
        assert.deepEqual(
          header.encryptedDataKeys.map((key) => ({ ...key })),
          encryptedDataKeys.map((key) => ({
            providerId: key.providerId,
            providerInfo: Buffer.from(key.providerInfo),
            ciphertext: Buffer.from(key.ciphertext),
          })),
        );
        assert.equal(header.frameBytes, frameBytes);
        assert.equal(header.headerBytes, bytes.length);
        assert.deepEqual(header.messageId, options.messageId);
        assert.deepEqual(header.commitment, options.commitment);
      },
    ),
  );
});

test('a header that is not all there asks for more, at every length', () => {
  const bytes = encode();
  for (let length = 0; length < bytes.length; length += 1) {
    assert.equal(parseMessageHeader(bytes.subarray(0, length)), 'more');
  }
  assert.equal(parsed(bytes).headerBytes, bytes.length);
});

test('what is wrong is refused as soon as it is seen, not when all is there', () => {
  const bytes = encode();
  const cases = [
    [Buffer.of(1), 'crypto.version_unknown'],
    [Buffer.from([2, 0x03, 0x78]), 'crypto.suite_unknown'],
    [Buffer.concat([bytes.subarray(0, 35), Buffer.from([0xff, 0xff])]), 'crypto.context_invalid'],
  ] as const;
  for (const [start, code] of cases) assert.throws(() => parseMessageHeader(start), withCode(code));
});

test('the parsed header does not share memory with its input', () => {
  const bytes = encode();
  const header = parsed(bytes);
  bytes.fill(0);
  assert.deepEqual(header.messageId, options.messageId);
  assert.deepEqual(header.encryptedDataKeys[0]?.ciphertext, recipient.ciphertext);
});

test('any byte changed parses to another header, or not at all', () => {
  const bytes = encode();
  const position = fc.nat({ max: bytes.length - 17 });
  fc.assert(
    fc.property(position, fc.integer({ min: 1, max: 255 }), (offset, difference) => {
      const altered = Buffer.from(bytes);
      altered.writeUInt8(altered.readUInt8(offset) ^ difference, offset);
      try {
        const header = parseMessageHeader(altered);
        if (header !== 'more') assert.notDeepEqual(header, parsed(bytes));
      } catch (error) {
        withCode(
          'crypto.version_unknown',
          'crypto.suite_unknown',
          'crypto.context_invalid',
          'crypto.recipients_invalid',
          'crypto.message_malformed',
        )(error);
      }
    }),
    { numRuns: 1000 },
  );
});

test('recipients, contexts and frame lengths outside the bounds are not written', () => {
  const field = (change: Partial<typeof recipient>) => ({ encryptedDataKeys: [{ ...recipient, ...change }] });
  for (const change of [
    { encryptedDataKeys: [] },
    { encryptedDataKeys: Array.from({ length: 17 }, () => recipient) },
    field({ providerId: '' }),
    field({ providerId: 'p'.repeat(256) }),
    field({ providerId: '\ud800' }),
    field({ providerInfo: Buffer.alloc(2049) }),
    field({ ciphertext: Buffer.alloc(0) }),
    field({ ciphertext: Buffer.alloc(8193) }),
  ]) {
    assert.throws(() => encode(change), withCode('crypto.recipients_invalid'));
  }
  for (const frameBytes of [0, -1, 1.5, Number.NaN, maximumFrameBytes + 1, 2 ** 32]) {
    assert.throws(() => encode({ frameBytes }), withCode('crypto.argument_invalid'));
  }
  const reserved = { ...options.context, 'aws-crypto-public-key': 'x' };
  assert.throws(() => encode({ context: reserved }), withCode('crypto.context_invalid'));
  assert.equal(
    parsed(encode({ encryptedDataKeys: Array.from({ length: 16 }, () => recipient) })).encryptedDataKeys
      .length,
    16,
  );
});
