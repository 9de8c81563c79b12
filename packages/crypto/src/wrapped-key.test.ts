import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, generateKeySync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { bytes, flipped, key, named, readVectors, withCode } from './fixture.test.ts';
import {
  decodeKeyStructure,
  ed25519PublicKey,
  encodeKeyStructure,
  generateKey,
  generateKeyMaterial,
  importSecret,
  isForPurpose,
  keyAlgorithms,
  keyPurposes,
  signEd25519,
  unwrapKey,
  verifyEd25519,
  wrapKey,
  wrappedKeyBytes,
  type CryptoErrorCode,
  type KeyAlgorithm,
  type KeyPlace,
} from './index.ts';
import { wrapKeyWithSalt } from './wrapped-key.ts';

interface WrapVector {
  name: string;
  wrappingKey: string;
  place: {
    kind: KeyPlace['kind'];
    tenantId: string;
    keyId: string;
    versionId: string;
    purpose: KeyPlace['purpose'];
    algorithm?: KeyAlgorithm;
  };
  salt: string;
  secret: string;
  wrapped: string;
}
interface WrapVectors {
  wrap: WrapVector[];
  refused: { name: string; of: string; wrapped: string; code: CryptoErrorCode }[];
}

const vectors = readVectors('wrapped-key') as WrapVectors;

function placeOf({ place }: WrapVector): KeyPlace {
  return {
    ...place,
    tenantId: bytes(place.tenantId),
    keyId: bytes(place.keyId),
    versionId: bytes(place.versionId),
  };
}

