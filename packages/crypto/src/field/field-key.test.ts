import assert from 'node:assert/strict';
import { createSecretKey, generateKeySync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { flipped, key, named, readVectors, withCode } from '../fixture.test.ts';
import { FieldKey, fieldKeyReference, fieldOverheadBytes, type FieldType, type RowId } from '../index.ts';
import { maximumFieldPlaintextBytes, type FieldValue } from './value.ts';

type VectorRowId = string | number | { readonly bytes: string };

interface SealVector {
  readonly name: string;
  readonly dataKey: string;
  readonly field: string;
  readonly rowId: VectorRowId;
  readonly type: FieldType;
  readonly value: unknown;
  readonly padTo?: number;
  readonly prefix: string;
  readonly nonce: string;
  readonly keyReference: string;
  readonly sealed: string;
}
interface RefusedVector {
  readonly name: string;
  readonly of: string;
  readonly code: never;
  readonly sealed: string;
  readonly field?: string;
  readonly rowId?: VectorRowId;
  readonly type?: FieldType;
}
const vectors = readVectors('field') as {
  readonly seal: readonly SealVector[];
  readonly refused: readonly RefusedVector[];
};

const hex = (text: string) => Buffer.from(text, 'hex');
const rowIdOf = (rowId: VectorRowId): RowId => (typeof rowId === 'object' ? hex(rowId.bytes) : rowId);
const valueOf = ({ type, value }: SealVector): FieldValue => {
  if (type === 'bytes') return hex(value as string);
  return type === 'date' ? new Date(value as string) : (value as FieldValue);
};
const fresh = () => new FieldKey(createSecretKey(randomBytes(32)));
const place = { field: 'diary.entry', rowId: 'row-1' };

for (const vector of vectors.seal) {
  test(`sealed field: ${vector.name} [URS-047]`, () => {
    const fieldKey = new FieldKey(key(vector.dataKey));
    assert.equal(fieldKey.reference.toString('hex'), vector.keyReference);
    const at = { field: vector.field, rowId: rowIdOf(vector.rowId) };
    const chosen = { prefix: hex(vector.prefix), nonce: hex(vector.nonce) };
    const value = valueOf(vector);
    const sealed = fieldKey.sealWith(chosen, at, vector.type, value, vector.padTo);
    assert.equal(sealed.toString('hex'), vector.sealed);
    assert.deepEqual(fieldKey.open(at, vector.type, sealed), value);
    assert.deepEqual(Buffer.from(fieldKeyReference(sealed)), fieldKey.reference);
  });
}

for (const vector of vectors.refused) {
  test(`sealed field refused: ${vector.name} [URS-046]`, () => {
    const of = named(vectors.seal, vector.of);
    const at = { field: vector.field ?? of.field, rowId: rowIdOf(vector.rowId ?? of.rowId) };
    const opening = () => new FieldKey(key(of.dataKey)).open(at, vector.type ?? of.type, hex(vector.sealed));
    assert.throws(opening, withCode(vector.code));
  });
}

test('a row id that is an integer is its decimal digits, as any driver gives it [URS-047]', () => {
  const fieldKey = fresh();
  const ids = [2 ** 40, 2n ** 40n, '1099511627776'];
  for (const sealedFor of ids) {
    const sealed = fieldKey.seal({ ...place, rowId: sealedFor }, 'text', 'x');
    for (const rowId of ids) assert.equal(fieldKey.open({ ...place, rowId }, 'text', sealed), 'x');
  }
});

test('what was sealed opens the same, at its place only [URS-047]', () => {
  const fieldKey = fresh();
  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
  const rowId = fc.oneof(
    name,
    fc.maxSafeInteger(),
    fc.bigInt(),
    fc.uint8Array({ minLength: 1, maxLength: 20 }),
  );
  const where = fc.record({ field: name, rowId });
  fc.assert(
    fc.property(
      where,
      where,
      fc.string({ unit: 'grapheme' }),
      fc.integer({ min: 1, max: 40 }),
      (at, other, text, padTo) => {
        const sealed = fieldKey.seal(at, 'text', text, padTo);
        assert.equal(fieldKey.open(at, 'text', sealed), text);
        if (padTo > 1) assert.equal((sealed.length - fieldOverheadBytes + 1) % padTo, 0);
        if (at.field !== other.field) {
          assert.throws(() => fieldKey.open(other, 'text', sealed), withCode('crypto.ciphertext_invalid'));
        }
      },
    ),
  );
});

test('a bit flipped in any byte never opens [URS-046]', () => {
  const fieldKey = fresh();
  const sealed = fieldKey.seal(place, 'text', 'headache');
  for (let offset = 0; offset < sealed.length; offset += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const code = offset === 0 ? 'crypto.version_unknown' : 'crypto.ciphertext_invalid';
      assert.throws(() => fieldKey.open(place, 'text', flipped(sealed, offset, bit)), withCode(code));
    }
  }
});

