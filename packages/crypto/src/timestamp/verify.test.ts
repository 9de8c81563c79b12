import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeElement, encodeOid, readOid, readOnly, readTime, tags } from './der.ts';
import { formatTimestampRequest, parseTimestampResponse } from './request.ts';
import { verifyTimestamp } from './verify.ts';

const malformed = { code: 'crypto.timestamp_malformed' };

test('noise is refused, never misread', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      await assert.rejects(verifyTimestamp(bytes, { data: bytes, roots: [] }), malformed);
      assert.throws(() => parseTimestampResponse(bytes), malformed);
    }),
    { numRuns: 200 },
  );
});

test('an answer that grants nothing names the reason of the authority', () => {
  const status = (number: number, ...more: Uint8Array[]): Uint8Array =>
    encodeElement(
      tags.sequence,
      encodeElement(tags.sequence, encodeElement(tags.integer, Uint8Array.of(number)), ...more),
    );
  const failure = encodeElement(tags.bitString, Uint8Array.of(2, 0x04));
  assert.throws(() => parseTimestampResponse(status(2, failure)), {
    code: 'crypto.timestamp_refused',
    message: /badDataFormat/,
  });
  assert.throws(() => parseTimestampResponse(status(3)), { message: /status 3/ });
  assert.throws(() => parseTimestampResponse(status(0)), malformed);
});

test('a request is the encoding of RFC 3161, byte by byte', () => {
  const digest = new Uint8Array(32).fill(0xab);
  const nonce = Uint8Array.from([0, 0x80, ...Array.from({ length: 14 }, () => 1)]);
  const request = formatTimestampRequest({ hash: 'SHA-256', digest, nonce, policy: '1.2.3.4' });
  assert.equal(
    Buffer.from(request).toString('hex'),
    `30500201013031300d060960864801650304020105000420${'ab'.repeat(32)}06032a030402100080${'01'.repeat(14)}0101ff`,
  );
  const question = { hash: 'SHA-512', digest, nonce } as const;
  assert.throws(() => formatTimestampRequest(question), { code: 'crypto.argument_invalid' });
});

test('one encoding of each value is read, and no other', () => {
  const element = (tag: number, ...content: number[]) =>
    readOnly(
      Uint8Array.of(0x30, content.length + 2, tag, content.length, ...content),
      tags.sequence,
      'test',
    ).next(tag);
  assert.equal(readOid(element(tags.objectIdentifier, 0x88, 0x37, 0x03)), '2.999.3');
  assert.deepEqual(encodeOid('2.999.3'), Uint8Array.of(6, 3, 0x88, 0x37, 0x03));
  for (const content of [[], [0x80, 1], [0x2a, 0x80], [0x2a, 0x80, 1], Array.from({ length: 33 }, () => 1)]) {
    assert.throws(() => readOid(element(tags.objectIdentifier, ...content)), malformed);
  }
  const utc = (text: string) => readTime(element(tags.utcTime, ...Buffer.from(text)));
  assert.equal(utc('491231235959Z'), Date.UTC(2049, 11, 31, 23, 59, 59));
  assert.equal(utc('500101000000Z'), Date.UTC(1950, 0, 1));
  for (const text of ['4912312359Z', '491331235959Z', '490229000000Z', '491231235960Z']) {
    assert.throws(() => utc(text), malformed);
  }
  for (const hex of [
    '3080',
    '308001000000',
    '30810100',
    '3082000100',
    '30840000000100',
    '1f0100',
    '3002',
    '300100',
    '30000000',
  ]) {
    assert.throws(() => readOnly(Buffer.from(hex, 'hex'), tags.sequence, 'test').end(), malformed);
  }
});
