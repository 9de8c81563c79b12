import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalText, parseCanonicalObject } from './canonical.ts';

test('members stand in the order of their UTF-16 code units (RFC 8785 section 3.2.3)', () => {
  const members = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 };
  const text = canonicalText(members) ?? '';
  assert.deepEqual(
    [...text.matchAll(/:(\d)/g)].map(([, value]) => Number(value)),
    [2, 4, 6, 7, 1, 5, 3],
  );
});

test('one object has one text', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 3 })), (value) => {
      const text = canonicalText(JSON.parse(JSON.stringify(value)));
      assert.ok(text !== undefined);
      assert.deepEqual(parseCanonicalObject(text), JSON.parse(text));
      assert.equal(parseCanonicalObject(`${text} `), undefined);
    }),
  );
  for (const text of [
    '',
    'null',
    '[]',
    '"a"',
    '{"b":1,"a":1}',
    '{"a":1,"a":1}',
    '{"a":1.0}',
    '{"a":-0}',
    '{"a":"\\u0041"}',
  ])
    assert.equal(parseCanonicalObject(text), undefined, text);
  assert.equal(parseCanonicalObject('{"a":"\\ud800"}'), undefined);
  assert.equal(parseCanonicalObject(`{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`), undefined);
});