function keyOf({ place, secret }: WrapVector) {
  if (place.algorithm !== undefined) {
    return importSecret(place.algorithm, bytes(secret)) ?? assert.fail(place.algorithm);
  }
  if (place.purpose !== 'sign') return key(secret);
  const der = Buffer.from(`302e020100300506032b657004220420${secret}`, 'hex');
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

function freshPlace(purpose: KeyPlace['purpose'] = 'encrypt'): KeyPlace {
  return {
    kind: 'system',
    tenantId: randomBytes(16),
    keyId: randomBytes(16),
    versionId: randomBytes(16),
    purpose,
  };
}

for (const vector of vectors.wrap) {
  test(`wrapped key vector: ${vector.name} [URS-008]`, () => {
    const wrappingKey = key(vector.wrappingKey);
    const place = placeOf(vector);
    const wrapped = wrapKeyWithSalt({ wrappingKey, place, key: keyOf(vector) }, bytes(vector.salt));
    assert.equal(wrapped.toString('hex'), vector.wrapped);
    assert.ok(unwrapKey({ wrappingKey, place, wrapped }).equals(keyOf(vector)));
  });
}

for (const vector of vectors.refused) {
  test(`wrapped key refused: ${vector.name}`, () => {
    const of = named(vectors.wrap, vector.of);
    const o = { wrappingKey: key(of.wrappingKey), place: placeOf(of), wrapped: bytes(vector.wrapped) };
    assert.throws(() => unwrapKey(o), withCode(vector.code));
  });
}

test('a key of each purpose comes back, and the wrapped key does not contain it [URS-008]', () => {
  for (const purpose of Object.keys(keyPurposes) as KeyPlace['purpose'][]) {
    const wrappingKey = generateKey('AES_256');
    const place = freshPlace(purpose);
    const { algorithm } = keyPurposes[purpose];
    if (algorithm === undefined) continue;
    const secret = generateKey(algorithm);
    const wrapped = wrapKey({ wrappingKey, place, key: secret });
    assert.equal(wrapped.length, wrappedKeyBytes);
    assert.ok(unwrapKey({ wrappingKey, place, wrapped }).equals(secret));
    const material =
      purpose === 'sign-pq'
        ? secret.export({ format: 'raw-seed' })
        : secret.type === 'secret'
          ? secret.export()
          : secret.export({ format: 'der', type: 'pkcs8' }).subarray(16);
    assert.equal(material.length, 32);
    assert.ok(!wrapped.includes(material));
  }
});

test("a system's key of each algorithm comes back at its own purpose, and at no other place [URS-008] [URS-045]", async () => {
  const wrappingKey = generateKey('AES_256');
  const algorithms = (Object.keys(keyAlgorithms) as KeyAlgorithm[]).filter((name) => name !== 'RSA_4096');
  const purposes = Object.keys(keyPurposes) as KeyPlace['purpose'][];
  for (const algorithm of algorithms) {
    const { secret } = await generateKeyMaterial(algorithm);
    for (const purpose of purposes) {
      const place: KeyPlace = { ...freshPlace(purpose), algorithm };
      if (!isForPurpose(algorithm, purpose) && keyPurposes[purpose].algorithm !== algorithm) {
        assert.throws(
          () => wrapKey({ wrappingKey, place, key: secret }),
          withCode('crypto.argument_invalid'),
        );
        continue;
      }
      const wrapped = wrapKey({ wrappingKey, place, key: secret });
      assert.ok(unwrapKey({ wrappingKey, place, wrapped }).equals(secret), `${algorithm} ${purpose}`);
      for (const other of algorithms) {
        if (other === algorithm || !isForPurpose(other, purpose)) continue;
        const moved = { wrappingKey, place: { ...place, algorithm: other }, wrapped };
        assert.throws(
          () => unwrapKey(moved),
          withCode('crypto.wrapped_key_invalid', 'crypto.wrapped_key_malformed'),
        );
      }
    }
  }
});

test('a key of one algorithm is not wrapped as one of another [URS-045]', async () => {
  const wrappingKey = generateKey('AES_256');
  const { secret: p256 } = await generateKeyMaterial('ECC_NIST_P256');
  const { secret: rsa } = await generateKeyMaterial('RSA_2048');
  for (const [algorithm, key] of [
    ['ECC_NIST_P384', p256],
    ['ED25519', p256],
    ['RSA_3072', rsa],
    ['ML_DSA_65', rsa],
  ] as const) {
    const place: KeyPlace = { ...freshPlace('sign'), algorithm };
    assert.throws(() => wrapKey({ wrappingKey, place, key }), withCode('crypto.key_unsuitable'));
  }
});

test('an unwrapped ledger key signs for the public key of the wrapped one', () => {
  const wrappingKey = generateKey('AES_256');
  const place: KeyPlace = { ...freshPlace('sign'), kind: 'ledger' };
  const signer = generateKey('ED25519');
  const wrapped = wrapKey({ wrappingKey, place, key: signer });
  const message = randomBytes(100);
  const signature = signEd25519(unwrapKey({ wrappingKey, place, wrapped }), message);
  assert.ok(verifyEd25519(ed25519PublicKey(signer), message, signature));
});

test('a bit flipped in any byte never unwraps [URS-008]', () => {
  const wrappingKey = generateKey('AES_256');
  const place = freshPlace();
  const wrapped = wrapKey({ wrappingKey, place, key: generateKey('AES_256') });
  for (let offset = 0; offset < wrapped.length; offset += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const code =
        offset === 0
          ? 'crypto.version_unknown'
          : offset === 1
            ? 'crypto.suite_unknown'
            : 'crypto.wrapped_key_invalid';
      assert.throws(
        () => unwrapKey({ wrappingKey, place, wrapped: flipped(wrapped, offset, bit) }),
        withCode(code),
      );
    }
  }
});

test('a wrapped key has one length', () => {
  const wrappingKey = generateKey('AES_256');
  const place = freshPlace();
  const wrapped = wrapKey({ wrappingKey, place, key: generateKey('AES_256') });
  for (let length = 0; length < wrapped.length; length += 1) {
    assert.throws(
      () => unwrapKey({ wrappingKey, place, wrapped: wrapped.subarray(0, length) }),
      withCode('crypto.wrapped_key_malformed'),
    );
  }
  assert.throws(
    () => unwrapKey({ wrappingKey, place, wrapped: Buffer.concat([wrapped, Buffer.of(0)]) }),
    withCode('crypto.wrapped_key_malformed'),
  );
});

