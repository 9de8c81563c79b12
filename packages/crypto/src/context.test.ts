import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytes, readVectors, withCode } from './fixture.test.ts';
import { decodeContext, encodeContext, maximumContextBytes } from './index.ts';

interface ContextVectors {
  contexts: { name: string; pairs: [string, string][]; encoded: string }[];
  contextsRefused: { name: string; encoded: string }[];
}

const vectors = readVectors('compact') as ContextVectors;
const text = fc.string({ unit: 'binary', maxLength: 24 });
const contexts = fc.uniqueArray(
  fc.tuple(
    text.filter((name) => name !== ''),
    text,
  ),
  {
    selector: ([name]) => name,
    maxLength: 12,
  },
);

for (const { name, pairs, encoded } of vectors.contexts) {
  test(`context vector: ${name}`, () => {
    assert.equal(encodeContext(Object.fromEntries(pairs)).toString('hex'), encoded);
    assert.equal(encodeContext(Object.fromEntries(pairs.toReversed())).toString('hex'), encoded);
    assert.deepEqual({ ...decodeContext(bytes(encoded)) }, Object.fromEntries(pairs));
  });
}

for (const { name, encoded } of vectors.contextsRefused) {
  test(`context encoding refused: ${name}`, () => {
    assert.throws(() => decodeContext(bytes(encoded)), withCode('crypto.context_invalid'));
  });
}

test('a context comes back as it went in, whatever the order of its pairs', () => {
  fc.assert(
    fc.property(contexts, (pairs) => {
      const encoded = encodeContext(Object.fromEntries(pairs));
      assert.deepEqual(encodeContext(Object.fromEntries(pairs.toReversed())), encoded);
      assert.deepEqual({ ...decodeContext(encoded) }, Object.fromEntries(pairs));
    }),
  );
});

test('what decodes, encodes to the same bytes', () => {
  const encodings = contexts.map((pairs) => encodeContext(Object.fromEntries(pairs)));
  const edits = fc.tuple(encodings, fc.nat(), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(edits, ([encoded, position, value]) => {
      encoded[position % encoded.length] = value;
      try {
        assert.deepEqual(encodeContext(decodeContext(encoded)), encoded);
      } catch (error) {
        withCode('crypto.context_invalid')(error);
      }
    }),
    { numRuns: 500 },
  );
});

test('a decoded context has only the names that it holds, and cannot be changed', () => {
  const context = decodeContext(encodeContext(JSON.parse('{"__proto__":"x","study":"y"}')));
  assert.equal(context['constructor'], undefined);
  assert.deepEqual(Object.keys(context), ['__proto__', 'study']);
  assert.ok(Object.isFrozen(context));
});

test('a context that is no set of texts is refused', () => {
  for (const context of [
    { '': 'empty name' },
    { study: '\ud800' },
    { '\udc00': 'lone surrogate' },
    { study: 7 as unknown as string },
    { study: undefined as unknown as string },
    { study: 'x'.repeat(maximumContextBytes) },
    Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`name ${i}`, 'value'])),
  ]) {
    assert.throws(() => encodeContext(context), withCode('crypto.context_invalid'));
  }
});

test('the longest context is encoded and decoded, one byte more is not', () => {
  const value = 'x'.repeat(maximumContextBytes - 2 - 4 - 1);
  const encoded = encodeContext({ a: value });
  assert.equal(encoded.length, maximumContextBytes);
  assert.equal(decodeContext(encoded)['a'], value);
  assert.throws(() => encodeContext({ a: `${value}x` }), withCode('crypto.context_invalid'));
  assert.throws(
    () => decodeContext(Buffer.alloc(maximumContextBytes + 1)),
    withCode('crypto.context_invalid'),
  );
});
