import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { readVectors, withCode } from '../fixture.test.ts';
import { decodeFieldKeyRecord, encodeFieldKeyRecord } from '../index.ts';
import { maximumFieldKeyRecordBytes } from './record.ts';

interface RecordVector {
  readonly name: string;
  readonly context: readonly (readonly [string, string])[];
  readonly encryptedDataKeys: readonly { providerId: string; providerInfo: string; ciphertext: string }[];
  readonly record: string;
}
const vectors = readVectors('field') as {
  readonly records: readonly RecordVector[];
  readonly recordsRefused: readonly { name: string; record: string; code: never }[];
};
const hex = (text: string) => Buffer.from(text, 'hex');

for (const vector of vectors.records) {
  test(`data key record: ${vector.name}`, () => {
    const context = Object.fromEntries(vector.context);
    const encryptedDataKeys = vector.encryptedDataKeys.map(({ providerId, providerInfo, ciphertext }) => ({
      providerId,
      providerInfo: hex(providerInfo),
      ciphertext: hex(ciphertext),
    }));
    assert.equal(encodeFieldKeyRecord({ context, encryptedDataKeys }).toString('hex'), vector.record);
    const decoded = decodeFieldKeyRecord(hex(vector.record));
    assert.deepEqual({ ...decoded.context }, context);
    assert.deepEqual(decoded.encryptedDataKeys, encryptedDataKeys);
  });
}

for (const vector of vectors.recordsRefused) {
  test(`data key record refused: ${vector.name} [URS-046]`, () => {
    assert.throws(() => decodeFieldKeyRecord(hex(vector.record)), withCode(vector.code));
  });
}

const one = { providerId: 'p', providerInfo: Buffer.alloc(0), ciphertext: Buffer.of(1) };

test('a record of the greatest size is read, and a longer one is refused before it is looked at', () => {
  const context = Object.fromEntries([['a', 'x'.repeat(8192 - 2 - 4 - 1)]]);
  const key = { providerId: 'p'.repeat(255), providerInfo: randomBytes(2048), ciphertext: randomBytes(8192) };
  const encryptedDataKeys = Array.from({ length: 16 }, () => key);
  const record = encodeFieldKeyRecord({ context, encryptedDataKeys });
  assert.equal(record.length, maximumFieldKeyRecordBytes);
  assert.deepEqual(decodeFieldKeyRecord(record).encryptedDataKeys, encryptedDataKeys);
  const longer = Buffer.concat([record, Buffer.alloc(1)]);
  assert.throws(() => decodeFieldKeyRecord(longer), withCode('crypto.wrapped_key_malformed'));
});

test('cut off at any length a record is refused', () => {
  const record = encodeFieldKeyRecord({ context: { study: 'a' }, encryptedDataKeys: [one, one] });
  for (let length = 0; length < record.length; length += 1) {
    assert.throws(
      () => decodeFieldKeyRecord(record.subarray(0, length)),
      withCode('crypto.wrapped_key_malformed', 'crypto.context_invalid'),
    );
  }
});

test('recipients out of bounds are not written', () => {
  const wrong = [
    [],
    Array.from({ length: 17 }, () => one),
    [{ ...one, providerId: '' }],
    [{ ...one, providerId: 'p'.repeat(256) }],
    [{ ...one, providerId: '\ud800' }],
    [{ ...one, providerInfo: Buffer.alloc(2049) }],
    [{ ...one, ciphertext: Buffer.alloc(0) }],
    [{ ...one, ciphertext: Buffer.alloc(8193) }],
  ];
  for (const encryptedDataKeys of wrong) {
    assert.throws(
      () => encodeFieldKeyRecord({ context: {}, encryptedDataKeys }),
      withCode('crypto.recipients_invalid'),
    );
  }
});

test('noise is no record', () => {
  const shaped = fc.uint8Array({ maxLength: 60 }).map((rest) => Buffer.from([1, 0, 2, 0, 0, ...rest]));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), shaped), (bytes) => {
      try {
        const decoded = decodeFieldKeyRecord(bytes);
        assert.deepEqual(encodeFieldKeyRecord(decoded), Buffer.from(bytes));
      } catch (error) {
        withCode('crypto.wrapped_key_malformed', 'crypto.version_unknown', 'crypto.context_invalid')(error);
      }
    }),
    { numRuns: 300 },
  );
});
