/** Project Wycheproof's vectors against the primitives as this package uses them. */
import assert from 'node:assert/strict';
import { createHmac, createPrivateKey, createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { realInput } from './fixture.test.ts';
import { ed25519PublicKey, signEd25519, verifyEd25519 } from './index.ts';
import { MessageVerification, parseVerificationKey } from './message/signature.ts';
import { decrypt, encrypt, hkdf, hkdfExpand, hmacSha256 } from './primitives.ts';
import { kdfHash } from './registry.ts';

interface Group<T> {
  readonly keySize?: number;
  readonly ivSize?: number;
  readonly tagSize?: number;
  readonly publicKey?: { readonly pk?: string; readonly uncompressed?: string };
  readonly tests: readonly (T & { readonly tcId: number; readonly result: string })[];
}

const hex = (text: string) => Buffer.from(text, 'hex');

function read(path: string): unknown {
  return (JSON.parse(readFileSync(path, 'utf8')) as { testGroups: unknown }).testGroups;
}

const gcm = realInput('wycheproof/testvectors_v1/aes_gcm_test.json');
test('Wycheproof AES-256-GCM', { skip: gcm.skip }, () => {
  interface Vector {
    key: string;
    iv: string;
    aad: string;
    msg: string;
    ct: string;
    tag: string;
  }
  const groups = (read(gcm.path) as Group<Vector>[]).filter(
    ({ keySize, ivSize, tagSize }) => keySize === 256 && ivSize === 96 && tagSize === 128,
  );
  const tests = groups.flatMap((group) => group.tests);
  assert.ok(tests.length > 50);
  for (const vector of tests) {
    const key = createSecretKey(hex(vector.key));
    const opened = decrypt(key, hex(vector.iv), hex(vector.aad), hex(vector.ct), hex(vector.tag));
    if (vector.result !== 'valid') {
      assert.equal(opened, undefined, `vector ${vector.tcId}`);
      continue;
    }
    assert.equal(opened?.toString('hex'), vector.msg, `vector ${vector.tcId}`);
    const sealed = encrypt(key, hex(vector.iv), hex(vector.aad), hex(vector.msg));
    assert.deepEqual([sealed.ciphertext, sealed.tag], [hex(vector.ct), hex(vector.tag)]);
  }
});

const hkdfVectors = realInput('wycheproof/testvectors_v1/hkdf_sha512_test.json');
test('Wycheproof HKDF-SHA-512', { skip: hkdfVectors.skip }, () => {
  interface Vector {
    ikm: string;
    salt: string;
    info: string;
    size: number;
    okm: string;
  }
  const groups = read(hkdfVectors.path) as Group<Vector>[];
  let oneBlock = 0;
  for (const vector of groups.flatMap((group) => group.tests)) {
    const input = createSecretKey(hex(vector.ikm));
    const derive = () => hkdf(input, hex(vector.salt), hex(vector.info), vector.size);
    if (vector.result !== 'valid') {
      assert.throws(derive, `vector ${vector.tcId}`);
      continue;
    }
    assert.equal(derive().toString('hex'), vector.okm, `vector ${vector.tcId}`);
    if (vector.size > 64) continue;
    oneBlock += 1;
    // HKDF-Extract is HMAC with the salt as its key (RFC 5869 section 2.2).
    const extracted = createSecretKey(createHmac(kdfHash, hex(vector.salt)).update(hex(vector.ikm)).digest());
    const expanded = hkdfExpand(extracted, hex(vector.info));
    assert.equal(expanded.subarray(0, vector.size).toString('hex'), vector.okm);
  }
  assert.ok(oneBlock > 20);
});

const hmac = realInput('wycheproof/testvectors_v1/hmac_sha256_test.json');
test('Wycheproof HMAC-SHA-256', { skip: hmac.skip }, () => {
  interface Vector {
    key: string;
    msg: string;
    tag: string;
  }
  const groups = (read(hmac.path) as Group<Vector>[]).filter(({ tagSize }) => tagSize === 256);
  const tests = groups.flatMap((group) => group.tests);
  assert.ok(tests.length > 50);
  for (const vector of tests) {
    const tag = hmacSha256(hex(vector.key), hex(vector.msg)).toString('hex');
    assert.equal(tag === vector.tag, vector.result === 'valid', `vector ${vector.tcId}`);
  }
});

const ed25519 = realInput('wycheproof/testvectors_v1/ed25519_test.json');
test('Wycheproof Ed25519', { skip: ed25519.skip }, () => {
  interface Vector {
    msg: string;
    sig: string;
  }
  let verified = 0;
  for (const group of read(ed25519.path) as Group<Vector>[]) {
    const publicKey = hex(group.publicKey?.pk ?? '');
    for (const vector of group.tests) {
      const holds = verifyEd25519(publicKey, hex(vector.msg), hex(vector.sig));
      assert.equal(holds, vector.result === 'valid', `vector ${vector.tcId}`);
      verified += 1;
    }
  }
  assert.ok(verified > 100);
});

const ecdsa = realInput('wycheproof/testvectors_v1/ecdsa_secp384r1_sha384_test.json');
test('Wycheproof ECDSA P-384 with SHA-384 [URS-045]', { skip: ecdsa.skip }, () => {
  interface Vector {
    msg: string;
    sig: string;
  }
  const seen = { valid: 0, invalid: 0 };
  for (const group of read(ecdsa.path) as Group<Vector>[]) {
    const [form, ...coordinates] = hex(group.publicKey?.uncompressed ?? '');
    assert.deepEqual([form, coordinates.length], [4, 96]);
    const isOdd = (coordinates.at(-1) ?? 0) % 2;
    const point = Buffer.from([2 + isOdd, ...coordinates.slice(0, 48)]);
    const publicKey = parseVerificationKey(point.toString('base64'));
    for (const vector of group.tests) {
      const verification = new MessageVerification(publicKey);
      verification.update(hex(vector.msg));
      const valid = vector.result === 'valid';
      assert.equal(verification.holds(hex(vector.sig)), valid, `vector ${vector.tcId}`);
      seen[valid ? 'valid' : 'invalid'] += 1;
    }
  }
  assert.ok(seen.valid > 100 && seen.invalid > 100);
});

test('Ed25519: the first vector of RFC 8032 section 7.1', () => {
  const seed = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';
  const key = createPrivateKey({
    key: hex(`302e020100300506032b657004220420${seed}`),
    format: 'der',
    type: 'pkcs8',
  });
  const message = Buffer.alloc(0);
  const signature = signEd25519(key, message);
  assert.equal(
    signature.toString('hex'),
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  );
  assert.ok(verifyEd25519(ed25519PublicKey(key), message, signature));
  assert.ok(!verifyEd25519(ed25519PublicKey(key), Buffer.of(0), signature));
});
