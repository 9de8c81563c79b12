import assert from 'node:assert/strict';
import { generateKeyPairSync, generateKeySync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { sealCompactWithSalt } from './compact.ts';
import {
  bytes,
  flipped,
  freshCompactKey,
  key,
  named,
  readVectors,
  sha256,
  withCode,
  type VectorBytes,
} from './fixture.test.ts';
import {
  compactKeyVersionId,
  compactOverheadBytes,
  maximumCompactPlaintextBytes,
  openCompact,
  sealCompact,
  type CryptoErrorCode,
} from './index.ts';

interface SealVector {
  name: string;
  key: string;
  keyVersionId: string;
  tenantId: string;
  keyId: string;
  context: [string, string][];
  salt: string;
  plaintext: VectorBytes;
  ciphertext?: string;
  ciphertextSha256?: string;
}
interface CompactVectors {
  seal: SealVector[];
  refused: { name: string; of: string; ciphertext: string; code: CryptoErrorCode }[];
}

const vectors = readVectors('compact') as CompactVectors;

function placeOf(vector: SealVector) {
  return {
    key: key(vector.key),
    keyVersionId: bytes(vector.keyVersionId),
    tenantId: bytes(vector.tenantId),
    keyId: bytes(vector.keyId),
    context: Object.fromEntries(vector.context),
  };
}

for (const vector of vectors.seal) {
  test(`compact vector: ${vector.name} [URS-047]`, () => {
    const place = placeOf(vector);
    const plaintext = bytes(vector.plaintext);
    const sealed = sealCompactWithSalt({ ...place, plaintext }, bytes(vector.salt));
    if (vector.ciphertext !== undefined) assert.equal(sealed.toString('hex'), vector.ciphertext);
    else assert.equal(sha256(sealed), vector.ciphertextSha256);
    assert.deepEqual(openCompact({ ...place, ciphertext: sealed }), plaintext);
    assert.deepEqual(compactKeyVersionId(sealed), place.keyVersionId);
  });
}

for (const vector of vectors.refused) {
  test(`compact ciphertext refused: ${vector.name} [URS-046]`, () => {
    const place = placeOf(named(vectors.seal, vector.of));
    const ciphertext = bytes(vector.ciphertext);
    assert.throws(() => openCompact({ ...place, ciphertext }), withCode(vector.code));
  });
}

test('what was sealed opens byte-identical, 98 bytes shorter [URS-047]', () => {
  const place = freshCompactKey();
  const names = fc.string({ minLength: 1 });
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.dictionary(names, fc.string()),
      (plaintext, context) => {
        const ciphertext = sealCompact({ ...place, context, plaintext });
        assert.equal(ciphertext.length, plaintext.length + compactOverheadBytes);
        assert.deepEqual(openCompact({ ...place, context, ciphertext }), Buffer.from(plaintext));
      },
    ),
  );
});

test('two ciphertexts of one plaintext have nothing in common but their key version', () => {
  const o = { ...freshCompactKey(), context: {}, plaintext: Buffer.alloc(64) };
  const [a, b] = [sealCompact(o), sealCompact(o)];
  assert.deepEqual(a.subarray(0, 18), b.subarray(0, 18));
  for (let at = 18; at < a.length; at += 16) {
    assert.notDeepEqual(a.subarray(at, at + 16), b.subarray(at, at + 16));
  }
});

test('a bit flipped in any byte never opens [URS-046]', () => {
  const place = { ...freshCompactKey(), context: { study: 'TK-1' } };
  const sealed = sealCompact({ ...place, plaintext: randomBytes(5) });
  for (let offset = 0; offset < sealed.length; offset += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const ciphertext = flipped(sealed, offset, bit);
      const code =
        offset === 0
          ? 'crypto.version_unknown'
          : offset === 1
            ? 'crypto.suite_unknown'
            : 'crypto.ciphertext_invalid';
      assert.throws(() => openCompact({ ...place, ciphertext }), withCode(code));
    }
  }
});

