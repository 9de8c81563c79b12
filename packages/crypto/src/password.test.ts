import assert from 'node:assert/strict';
import { argon2Sync, pbkdf2Sync } from 'node:crypto';
import { test } from 'node:test';
import { withCode } from './fixture.test.ts';
import {
  hashPassword,
  maximumPasswordBytes,
  needsRehash,
  normalizePassword,
  passwordLength,
  verifyPassword,
  type PasswordHashAlgorithm,
} from './index.ts';

// Made by a second implementation, in another language, for the password below in NFC.
const password = 'Zürich Å ß 🔑';
const argon2id =
  '$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$Noluc+7e3rytL79LC/alPYDjCy2Rt3BsYv+ynd4zWtQ';
const pbkdf2 = '$pbkdf2-sha512$i=210000$AAECAwQFBgcICQoLDA0ODw$OKPzsvyjrVpE2tDF0Ou9ew8ElhTHUCKfqhN9ZGpYFls';
const cheap = { cost: { m: 19_456, t: 2 } };

test('Argon2id: the test vector of RFC 9106 section 5.3', () => {
  const tag = argon2Sync('argon2id', {
    message: Buffer.alloc(32, 1),
    nonce: Buffer.alloc(16, 2),
    secret: Buffer.alloc(8, 3),
    associatedData: Buffer.alloc(12, 4),
    memory: 32,
    passes: 3,
    parallelism: 4,
    tagLength: 32,
  });
  assert.equal(tag.toString('hex'), '0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659');
});

test('PBKDF2 with HMAC-SHA-512: the inputs of RFC 6070, as published for SHA-512', () => {
  for (const [iterations, start] of [
    [1, '867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252'],
    [2, 'e1d9c16aa681708a45f5c7c4e215ceb66e011a2e9f0040713f18aefdb866d53c'],
    [4096, 'd197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5'],
  ] as const) {
    assert.equal(pbkdf2Sync('password', 'salt', iterations, 32, 'sha512').toString('hex'), start);
  }
});

test('hashes of a second implementation verify, and those of other passwords do not', async () => {
  for (const phc of [argon2id, pbkdf2]) {
    assert.ok(await verifyPassword(password, phc));
    assert.ok(!(await verifyPassword(`${password} `, phc)));
    assert.ok(!(await verifyPassword(password.toLowerCase(), phc)));
  }
});

test('a password typed in another normal form is the same password', async () => {
  const decomposed = password.normalize('NFD');
  assert.notEqual(decomposed, password);
  assert.ok(await verifyPassword(decomposed, argon2id));
  assert.equal(normalizePassword(decomposed), password);
  assert.equal(normalizePassword('\u212b'), '\u00c5');
  // Canonical, not compatible: a ligature stays one.
  assert.equal(normalizePassword('\ufb01'), '\ufb01');
});

