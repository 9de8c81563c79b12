import assert from 'node:assert/strict';
import { createPublicKey, encapsulate, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { flipped, withCode } from '../fixture.test.ts';
import {
  decapsulateMlKem768,
  decryptOaep,
  deriveSharedSecret,
  encodePublicKey,
  encryptOaep,
  exportSecret,
  generateKeyMaterial,
  importSecret,
  isMac,
  keyAlgorithms,
  macWith,
  parsePublicKey,
  signatureAlgorithms,
  signatureAlgorithmsOf,
  signWith,
  verifyWith,
  type KeyAlgorithm,
  type SignatureAlgorithm,
} from '../index.ts';
import { maximumOaepBytes } from './oaep.ts';
import { encodePss, isPss } from './pss.ts';

const names = Object.keys(keyAlgorithms) as KeyAlgorithm[];
/** One key of each algorithm: RSA keys take long to make. */
const made = new Map(
  await Promise.all(names.map(async (name) => [name, await generateKeyMaterial(name)] as const)),
);
const material = (name: KeyAlgorithm) => made.get(name) ?? assert.fail(name);
const publicKeyOf = (name: KeyAlgorithm) =>
  parsePublicKey(name, material(name).publicKey ?? assert.fail(name));
const keyOf = (algorithm: SignatureAlgorithm) => signatureAlgorithms[algorithm].keys.at(-1) as KeyAlgorithm;

test('a secret of each algorithm comes back from its stored form, which has one encoding [URS-045]', () => {
  for (const name of names) {
    const { secret, publicKey } = material(name);
    const stored = exportSecret(name, secret);
    const again = importSecret(name, stored);
    assert.ok(again?.equals(secret), name);
    if (publicKey !== undefined) assert.deepEqual(encodePublicKey(again ?? secret), publicKey);
    assert.equal(importSecret(name, stored.subarray(1)), undefined);
    assert.equal(importSecret(name, Buffer.concat([stored, Buffer.of(0)])), undefined);
    assert.equal(importSecret(name, Buffer.alloc(0)), undefined);
    const other = secret.type === 'secret' ? 'ED25519' : 'AES_256';
    assert.throws(() => exportSecret(other, secret), withCode('crypto.key_unsuitable'));
  }
});

test('bytes that are no secret are none, whatever they are [URS-045]', () => {
  for (const name of ['ECC_NIST_P256', 'ECC_NIST_P384'] as const) {
    const { bytes } = keyAlgorithms[name].secret;
    assert.equal(importSecret(name, Buffer.alloc(bytes)), undefined);
    assert.equal(importSecret(name, Buffer.alloc(bytes, 0xff)), undefined);
  }
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 2600 }), (noise) => {
      assert.equal(importSecret('RSA_3072', noise), undefined);
    }),
    { numRuns: 50 },
  );
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const ed448 = generateKeyPairSync('ed448').privateKey;
  for (const key of [other, ed448]) {
    assert.equal(importSecret('RSA_3072', key.export({ format: 'der', type: 'pkcs8' })), undefined);
  }
});

test('a public key is taken in its one encoding, and of its own algorithm [URS-045]', () => {
  for (const name of names) {
    const { publicKey } = material(name);
    if (publicKey === undefined) continue;
    assert.equal(parsePublicKey(name, publicKey).type, 'public');
    for (const bad of [publicKey.subarray(1), Buffer.concat([publicKey, Buffer.of(0)]), Buffer.alloc(0)]) {
      assert.throws(() => parsePublicKey(name, bad), withCode('crypto.key_unsuitable'));
    }
    const others = names.filter((other) => other !== name);
    for (const other of others) {
      assert.throws(() => parsePublicKey(other, publicKey), withCode('crypto.key_unsuitable'));
    }
  }
});

test('each way to sign verifies under its own key and message, and nothing else does [URS-045]', () => {
  for (const algorithm of Object.keys(signatureAlgorithms) as SignatureAlgorithm[]) {
    for (const name of signatureAlgorithms[algorithm].keys) {
      const publicKey = publicKeyOf(name);
      for (const message of [Buffer.alloc(0), randomBytes(100), randomBytes(4096)]) {
        const signature = signWith(algorithm, material(name).secret, { message });
        assert.ok(verifyWith(algorithm, publicKey, { message }, signature), algorithm);
        const more = Buffer.concat([message, Buffer.of(0)]);
        assert.ok(!verifyWith(algorithm, publicKey, { message: more }, signature));
        assert.ok(!verifyWith(algorithm, publicKey, { message }, flipped(signature, signature.length - 1)));
        for (const bad of [Buffer.alloc(0), signature.subarray(1), Buffer.alloc(signature.length, 0xff)]) {
          assert.ok(!verifyWith(algorithm, publicKey, { message }, bad));
        }
      }
    }
  }
});

