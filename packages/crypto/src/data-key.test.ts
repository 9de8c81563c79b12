import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, flipped, freshCompactKey, key, named, readVectors, withCode } from './fixture.test.ts';
import {
  compactKeyVersionId,
  dataKeyContext,
  encodeContext,
  generateDataKey,
  maximumContextBytes,
  openCompact,
  openDataKey,
  openDataKeyLayer,
  sealCompact,
  sealDataKey,
  type CryptoErrorCode,
} from './index.ts';

interface Layer {
  key: string;
  keyVersionId: string;
  tenantId: string;
  keyId: string;
}
interface DataKeyVectors {
  dataKeys: {
    name: string;
    dataKey: string;
    outer: Layer;
    inner?: Layer;
    context: [string, string][];
    ciphertext: string;
  }[];
  dataKeysRefused: { name: string; of: string; ciphertext: string; code: CryptoErrorCode }[];
}

const { dataKeys, dataKeysRefused } = readVectors('compact') as DataKeyVectors;
const context = { study: 'TK-1', subject: 'a1' };

function layerOf(layer: Layer) {
  return {
    key: key(layer.key),
    keyVersionId: bytes(layer.keyVersionId),
    tenantId: bytes(layer.tenantId),
    keyId: bytes(layer.keyId),
  };
}

for (const vector of dataKeys) {
  test(`data key vector: ${vector.name}`, () => {
    const ciphertext = bytes(vector.ciphertext);
    const outer = layerOf(vector.outer);
    const inner = vector.inner && layerOf(vector.inner);
    const opened = openDataKey({ ciphertext, outer, inner, context: Object.fromEntries(vector.context) });
    assert.equal(opened.toString('hex'), vector.dataKey);
  });
}

for (const { name, of, ciphertext, code } of dataKeysRefused) {
  test(`data key refused: ${name} [URS-046]`, () => {
    const vector = named(dataKeys, of);
    const outer = layerOf(vector.outer);
    const inner = vector.inner && layerOf(vector.inner);
    const offered = { ciphertext: bytes(ciphertext), context: Object.fromEntries(vector.context) };
    assert.throws(() => openDataKey({ ...offered, outer, inner }), withCode(code));
  });
}

test('a data key comes back, through one layer and through two', () => {
  const outer = freshCompactKey();
  for (const inner of [undefined, freshCompactKey()]) {
    const dataKey = generateDataKey();
    const ciphertext = sealDataKey({ dataKey, outer, inner, context });
    assert.equal(ciphertext.length, inner === undefined ? 131 : 230);
    assert.deepEqual(compactKeyVersionId(ciphertext), outer.keyVersionId);
    assert.deepEqual(openDataKey({ ciphertext, outer, inner, context }), dataKey);
  }
});

test('the inner key is found by the version that the outer layer names', () => {
  const outer = freshCompactKey();
  const inner = freshCompactKey();
  const dataKey = generateDataKey();
  const ciphertext = sealDataKey({ dataKey, outer, inner, context });
  const asked: Uint8Array[] = [];
  const find = (keyVersionId: Uint8Array) => {
    asked.push(keyVersionId);
    return inner;
  };
  assert.deepEqual(openDataKey({ ciphertext, outer, inner: find, context }), dataKey);
  assert.deepEqual(asked, [inner.keyVersionId]);

  const layer = openDataKeyLayer({ ciphertext, key: outer, context });
  assert.ok(layer.inner);
  assert.deepEqual(layer.innerKeyVersionId, inner.keyVersionId);
  assert.deepEqual(openDataKeyLayer({ ciphertext: layer.inner, key: inner, context }), { dataKey });
});

test('losing either key suffices to forget', () => {
  const outer = freshCompactKey();
  const inner = freshCompactKey();
  const ciphertext = sealDataKey({ dataKey: generateDataKey(), outer, inner, context });
  for (const lost of [
    { outer, inner: freshCompactKey() },
    { outer: freshCompactKey(), inner },
    { outer: inner, inner: outer },
  ]) {
    assert.throws(() => openDataKey({ ciphertext, ...lost, context }), withCode('crypto.ciphertext_invalid'));
  }
  assert.throws(() => openDataKey({ ciphertext, outer, context }), withCode('crypto.inner_key_missing'));
});

test('a data key without the layer that its subject needs is refused', () => {
  const outer = freshCompactKey();
  const ciphertext = sealDataKey({ dataKey: generateDataKey(), outer, context });
  assert.throws(
    () => openDataKey({ ciphertext, outer, inner: freshCompactKey(), context }),
    withCode('crypto.inner_key_unexpected'),
  );
});

test('another context or a flipped bit anywhere never opens', () => {
  const outer = freshCompactKey();
  const inner = freshCompactKey();
  const ciphertext = sealDataKey({ dataKey: generateDataKey(), outer, inner, context });
  const refused = withCode('crypto.ciphertext_invalid', 'crypto.version_unknown', 'crypto.suite_unknown');
  assert.throws(() => openDataKey({ ciphertext, outer, inner, context: { study: 'TK-1' } }), refused);
  for (let offset = 0; offset < ciphertext.length; offset += 1) {
    assert.throws(
      () => openDataKey({ ciphertext: flipped(ciphertext, offset), outer, inner, context }),
      refused,
    );
  }
});