test('a new hash has the usual cost, a fresh salt, and verifies', async () => {
  const phc = await hashPassword(password);
  assert.match(phc, /^\$argon2id\$v=19\$m=65536,t=3,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.ok(await verifyPassword(password, phc));
  assert.ok(!needsRehash(phc));
  const [a, b] = await Promise.all([hashPassword(password, cheap), hashPassword(password, cheap)]);
  assert.notEqual(a, b);
});

test('the approved alternative, where the profile demands it [URS-045]', async () => {
  const hashing = { algorithm: 'pbkdf2-sha512' } as const;
  const phc = await hashPassword(password, hashing);
  assert.match(phc, /^\$pbkdf2-sha512\$i=300000\$/);
  assert.ok(await verifyPassword(password, phc));
  assert.ok(!needsRehash(phc, hashing));
  assert.ok(needsRehash(phc));
  assert.ok(needsRehash(argon2id, hashing));
});

test('a hash of another cost is to be made again', () => {
  assert.ok(needsRehash(argon2id));
  assert.ok(!needsRehash(argon2id, cheap));
  assert.ok(needsRehash(argon2id, { cost: { ...cheap.cost, p: 2 } }));
  assert.throws(() => needsRehash('', cheap), withCode('crypto.password_hash_malformed'));
});

test('costs out of bounds and algorithms off the list are refused [URS-045]', async () => {
  for (const cost of [
    { m: 19_455 },
    { m: 262_145 },
    { t: 1 },
    { t: 11 },
    { p: 0 },
    { p: 5 },
    { t: 2.5 },
    { m: Number.NaN },
    { i: 210_000 },
    { toString: 3 },
  ] as Record<string, number>[]) {
    await assert.rejects(hashPassword(password, { cost }), withCode('crypto.argument_invalid'));
  }
  for (const algorithm of ['argon2i', 'scrypt', 'bcrypt', 'constructor', '']) {
    await assert.rejects(
      hashPassword(password, { algorithm: algorithm as PasswordHashAlgorithm }),
      withCode('crypto.algorithm_unknown'),
    );
  }
});

test('a stored hash in any other spelling or cost is refused before it is computed', async () => {
  const altered = [
    '',
    '$',
    '$argon2id$v=19$',
    argon2id.slice(1),
    `${argon2id}$`,
    `${argon2id}=`,
    `${argon2id}\n`,
    ` ${argon2id}`,
    argon2id.slice(0, -1),
    argon2id.replace('argon2id', 'argon2i'),
    argon2id.replace('v=19', 'v=16'),
    argon2id.replace('$v=19', ''),
    argon2id.replace('m=19456', 'm=019456'),
    argon2id.replace('m=19456', 'm=1.9456e4'),
    argon2id.replace('m=19456', 'm=0x4c00'),
    argon2id.replace('m=19456', 'm=19456=1'),
    argon2id.replace('m=19456', 'm=4294967295'),
    argon2id.replace('m=19456', 'm=8'),
    argon2id.replace('m=19456', '__proto__=19456'),
    argon2id.replace('t=2', 't=1'),
    argon2id.replace('t=2', 't=4000000000'),
    argon2id.replace('p=1', 'p=255'),
    argon2id.replace('m=19456,t=2', 't=2,m=19456'),
    argon2id.replace('p=1', 'p=1,data=AAAA'),
    argon2id.replace('AAECAw', 'AAECA-'),
    argon2id.replace('AAECAw', ''),
    // The last character of each field has bits that must be zero.
    argon2id.replace('DA0ODw', 'DA0ODx'),
    argon2id.replace(/Q$/, 'R'),
    pbkdf2.replace('i=210000', 'i=1'),
    pbkdf2.replace('i=210000', 'i=4294967295'),
    pbkdf2.replace('pbkdf2-sha512', 'pbkdf2-sha1'),
    argon2id + 'A'.repeat(1_000_000),
  ];
  for (const phc of altered) {
    await assert.rejects(verifyPassword(password, phc), withCode('crypto.password_hash_malformed'));
  }
});

test('a password has 1 to 1,000 bytes of assigned characters, and is never cut off', async () => {
  const longest = 'a'.repeat(maximumPasswordBytes);
  assert.equal(normalizePassword(longest), longest);
  assert.equal(passwordLength('e\u0301'.repeat(500)), 500);
  for (const refused of [
    '',
    `${longest}a`,
    '€'.repeat(334),
    '\ud800',
    'a\udc00b',
    '\u0378',
    '\uffff',
    'a'.repeat(1e7),
  ]) {
    assert.throws(() => normalizePassword(refused), withCode('crypto.password_invalid'));
    await assert.rejects(hashPassword(refused, cheap), withCode('crypto.password_invalid'));
    assert.equal(await verifyPassword(refused, argon2id), false);
  }
  const phc = await hashPassword(longest, cheap);
  assert.ok(!(await verifyPassword(`${longest.slice(1)}b`, phc)));
});

test('length is counted in code points, after normalisation', () => {
  assert.equal(passwordLength('🔑🔑'), 2);
  assert.equal(passwordLength('A\u030a'), 1);
  assert.equal(passwordLength(' a '), 3);
});