test('a signature of RSA is as long as the modulus: without its leading zero it is none [URS-045]', () => {
  const { secret } = material('RSA_2048');
  const publicKey = publicKeyOf('RSA_2048');
  const signed = { message: Buffer.from('m') };
  let signature = signWith('RSASSA_PSS_SHA_256', secret, signed);
  // One of 256, salt by salt.
  while (signature[0] !== 0) signature = signWith('RSASSA_PSS_SHA_256', secret, signed);
  assert.ok(verifyWith('RSASSA_PSS_SHA_256', publicKey, signed, signature));
  assert.ok(!verifyWith('RSASSA_PSS_SHA_256', publicKey, signed, signature.subarray(1)));
});

test('a key signs in its own ways only [URS-045]', () => {
  const message = Buffer.from('m');
  for (const algorithm of Object.keys(signatureAlgorithms) as SignatureAlgorithm[]) {
    for (const name of names) {
      if (signatureAlgorithmsOf(name).includes(algorithm)) continue;
      const { secret } = material(name);
      assert.throws(() => signWith(algorithm, secret, { message }), withCode('crypto.key_unsuitable'));
    }
    const publicKey = publicKeyOf(keyOf(algorithm));
    assert.throws(() => signWith(algorithm, publicKey, { message }), withCode('crypto.key_unsuitable'));
  }
  assert.throws(
    () => signWith('constructor' as SignatureAlgorithm, material('ED25519').secret, { message }),
    withCode('crypto.algorithm_unknown'),
  );
});

test('ECDSA signatures are DER, and r and s side by side on demand; neither passes as the other [URS-045]', () => {
  const message = randomBytes(50);
  const { secret } = material('ECC_NIST_P256');
  const publicKey = publicKeyOf('ECC_NIST_P256');
  const der = signWith('ECDSA_SHA_256', secret, { message });
  const plain = signWith('ECDSA_SHA_256', secret, { message }, 'p1363');
  assert.equal(der[0], 0x30);
  assert.equal(plain.length, 64);
  assert.ok(verifyWith('ECDSA_SHA_256', publicKey, { message }, plain, 'p1363'));
  assert.ok(!verifyWith('ECDSA_SHA_256', publicKey, { message }, plain));
  assert.ok(!verifyWith('ECDSA_SHA_256', publicKey, { message }, der, 'p1363'));
});

test('an RSA signature of a digest is one of its message, and the reverse [URS-045]', async () => {
  const { createHash } = await import('node:crypto');
  for (const algorithm of ['RSASSA_PSS_SHA_256', 'RSASSA_PSS_SHA_384', 'RSASSA_PSS_SHA_512'] as const) {
    for (const name of signatureAlgorithms[algorithm].keys) {
      const message = randomBytes(70);
      const digest = createHash(signatureAlgorithms[algorithm].hash).update(message).digest();
      const { secret } = material(name);
      const publicKey = publicKeyOf(name);
      const ofDigest = signWith(algorithm, secret, { digest });
      const ofMessage = signWith(algorithm, secret, { message });
      for (const signature of [ofDigest, ofMessage]) {
        assert.ok(verifyWith(algorithm, publicKey, { message }, signature), name);
        assert.ok(verifyWith(algorithm, publicKey, { digest }, signature));
        assert.ok(!verifyWith(algorithm, publicKey, { digest: flipped(digest, 3) }, signature));
        assert.ok(!verifyWith(algorithm, publicKey, { digest }, flipped(signature, 100)));
        assert.ok(!verifyWith(algorithm, publicKey, { digest }, signature.subarray(1)));
      }
      const short = { digest: digest.subarray(1) };
      assert.throws(() => signWith(algorithm, secret, short), withCode('crypto.argument_invalid'));
      const tooBig = Buffer.alloc(ofDigest.length, 0xff);
      assert.ok(!verifyWith(algorithm, publicKey, { digest }, tooBig));
    }
  }
});

test('algorithms that hash for themselves take no digest [URS-045]', () => {
  for (const algorithm of ['ECDSA_SHA_256', 'ECDSA_SHA_384', 'ED25519', 'ML_DSA_65'] as const) {
    const { secret } = material(keyOf(algorithm));
    const digest = { digest: Buffer.alloc(32) };
    assert.throws(() => signWith(algorithm, secret, digest), withCode('crypto.argument_invalid'));
  }
});

test('an encoding for PSS with anything changed is none, for each length of the modulus modulo eight [URS-045]', () => {
  const digest = { hash: 'sha256' as const, bytes: randomBytes(32) };
  for (const bits of [2041, 2042, 2044, 2047, 2048]) {
    const encoded = encodePss(digest, bits);
    assert.equal(encoded.length, Math.ceil(bits / 8));
    assert.ok(isPss(digest, encoded, bits), String(bits));
    for (let at = 0; at < encoded.length; at += 1)
      assert.ok(!isPss(digest, flipped(encoded, at), bits), `${at}`);
    for (const bit of [0, 1, 2, 3, 4, 5, 6, 7]) assert.ok(!isPss(digest, flipped(encoded, 0, bit), bits));
    // A shorter or longer salt than the hash is another scheme.
    assert.ok(!isPss(digest, encodePss(digest, bits, randomBytes(31)), bits));
    assert.ok(!isPss(digest, encodePss(digest, bits, Buffer.alloc(0)), bits));
  }
});