test('cut off at any length, or with bytes added, it never opens [URS-046]', () => {
  const place = { ...freshCompactKey(), context: {} };
  const sealed = sealCompact({ ...place, plaintext: randomBytes(5) });
  for (let length = 0; length < sealed.length; length += 1) {
    const ciphertext = sealed.subarray(0, length);
    const code = length < compactOverheadBytes ? 'crypto.ciphertext_truncated' : 'crypto.ciphertext_invalid';
    assert.throws(() => openCompact({ ...place, ciphertext }), withCode(code));
  }
  for (const extra of [1, 16, 98]) {
    const ciphertext = Buffer.concat([sealed, randomBytes(extra)]);
    assert.throws(() => openCompact({ ...place, ciphertext }), withCode('crypto.ciphertext_invalid'));
  }
});

test('another key, tenant, key id or context never opens [URS-049]', () => {
  const place = { ...freshCompactKey(), context: { study: 'TK-1', subject: 'a1' } };
  const other = freshCompactKey();
  const ciphertext = sealCompact({ ...place, plaintext: randomBytes(5) });
  const wrong = [
    { key: other.key },
    { tenantId: other.tenantId },
    { keyId: other.keyId },
    { tenantId: place.keyId, keyId: place.tenantId },
    { context: {} },
    { context: { study: 'TK-1' } },
    { context: { study: 'TK-1', subject: 'a2' } },
    { context: { study: 'TK-1', subject: 'a1', more: '' } },
  ];
  for (const change of wrong) {
    assert.throws(
      () => openCompact({ ...place, ...change, ciphertext }),
      withCode('crypto.ciphertext_invalid'),
    );
  }
});

test('a ciphertext that names another key version never opens, even with the key of the first', () => {
  const place = { ...freshCompactKey(), context: {} };
  const ciphertext = sealCompact({ ...place, plaintext: randomBytes(5) });
  ciphertext.set(randomBytes(16), 2);
  assert.throws(() => openCompact({ ...place, ciphertext }), withCode('crypto.ciphertext_invalid'));
});

test('noise gives a typed error', () => {
  const place = { ...freshCompactKey(), context: {} };
  const shaped = fc
    .uint8Array({ minLength: 96, maxLength: 200 })
    .map((rest) => Buffer.concat([Buffer.of(1, 1), rest]));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), shaped), (ciphertext) => {
      assert.throws(
        () => openCompact({ ...place, ciphertext }),
        withCode(
          'crypto.ciphertext_invalid',
          'crypto.ciphertext_truncated',
          'crypto.version_unknown',
          'crypto.suite_unknown',
        ),
      );
    }),
  );
});

test('what is longer than the form allows is refused both ways', () => {
  const place = { ...freshCompactKey(), context: {} };
  const plaintext = Buffer.alloc(maximumCompactPlaintextBytes + 1);
  assert.throws(() => sealCompact({ ...place, plaintext }), withCode('crypto.plaintext_too_long'));
  const ciphertext = Buffer.alloc(maximumCompactPlaintextBytes + compactOverheadBytes + 1, 1);
  assert.throws(() => openCompact({ ...place, ciphertext }), withCode('crypto.ciphertext_malformed'));
  assert.throws(() => compactKeyVersionId(ciphertext), withCode('crypto.ciphertext_malformed'));
});

test('keys and identifiers of another size are refused', () => {
  const place = { ...freshCompactKey(), context: {}, plaintext: Buffer.alloc(1) };
  for (const unsuitable of [
    generateKeySync('aes', { length: 128 }),
    generateKeySync('hmac', { length: 512 }),
    generateKeyPairSync('ed25519').privateKey,
  ]) {
    assert.throws(() => sealCompact({ ...place, key: unsuitable }), withCode('crypto.key_unsuitable'));
  }
  for (const name of ['keyVersionId', 'tenantId', 'keyId']) {
    for (const value of [Buffer.alloc(15), Buffer.alloc(17), '0'.repeat(16)]) {
      assert.throws(() => sealCompact({ ...place, [name]: value }), withCode('crypto.argument_invalid'));
    }
  }
});
