import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withCode } from '../fixture.test.ts';
import { fieldTypes, type FieldType, type JsonValue } from '../index.ts';
import { canonicalJson } from './json.ts';
import { decodeFieldValue, encodeFieldValue, type FieldValue } from './value.ts';

const values: { readonly [T in FieldType]: fc.Arbitrary<FieldValue<T>> } = {
  text: fc.string({ unit: 'grapheme' }),
  number: fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
  date: fc.date({ noInvalidDate: true }),
  json: fc.jsonValue({ noUnicodeString: false }) as fc.Arbitrary<JsonValue>,
  bytes: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  boolean: fc.boolean(),
};
const types = Object.keys(fieldTypes) as FieldType[];

for (const type of types) {
  test(`each ${type} has one encoding, which gives it back, with any padding [URS-047]`, () => {
    fc.assert(
      fc.property(values[type], fc.integer({ min: 2, max: 300 }), (value, padTo) => {
        const plain = encodeFieldValue(type, value);
        assert.equal(plain[0], fieldTypes[type]);
        // What JSON has one spelling for compares as one: -0 is 0.
        const expected = type === 'json' ? (JSON.parse(JSON.stringify(value)) as FieldValue) : value;
        assert.deepEqual(decodeFieldValue(type, plain), expected);
        assert.deepEqual(encodeFieldValue(type, decodeFieldValue(type, plain)), plain);
        const padded = encodeFieldValue(type, value, padTo);
        assert.equal(padded.length % padTo, 0);
        assert.deepEqual(decodeFieldValue(type, padded), expected);
      }),
    );
  });

  test(`bytes that are no encoding of a ${type} are refused, and those that are come back as they were`, () => {
    const plaintext = fc
      .tuple(fc.constantFrom(fieldTypes[type], fieldTypes[type] | 0x80), fc.uint8Array({ maxLength: 12 }))
      .map(([first, rest]) => Buffer.from([first, ...rest]));
    fc.assert(
      fc.property(plaintext, (bytes) => {
        let value: FieldValue;
        try {
          value = decodeFieldValue(type, bytes);
        } catch (error) {
          withCode('crypto.field_encoding_invalid')(error);
          return;
        }
        const again = encodeFieldValue(type, value);
        const isPadded = (bytes[0] ?? 0) > 0x7f;
        if (isPadded) assert.equal(bytes.subarray(1, again.length).compare(again.subarray(1)), 0);
        else assert.deepEqual(again, bytes);
      }),
      { numRuns: 300 },
    );
  });
}

test('a value of another type than declared is refused, when sealing and when opening', () => {
  const samples: readonly unknown[] = [
    'text',
    1.5,
    new Date(0),
    { a: 1 },
    Buffer.of(1),
    true,
    null,
    undefined,
    1n,
    Symbol('s'),
  ];
  const fits: Record<FieldType, readonly number[]> = {
    text: [0],
    number: [1],
    date: [2],
    json: [0, 1, 3, 5, 6],
    bytes: [4],
    boolean: [5],
  };
  for (const type of types) {
    for (const [i, sample] of samples.entries()) {
      const encode = () => encodeFieldValue(type, sample as never);
      if (fits[type].includes(i)) assert.equal(encode()[0], fieldTypes[type]);
      else assert.throws(encode, withCode('crypto.field_value_invalid'));
    }
    for (const other of types) {
      if (other === type) continue;
      const plain = Buffer.of(fieldTypes[other], 0);
      assert.throws(() => decodeFieldValue(type, plain), withCode('crypto.field_type_mismatch'));
    }
  }
  assert.throws(() => encodeFieldValue('toString' as 'text', 'x'), withCode('crypto.argument_invalid'));
  assert.throws(() => decodeFieldValue('text', Buffer.alloc(0)), withCode('crypto.field_type_mismatch'));
});

test('what cannot be encoded is refused and never bent', () => {
  const refused: readonly [FieldType, unknown][] = [
    ['text', '\ud800'],
    ['number', Number.NaN],
    ['number', Infinity],
    ['date', new Date(Number.NaN)],
    ['json', { a: undefined }],
    ['json', [, 1]], // oxlint-disable-line no-sparse-arrays -- a hole is what is tested
    ['json', { a: new Date(0) }],
    ['json', new Map()],
    ['json', { a: () => 1 }],
    ['json', { '\ud800': 1 }],
    ['json', ['\udc00']],
    ['json', Number.NaN],
    ['json', 10n],
  ];
  for (const [type, value] of refused) {
    assert.throws(() => encodeFieldValue(type, value as never), withCode('crypto.field_value_invalid'));
  }
  assert.deepEqual(encodeFieldValue('number', -0), encodeFieldValue('number', 0));
});

test('JSON is bounded in depth, and a name like __proto__ is a name', () => {
  const nested = (levels: number): JsonValue => (levels === 0 ? 1 : [nested(levels - 1)]);
  assert.equal(canonicalJson(nested(64)), `${'['.repeat(64)}1${']'.repeat(64)}`);
  assert.throws(() => canonicalJson(nested(65)), withCode('crypto.field_value_invalid'));
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  assert.throws(() => canonicalJson(cyclic), withCode('crypto.field_value_invalid'));

  const value = JSON.parse('{"__proto__":{"polluted":true},"constructor":1}') as JsonValue;
  const opened = decodeFieldValue('json', encodeFieldValue('json', value));
  assert.deepEqual(Object.keys(opened as object).sort(), ['__proto__', 'constructor']);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

test('a decoded value does not share the bytes that are zeroed after it', () => {
  const plain = encodeFieldValue('bytes', Buffer.of(1, 2, 3));
  const value = decodeFieldValue('bytes', plain);
  plain.fill(0);
  assert.deepEqual(value, Buffer.of(1, 2, 3));
});