test('cut off at any length, or with bytes added, it never opens [URS-046]', () => {
  const fieldKey = fresh();
  const sealed = fieldKey.seal(place, 'text', 'headache');
  for (let length = 0; length < sealed.length; length += 1) {
    const code = length < fieldOverheadBytes ? 'crypto.ciphertext_truncated' : 'crypto.ciphertext_invalid';
    assert.throws(() => fieldKey.open(place, 'text', sealed.subarray(0, length)), withCode(code));
  }
  const longer = Buffer.concat([sealed, Buffer.alloc(70_000)]);
  assert.throws(() => fieldKey.open(place, 'text', longer), withCode('crypto.ciphertext_malformed'));
  for (const open of [fieldKeyReference, (text: never) => fieldKey.open(place, 'text', text)]) {
    assert.throws(() => open('text' as never), withCode('crypto.argument_invalid'));
  }
});

test('a field of another data key never opens, whatever reference it is given [URS-049]', () => {
  const [one, other] = [fresh(), fresh()];
  const sealed = one.seal(place, 'text', 'headache');
  assert.throws(() => other.open(place, 'text', sealed), withCode('crypto.ciphertext_invalid'));
  sealed.set(other.reference, 1);
  assert.throws(() => other.open(place, 'text', sealed), withCode('crypto.ciphertext_invalid'));
  assert.throws(() => one.open(place, 'text', sealed), withCode('crypto.ciphertext_invalid'));
});

test('a prefix is left behind after its number of seals, and no nonce comes twice', () => {
  const fieldKey = new FieldKey(createSecretKey(randomBytes(32)), 100);
  const prefixes = new Map<string, number>();
  const nonces = new Set<string>();
  for (let i = 0; i < 1050; i += 1) {
    const sealed = fieldKey.seal(place, 'number', i);
    const prefix = sealed.toString('hex', 17, 29);
    prefixes.set(prefix, (prefixes.get(prefix) ?? 0) + 1);
    nonces.add(sealed.toString('hex', 29, 41));
    assert.equal(fieldKey.open(place, 'number', sealed), i);
  }
  assert.deepEqual([...prefixes.values()], [...Array.from({ length: 10 }, () => 100), 50]);
  assert.equal(nonces.size, 1050);
});

test('two processes under one data key have prefixes of their own and read each other', () => {
  const dataKey = createSecretKey(randomBytes(32));
  const [one, other] = [new FieldKey(dataKey), new FieldKey(dataKey)];
  const sealed = one.seal(place, 'text', 'x');
  assert.notDeepEqual(sealed.subarray(17, 29), other.seal(place, 'text', 'x').subarray(17, 29));
  assert.equal(other.open(place, 'text', sealed), 'x');
});

test('a value at the bound is sealed, and one beyond it is refused', () => {
  const fieldKey = fresh();
  const most = maximumFieldPlaintextBytes - 1;
  for (const text of ['a'.repeat(most), 'é'.repeat(most / 2 - 0.5)]) {
    assert.equal(fieldKey.open(place, 'text', fieldKey.seal(place, 'text', text)), text);
  }
  const seal = (value: string, padTo?: number) => () => fieldKey.seal(place, 'text', value, padTo);
  assert.throws(seal('a'.repeat(most + 1)), withCode('crypto.field_too_long'));
  assert.throws(seal('é'.repeat(most)), withCode('crypto.field_too_long'));
  assert.throws(seal('a'.repeat(most), 4096), withCode('crypto.field_too_long'));
  assert.throws(
    () => fieldKey.seal(place, 'bytes', Buffer.alloc(most + 1)),
    withCode('crypto.field_too_long'),
  );
  assert.equal(seal('a'.repeat(most - 1), 4096)().length, 41 + 65_536 + 16);
});

test('keys, places and steps of another kind are refused', () => {
  for (const unsuitable of [
    generateKeySync('aes', { length: 128 }),
    generateKeySync('hmac', { length: 512 }),
  ]) {
    assert.throws(() => new FieldKey(unsuitable), withCode('crypto.key_unsuitable'));
  }
  const dataKey = createSecretKey(randomBytes(32));
  for (const seals of [0, 1.5, 2 ** 20 + 1, Number.NaN]) {
    assert.throws(() => new FieldKey(dataKey, seals), withCode('crypto.argument_invalid'));
  }
  const fieldKey = fresh();
  const wrong = [
    { field: '' },
    { field: 'ä'.repeat(128) },
    { field: '\ud800' },
    { field: 7 as never },
    { rowId: '' },
    { rowId: 'x'.repeat(256) },
    { rowId: '\ud800' },
    { rowId: 1.5 },
    { rowId: Number.NaN },
    { rowId: 2 ** 53 },
    { rowId: new Uint8Array() },
    { rowId: new Uint8Array(256) },
    { rowId: null as never },
  ];
  for (const change of wrong) {
    assert.throws(
      () => fieldKey.seal({ ...place, ...change }, 'text', 'x'),
      withCode('crypto.argument_invalid'),
    );
  }
  for (const padTo of [0, -1, 1.5, 4097]) {
    assert.throws(() => fieldKey.seal(place, 'text', 'x', padTo), withCode('crypto.argument_invalid'));
  }
});

test('noise gives a typed error', () => {
  const fieldKey = fresh();
  const shaped = fc
    .uint8Array({ minLength: 30, maxLength: 120 })
    .map((rest) => Buffer.concat([Buffer.of(1), fieldKey.reference, rest]));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), shaped), (sealed) => {
      const expected = withCode(
        'crypto.ciphertext_invalid',
        'crypto.ciphertext_truncated',
        'crypto.version_unknown',
      );
      assert.throws(() => fieldKey.open(place, 'text', sealed), expected);
    }),
  );
});