test('a wrapped key moved to any other place never unwraps [URS-049]', () => {
  const wrappingKey = generateKey('AES_256');
  const place = freshPlace();
  const wrapped = wrapKey({ wrappingKey, place, key: generateKey('AES_256') });
  const elsewhere: Partial<KeyPlace>[] = [
    { kind: 'tenant' },
    { tenantId: randomBytes(16) },
    { keyId: randomBytes(16) },
    { versionId: randomBytes(16) },
    { purpose: 'wrap' },
    { purpose: 'mac' },
    { purpose: 'sign' },
    { purpose: 'authenticate' },
    { keyId: place.versionId, versionId: place.keyId },
  ];
  for (const change of elsewhere) {
    assert.throws(
      () => unwrapKey({ wrappingKey, place: { ...place, ...change }, wrapped }),
      withCode('crypto.wrapped_key_invalid'),
    );
  }
  assert.throws(
    () => unwrapKey({ wrappingKey: generateKey('AES_256'), place, wrapped }),
    withCode('crypto.wrapped_key_invalid'),
  );
});

test('the structure names its place by itself, for a root whose wrap has no authenticated data', () => {
  const place = freshPlace();
  const secret = generateKey('AES_256');
  const structure = encodeKeyStructure(place, secret);
  assert.ok(decodeKeyStructure(place, structure).equals(secret));
  for (const change of [
    { kind: 'tenant' },
    { tenantId: randomBytes(16) },
    { keyId: randomBytes(16) },
    { versionId: randomBytes(16) },
    { purpose: 'wrap' },
    { purpose: 'mac' },
  ] satisfies Partial<KeyPlace>[]) {
    assert.throws(
      () => decodeKeyStructure({ ...place, ...change }, structure),
      withCode('crypto.wrapped_key_invalid'),
    );
  }
  for (const altered of [
    structure.subarray(1),
    Buffer.concat([structure, Buffer.of(0)]),
    flipped(structure, 50),
  ]) {
    assert.throws(() => decodeKeyStructure(place, altered), withCode('crypto.wrapped_key_invalid'));
  }
});

test('a key that does not fit its purpose is not wrapped [URS-045]', () => {
  const wrappingKey = generateKey('AES_256');
  const cases = [
    [freshPlace('encrypt'), generateKeySync('aes', { length: 128 })],
    [freshPlace('encrypt'), generateKey('ED25519')],
    [freshPlace('sign'), generateKey('AES_256')],
    [freshPlace('sign'), generateKeyPairSync('ed25519').publicKey],
    [freshPlace('sign'), generateKeyPairSync('ed448').privateKey],
    [freshPlace('sign'), generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
  ] as const;
  for (const [place, unsuitable] of cases) {
    assert.throws(() => wrapKey({ wrappingKey, place, key: unsuitable }), withCode('crypto.key_unsuitable'));
  }
  assert.throws(
    () =>
      wrapKey({
        wrappingKey: generateKeySync('aes', { length: 128 }),
        place: freshPlace(),
        key: generateKey('AES_256'),
      }),
    withCode('crypto.key_unsuitable'),
  );
});

test('a place that does not exist is refused', () => {
  const wrappingKey = generateKey('AES_256');
  for (const change of [
    { kind: 'constructor' },
    { kind: 'toString' },
    { purpose: 'constructor' },
    { purpose: 'decrypt' },
    { tenantId: Buffer.alloc(15) },
    { keyId: Buffer.alloc(0) },
    { versionId: 'v'.repeat(16) },
  ]) {
    const place = { ...freshPlace(), ...change } as KeyPlace;
    assert.throws(
      () => wrapKey({ wrappingKey, place, key: generateKey('AES_256') }),
      withCode('crypto.argument_invalid'),
    );
  }
});
