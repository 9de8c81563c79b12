import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, flipped, freshCompactKey, key, readVectors, withCode } from './fixture.test.ts';
import {
  compactKeyVersionId,
  generateDataKey,
  openDataKey,
  openDataKeyLayer,
  sealCompact,
  sealDataKey,
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
}

const { dataKeys } = readVectors('compact') as DataKeyVectors;
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
    const ciphertext = sealCompact({ ...outer, context, plaintext });
    assert.throws(
      () => openDataKey({ ciphertext, outer, inner, context }),
      withCode('crypto.ciphertext_invalid'),
    );
  }
  const ciphertext = sealCompact({ ...outer, context, plaintext: Buffer.of(2) });
  assert.throws(
    () => openDataKey({ ciphertext, outer, inner, context }),
    withCode('crypto.ciphertext_truncated'),
  );
});

test('a data key of another size is refused', () => {
  for (const dataKey of [Buffer.alloc(0), Buffer.alloc(31), Buffer.alloc(33)]) {
    assert.throws(
      () => sealDataKey({ dataKey, outer: freshCompactKey(), context }),
      withCode('crypto.argument_invalid'),
    );
  }
});
