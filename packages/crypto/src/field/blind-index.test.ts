import assert from 'node:assert/strict';
import { createSecretKey, generateKeySync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { key, readVectors, withCode } from '../fixture.test.ts';
import {
  BlindIndex,
  indexTokenBytes,
  indexTokenRange,
  type FieldValue,
  type IndexedType,
  type IndexForm,
} from '../index.ts';

interface TokenVector {
  readonly name: string;
  readonly dataKey: string;
  readonly version: number;
  readonly field: string;
  readonly type: IndexedType;
  readonly form: IndexForm;
  readonly value: string | number;
  readonly token: string;
}
const { tokens } = readVectors('field') as { readonly tokens: readonly TokenVector[] };

for (const vector of tokens) {
  test(`blind index token: ${vector.name}`, () => {
    const { type } = vector;
    const value: FieldValue<IndexedType> =
      type === 'bytes'
        ? Buffer.from(vector.value as string, 'hex')
        : type === 'date'
          ? new Date(vector.value)
          : vector.value;
    assert.equal(new BlindIndex(key(vector.dataKey), vector).token(value).toString('hex'), vector.token);
  });
}

const settings = { version: 1, field: 'patient.name', type: 'text', form: 'nfc' } as const;

test('equal values have equal tokens; another value, field, version or key gives another', () => {
  const dataKey = createSecretKey(randomBytes(32));
  const index = new BlindIndex(dataKey, settings);
  const others = [
    new BlindIndex(dataKey, { ...settings, field: 'patient.nam' }),
    new BlindIndex(dataKey, { ...settings, version: 2 }),
    new BlindIndex(createSecretKey(randomBytes(32)), settings),
  ];
  const text = fc.string({ unit: 'grapheme' });
  fc.assert(
    fc.property(text, text, (one, two) => {
      const token = index.token(one);
      assert.equal(token.length, indexTokenBytes);
      assert.deepEqual(index.token(one), token);
      assert.equal(index.token(two).equals(token), one.normalize('NFC') === two.normalize('NFC'));
      for (const other of others) assert.notDeepEqual(other.token(one).subarray(2), token.subarray(2));
    }),
  );
});

test('the caseless form brings together what people type as one', () => {
  const index = new BlindIndex(createSecretKey(randomBytes(32)), { ...settings, form: 'caseless' });
  const same = (...texts: string[]) =>
    new Set(texts.map((text) => index.token(text).toString('hex'))).size === 1;
  assert.ok(same('Ada Lovelace', 'ADA LOVELACE', ' ada\u00a0\t lovelace\n'));
  assert.ok(same('Müller', 'MU\u0308LLER'));
  assert.ok(same('Strauß', 'STRAUSS'));
  assert.ok(same('ΟΔΥΣΣΕΥΣ', 'οδυσσευς', 'οδυσσευσ'));
  assert.ok(!same('Muller', 'Müller'));
  assert.ok(!same('AdaLovelace', 'Ada Lovelace'));
});

test('the tokens of a version, and no others, lie in its range', () => {
  const dataKey = createSecretKey(randomBytes(32));
  for (const version of [1, 2, 255, 256, 65_534, 65_535]) {
    const { from, below } = indexTokenRange(version);
    const inRange = (token: Buffer) => token.compare(from) >= 0 && token.compare(below) < 0;
    assert.ok(inRange(new BlindIndex(dataKey, { ...settings, version }).token('x')));
    assert.ok(inRange(Buffer.concat([from, Buffer.alloc(16, 0xff)])));
    for (const other of [version - 1, version + 1]) {
      if (other < 1 || other > 65_535) continue;
      assert.ok(!inRange(new BlindIndex(dataKey, { ...settings, version: other }).token('x')));
    }
  }
});

test('what has no index is refused', () => {
  const dataKey = createSecretKey(randomBytes(32));
  for (const version of [0, -1, 1.5, 65_536]) {
    assert.throws(
      () => new BlindIndex(dataKey, { ...settings, version }),
      withCode('crypto.argument_invalid'),
    );
    assert.throws(() => indexTokenRange(version), withCode('crypto.argument_invalid'));
  }
  for (const wrong of [{ field: '' }, { form: 'toString' as never }]) {
    assert.throws(
      () => new BlindIndex(dataKey, { ...settings, ...wrong }),
      withCode('crypto.argument_invalid'),
    );
  }
  const short = generateKeySync('aes', { length: 128 });
  assert.throws(() => new BlindIndex(short, settings), withCode('crypto.key_unsuitable'));
  const index = new BlindIndex(dataKey, settings);
  for (const value of [7, null, undefined, '\ud800']) {
    assert.throws(() => index.token(value as never), withCode('crypto.field_value_invalid'));
  }
});
