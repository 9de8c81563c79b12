/** Project Wycheproof's vectors against the primitives of the recipients, as the package and its library use them. */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { AEAD_AES_256_GCM, KDF_HKDF_SHA256 } from 'hpke';
import { bytes, realInput, withCode } from '../fixture.test.ts';
import { hpkeRecipient, rsaOaepIdentity } from '../index.ts';
import { deriveFromPassword } from '../password.ts';
import { generateHpkeKey } from './hpke.ts';
import { openOaep } from './rsa-oaep.ts';

type Vector<Fields extends string> = Readonly<Record<Fields, string>> & {
  readonly tcId: number;
  readonly flags: readonly string[];
  readonly result: 'valid' | 'invalid' | 'acceptable';
};
type Group<V, G = object> = G & { readonly tests: readonly V[] };

function groupsOf(path: string): unknown {
  return (JSON.parse(readFileSync(path, 'utf8')) as { testGroups: unknown }).testGroups;
}

// The types of the DOM do not know ML-KEM yet.
const subtle = crypto.subtle as unknown as {
  importKey(
    format: string,
    key: Uint8Array,
    algorithm: object,
    extractable: boolean,
    usages: string[],
  ): Promise<CryptoKey>;
  exportKey(format: string, key: CryptoKey): Promise<ArrayBuffer>;
  getPublicKey(key: CryptoKey, usages: string[]): Promise<CryptoKey>;
  decapsulateBits(algorithm: object, key: CryptoKey, ciphertext: Uint8Array): Promise<ArrayBuffer>;
  deriveBits(algorithm: object, key: CryptoKey, bits: number): Promise<ArrayBuffer>;
};
type CryptoKey = object & { readonly __brand?: never };

const mlKem = realInput('wycheproof/testvectors_v1/mlkem_768_test.json');
test('Wycheproof ML-KEM-768: keys from seeds, and decapsulation', { skip: mlKem.skip }, async () => {
  type V = Vector<'seed' | 'ek' | 'c' | 'K'>;
  const algorithm = { name: 'ML-KEM-768' };
  let invalid = 0;
  for (const vector of (groupsOf(mlKem.path) as Group<V>[]).flatMap(({ tests }) => tests)) {
    const decapsulate = async () => {
      const key = await subtle.importKey('raw-seed', bytes(vector.seed), algorithm, false, [
        'decapsulateBits',
      ]);
      const publicKey = await subtle.getPublicKey(key, ['encapsulateBits']);
      if (vector.ek !== undefined) {
        assert.deepEqual(Buffer.from(await subtle.exportKey('raw-public', publicKey)), bytes(vector.ek));
      }
      return Buffer.from(await subtle.decapsulateBits(algorithm, key, bytes(vector.c))).toString('hex');
    };
    if (vector.result === 'valid') assert.equal(await decapsulate(), vector.K, `vector ${vector.tcId}`);
    else {
      invalid += 1;
      await assert.rejects(decapsulate(), `vector ${vector.tcId}`);
    }
  }
  assert.ok(invalid > 10);
});

const x25519 = realInput('wycheproof/testvectors_v1/x25519_test.json');
test('Wycheproof X25519: shared secrets, none of them zero', { skip: x25519.skip }, async () => {
  type V = Vector<'public' | 'private' | 'shared'>;
  const algorithm = { name: 'X25519' };
  const pkcs8 = '302e020100300506032b656e04220420';
  let zero = 0;
  for (const vector of (groupsOf(x25519.path) as Group<V>[]).flatMap(({ tests }) => tests)) {
    const privateKey = await subtle.importKey('pkcs8', bytes(pkcs8 + vector.private), algorithm, false, [
      'deriveBits',
    ]);
    const publicKey = await subtle.importKey('raw', bytes(vector.public), algorithm, true, []);
    const agree = async () =>
      Buffer.from(await subtle.deriveBits({ ...algorithm, public: publicKey }, privateKey, 256)).toString(
        'hex',
      );
    if (/^0+$/.test(vector.shared)) {
      zero += 1;
      await assert.rejects(agree(), `vector ${vector.tcId}`);
    } else assert.equal(await agree(), vector.shared, `vector ${vector.tcId}`);
  }
  assert.ok(zero > 10);
});

test('Wycheproof X25519: public keys of recipients [URS-045]', { skip: x25519.skip }, async () => {
  type V = Vector<'public' | 'shared'>;
  const suite = 'mlkem768-x25519';
  const { publicKey } = await generateHpkeKey(suite);
  const mlKemKey = publicKey.subarray(0, -32);
  const vectors = (groupsOf(x25519.path) as Group<V>[]).flatMap(({ tests }) => tests);
  const counts = { refused: 0, accepted: 0 };
  for (const vector of new Map(vectors.map((each) => [each.public, each])).values()) {
    const making = hpkeRecipient({ suite, publicKey: Buffer.concat([mlKemKey, bytes(vector.public)]) });
    if (vector.flags.includes('NonCanonicalPublic') || /^0+$/.test(vector.shared)) {
      counts.refused += 1;
      await assert.rejects(making, withCode('crypto.public_key_invalid'), `vector ${vector.tcId}`);
    } else {
      counts.accepted += 1;
      await making;
    }
  }
  assert.ok(counts.refused > 20 && counts.accepted > 100, JSON.stringify(counts));
});