test('an authentic ciphertext whose content is no data key is refused', () => {
  const outer = freshCompactKey();
  const inner = freshCompactKey();
  const nested = sealDataKey({ dataKey: generateDataKey(), outer: inner, inner, context });
  for (const plaintext of [
    Buffer.alloc(0),
    Buffer.of(1),
    Buffer.concat([Buffer.of(1), Buffer.alloc(31)]),
    Buffer.concat([Buffer.of(1), Buffer.alloc(33)]),
    Buffer.concat([Buffer.of(3), Buffer.alloc(32)]),
    Buffer.concat([Buffer.of(2), nested]),
  ]) {
    const ciphertext = sealCompact({ ...outer, context: dataKeyContext(context), plaintext });
    assert.throws(
      () => openDataKey({ ciphertext, outer, inner, context }),
      withCode('crypto.ciphertext_invalid'),
    );
  }
  const ciphertext = sealCompact({ ...outer, context: dataKeyContext(context), plaintext: Buffer.of(2) });
  assert.throws(
    () => openDataKey({ ciphertext, outer, inner, context }),
    withCode('crypto.ciphertext_truncated'),
  );
});

test('a data key does not open as what the encrypt operation returns [URS-046]', () => {
  const outer = freshCompactKey();
  const inner = freshCompactKey();
  const refused = withCode('crypto.ciphertext_invalid');
  for (const caller of [{}, { class: 'ecg' }, context]) {
    const one = sealDataKey({ dataKey: generateDataKey(), outer, context: caller });
    assert.throws(() => openCompact({ ...outer, context: caller, ciphertext: one }), refused);
    const two = sealDataKey({ dataKey: generateDataKey(), outer, inner, context: caller });
    assert.throws(() => openCompact({ ...outer, context: caller, ciphertext: two }), refused);
    const layer = openDataKeyLayer({ ciphertext: two, key: outer, context: caller });
    assert.ok(layer.inner);
    assert.throws(() => openCompact({ ...inner, context: caller, ciphertext: layer.inner }), refused);
  }
});

test('what the encrypt operation returns does not open as a data key, in either layer [URS-046]', () => {
  const outer = freshCompactKey();
  const inner = freshCompactKey();
  const typedContext = dataKeyContext(context);
  const chosen = Buffer.concat([Buffer.of(1), Buffer.alloc(32, 7)]);
  const nested = (innerContext: typeof typedContext) =>
    Buffer.concat([Buffer.of(2), sealCompact({ ...inner, context: innerContext, plaintext: chosen })]);
  const one = sealCompact({ ...outer, context, plaintext: chosen });
  assert.throws(
    () => openDataKey({ ciphertext: one, outer, context }),
    withCode('crypto.ciphertext_invalid'),
  );
  for (const [outerContext, innerContext] of [
    [context, context],
    [context, typedContext],
    [typedContext, context],
  ] as const) {
    const ciphertext = sealCompact({ ...outer, context: outerContext, plaintext: nested(innerContext) });
    assert.throws(
      () => openDataKey({ ciphertext, outer, inner, context }),
      withCode('crypto.ciphertext_invalid'),
    );
  }
  const both = sealCompact({ ...outer, context: typedContext, plaintext: nested(typedContext) });
  assert.deepEqual(openDataKey({ ciphertext: both, outer, inner, context }), chosen.subarray(1));
});

test('a context of the caller that has the reserved name is refused', () => {
  const outer = freshCompactKey();
  const dataKey = generateDataKey();
  const ciphertext = sealDataKey({ dataKey, outer, context });
  const refused = withCode('crypto.context_invalid');
  for (const value of ['data-key', 'other', '']) {
    const reserved = { ...context, 'trialkeep:type': value };
    assert.throws(() => sealDataKey({ dataKey, outer, context: reserved }), refused);
    assert.throws(() => openDataKey({ ciphertext, outer, context: reserved }), refused);
    assert.throws(() => openDataKeyLayer({ ciphertext, key: outer, context: reserved }), refused);
  }
  const own = dataKeyContext(JSON.parse('{"__proto__":"x"}'));
  assert.deepEqual(Object.entries(own), [
    ['__proto__', 'x'],
    ['trialkeep:type', 'data-key'],
  ]);
});

test('the pair counts towards the longest context', () => {
  const outer = freshCompactKey();
  const dataKey = generateDataKey();
  const longest = { a: 'x'.repeat(8166 - 2 - 4 - 1) };
  assert.equal(encodeContext(dataKeyContext(longest)).length, maximumContextBytes);
  const ciphertext = sealDataKey({ dataKey, outer, context: longest });
  assert.deepEqual(openDataKey({ ciphertext, outer, context: longest }), dataKey);
  const longer = { a: `${longest.a}x` };
  const refused = withCode('crypto.context_invalid');
  assert.throws(() => sealDataKey({ dataKey, outer, context: longer }), refused);
  assert.throws(() => openDataKey({ ciphertext, outer, context: longer }), refused);
});

test('a data key of another size is refused', () => {
  for (const dataKey of [Buffer.alloc(0), Buffer.alloc(31), Buffer.alloc(33)]) {
    assert.throws(
      () => sealDataKey({ dataKey, outer: freshCompactKey(), context }),
      withCode('crypto.argument_invalid'),
    );
  }
});