test('a MAC is that of its message under its key, whole [URS-045]', () => {
  for (const name of ['HMAC_256', 'HMAC_384', 'HMAC_512'] as const) {
    const { secret } = material(name);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(1000), (message, at) => {
        const mac = macWith(name, secret, message);
        assert.equal(mac.length, keyAlgorithms[name].secret.bytes);
        assert.ok(isMac(name, secret, message, mac));
        assert.ok(!isMac(name, secret, message, flipped(mac, at % mac.length)));
        assert.ok(!isMac(name, secret, message, mac.subarray(0, 16)));
        assert.ok(!isMac(name, secret, Buffer.concat([message, Buffer.of(0)]), mac));
      }),
      { numRuns: 20 },
    );
  }
  const { secret } = material('AES_256');
  assert.throws(() => macWith('AES_256', secret, Buffer.of()), withCode('crypto.algorithm_unknown'));
  assert.throws(() => macWith('HMAC_512', secret, Buffer.of()), withCode('crypto.key_unsuitable'));
});

test('both sides of an agreement come to one secret; another kind of key, or a point of small order, to none [URS-045]', async () => {
  for (const name of ['ECC_NIST_P256', 'ECC_NIST_P384', 'X25519'] as const) {
    const [ours, theirs] = [material(name), await generateKeyMaterial(name)];
    const one = deriveSharedSecret(name, ours.secret, theirs.publicKey ?? assert.fail());
    const two = deriveSharedSecret(name, theirs.secret, ours.publicKey ?? assert.fail());
    assert.deepEqual(one, two);
    for (const other of names.filter((candidate) => candidate !== name)) {
      const peer = material(other).publicKey;
      if (peer === undefined) continue;
      assert.throws(() => deriveSharedSecret(name, ours.secret, peer), withCode('crypto.key_unsuitable'));
    }
  }
  const zero = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), Buffer.alloc(32)]);
  const { secret } = material('X25519');
  assert.throws(() => deriveSharedSecret('X25519', secret, zero), withCode('crypto.key_unsuitable'));
  assert.throws(
    () => deriveSharedSecret('ML_KEM_768', material('ML_KEM_768').secret, zero),
    withCode('crypto.key_unsuitable'),
  );
});

test('what was encapsulated is decapsulated; what was altered gives another secret [URS-045]', () => {
  const { secret } = material('ML_KEM_768');
  const { sharedKey, ciphertext } = encapsulate(publicKeyOf('ML_KEM_768'));
  assert.deepEqual(decapsulateMlKem768(secret, ciphertext), Buffer.from(sharedKey));
  assert.notDeepEqual(decapsulateMlKem768(secret, flipped(ciphertext, 7)), Buffer.from(sharedKey));
  assert.throws(
    () => decapsulateMlKem768(secret, ciphertext.subarray(1)),
    withCode('crypto.ciphertext_malformed'),
  );
  assert.throws(
    () => decapsulateMlKem768(material('X25519').secret, ciphertext),
    withCode('crypto.key_unsuitable'),
  );
});

test('RSA encryption comes back whole up to its limit, and altered never [URS-045]', () => {
  for (const name of ['RSA_2048', 'RSA_3072', 'RSA_4096'] as const) {
    const publicKey = publicKeyOf(name);
    const { secret } = material(name);
    const most = maximumOaepBytes(publicKey);
    for (const plaintext of [Buffer.alloc(0), randomBytes(32), randomBytes(most)]) {
      const ciphertext = encryptOaep(publicKey, plaintext);
      assert.deepEqual(decryptOaep(secret, ciphertext), plaintext);
      const longer = Buffer.concat([Buffer.of(0), ciphertext]);
      for (const bad of [flipped(ciphertext, 9), ciphertext.subarray(1), longer, Buffer.alloc(0)]) {
        assert.throws(() => decryptOaep(secret, bad), withCode('crypto.ciphertext_invalid'));
      }
    }
    const more = randomBytes(most + 1);
    assert.throws(() => encryptOaep(publicKey, more), withCode('crypto.plaintext_too_long'));
  }
  const { secret } = material('X25519');
  assert.throws(() => decryptOaep(secret, Buffer.alloc(32)), withCode('crypto.key_unsuitable'));
  assert.throws(
    () => encryptOaep(createPublicKey(secret), Buffer.alloc(1)),
    withCode('crypto.key_unsuitable'),
  );
});

test("the platform's own verification takes our signatures of digests [URS-045]", async () => {
  const { constants, createHash } = await import('node:crypto');
  const message = randomBytes(30);
  const digest = createHash('sha512').update(message).digest();
  const signature = signWith('RSASSA_PSS_SHA_512', material('RSA_3072').secret, { digest });
  const key = publicKeyOf('RSA_3072');
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  assert.ok(verify('sha512', message, { key, padding, saltLength: 64 }, signature));
});