const oaep = realInput('wycheproof/testvectors_v1/rsa_oaep_3072_sha256_mgf1sha256_test.json');
test('Wycheproof RSA-OAEP, 3,072 bits, SHA-256', { skip: oaep.skip }, async () => {
  type V = Vector<'msg' | 'ct' | 'label'>;
  let refused = 0;
  for (const { privateKeyPkcs8, tests } of groupsOf(oaep.path) as Group<V, { privateKeyPkcs8: string }>[]) {
    const privateKey = createPrivateKey({ key: bytes(privateKeyPkcs8), format: 'der', type: 'pkcs8' });
    const identity = rsaOaepIdentity({ namespace: 'n', name: 'n', privateKey });
    for (const vector of tests) {
      // The label is always empty here: with another one nothing opens.
      const opens = vector.result === 'valid' && vector.label === '';
      const opened = openOaep(privateKey, 'sha256', bytes(vector.ct));
      assert.equal(opened?.toString('hex'), opens ? vector.msg : undefined, `vector ${vector.tcId}`);
      if (opens && vector.msg.length === 64) continue;
      refused += 1;
      const encrypted = { providerId: 'n', providerInfo: Buffer.from('n'), ciphertext: bytes(vector.ct) };
      await assert.rejects(identity.unwrap(encrypted, {}), withCode('crypto.ciphertext_invalid'));
    }
  }
  assert.ok(refused > 20);
});

const hkdf = realInput('wycheproof/testvectors_v1/hkdf_sha256_test.json');
test('Wycheproof HKDF-SHA-256, as the library has it', { skip: hkdf.skip }, async () => {
  type V = Vector<'ikm' | 'salt' | 'info' | 'okm'> & { readonly size: number };
  const kdf = KDF_HKDF_SHA256();
  let invalid = 0;
  for (const vector of (groupsOf(hkdf.path) as Group<V>[]).flatMap(({ tests }) => tests)) {
    const derive = async () => {
      const extracted = await kdf.Extract(bytes(vector.salt), bytes(vector.ikm));
      return Buffer.from(await kdf.Expand(extracted, bytes(vector.info), vector.size)).toString('hex');
    };
    if (vector.result === 'valid') assert.equal(await derive(), vector.okm, `vector ${vector.tcId}`);
    else {
      invalid += 1;
      await assert.rejects(derive(), `vector ${vector.tcId}`);
    }
  }
  assert.ok(invalid > 0);
});

const gcm = realInput('wycheproof/testvectors_v1/aes_gcm_test.json');
test('Wycheproof AES-256-GCM, as the library has it', { skip: gcm.skip }, async () => {
  type V = Vector<'key' | 'iv' | 'aad' | 'msg' | 'ct' | 'tag'>;
  type Sizes = { keySize: number; ivSize: number; tagSize: number };
  const aead = AEAD_AES_256_GCM();
  const groups = (groupsOf(gcm.path) as Group<V, Sizes>[]).filter(
    ({ keySize, ivSize, tagSize }) => keySize === 256 && ivSize === 96 && tagSize === 128,
  );
  const tests = groups.flatMap((group) => group.tests);
  assert.ok(tests.length > 50);
  for (const vector of tests) {
    const open = async () =>
      Buffer.from(
        await aead.Open(
          bytes(vector.key),
          bytes(vector.iv),
          bytes(vector.aad),
          bytes(vector.ct + vector.tag),
        ),
      ).toString('hex');
    if (vector.result === 'valid') assert.equal(await open(), vector.msg, `vector ${vector.tcId}`);
    else await assert.rejects(open(), `vector ${vector.tcId}`);
  }
});

const pbkdf2 = realInput('wycheproof/testvectors_v1/pbkdf2_hmacsha512_test.json');
test('Wycheproof PBKDF2 with HMAC-SHA-512', { skip: pbkdf2.skip }, async () => {
  type V = Vector<'password' | 'salt' | 'dk'> & { readonly iterationCount: number };
  let derived = 0;
  for (const vector of (groupsOf(pbkdf2.path) as Group<V>[]).flatMap(({ tests }) => tests)) {
    const password = bytes(vector.password).toString();
    // Passwords are text here.
    if (!Buffer.from(password).equals(bytes(vector.password))) continue;
    derived += 1;
    const scheme = { algorithm: 'pbkdf2-sha512', cost: { i: vector.iterationCount } } as const;
    const key = (await deriveFromPassword(scheme, password, bytes(vector.salt))).toString('hex');
    const length = Math.min(key.length, vector.dk.length);
    assert.equal(key.slice(0, length), vector.dk.slice(0, length), `vector ${vector.tcId}`);
  }
  assert.ok(derived > 30);
});
