import assert from 'node:assert/strict';
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  generatePrimeSync,
  randomBytes,
} from 'node:crypto';
import { test } from 'node:test';
import { withCode } from '../fixture.test.ts';
import { encodePublicKey, exportSecret, generateKeyMaterial, readMaterial } from '../index.ts';
import { isRocaModulus, isWeakSecret } from './weak-material.ts';

const pkcs8 = async (algorithm: string): Promise<Buffer> =>
  (await generateKeyMaterial(algorithm)).secret.export({ format: 'der', type: 'pkcs8' });

test('material of every importable kind is read, and its public half is its own [URS-088]', async () => {
  for (const [algorithm, length] of [
    ['AES_256', 32],
    ['HMAC_256', 32],
    ['HMAC_384', 48],
    ['HMAC_512', 64],
  ] as const) {
    const bytes = randomBytes(length);
    const { secret, publicKey } = await readMaterial(algorithm, bytes);
    assert.deepEqual(secret.export(), bytes);
    assert.equal(publicKey, undefined);
    await assert.rejects(
      readMaterial(algorithm, randomBytes(length - 1)),
      withCode('crypto.material_invalid'),
    );
    await assert.rejects(readMaterial(algorithm, Buffer.alloc(0)), withCode('crypto.material_invalid'));
  }
  for (const algorithm of ['ECC_NIST_P256', 'ECC_NIST_P384', 'ED25519', 'RSA_3072'] as const) {
    const bytes = await pkcs8(algorithm);
    const { secret, publicKey } = await readMaterial(algorithm, bytes);
    const key = createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' });
    assert.deepEqual(publicKey, encodePublicKey(createPublicKey(key)));
    assert.deepEqual(exportSecret(algorithm, secret), exportSecret(algorithm, key));
    const invalid = withCode('crypto.material_invalid');
    await assert.rejects(readMaterial(algorithm, Buffer.concat([bytes, Buffer.of(0)])), invalid);
    await assert.rejects(readMaterial(algorithm, bytes.subarray(0, -1)), invalid);
    await assert.rejects(readMaterial(algorithm, randomBytes(bytes.length)), invalid);
    await assert.rejects(readMaterial(algorithm === 'ED25519' ? 'ECC_NIST_P256' : 'ED25519', bytes), invalid);
  }
});

test('what a random generator does not give is refused [URS-088] [URS-045]', async () => {
  const weak = [
    Buffer.alloc(32),
    Buffer.alloc(32, 0x5a),
    Buffer.from(Uint8Array.from({ length: 32 }, (_, at) => at)),
    Buffer.from(Uint8Array.from({ length: 32 }, (_, at) => (255 - at * 3) & 255)),
    Buffer.concat([
      Buffer.from('0123456789abcdef0123456789abcdef', 'hex'),
      Buffer.from('0123456789abcdef0123456789abcdef', 'hex'),
    ]),
    Buffer.concat([Buffer.alloc(8), randomBytes(24)]),
    Buffer.from('correct horse battery staple 123'),
    Buffer.from(randomBytes(16).toString('hex')),
    Buffer.from('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4', 'hex'),
  ];
  for (const bytes of weak) {
    assert.equal(bytes.length, 32);
    await assert.rejects(
      readMaterial('AES_256', bytes),
      withCode('crypto.material_weak'),
      bytes.toString('hex'),
    );
  }
  const twice = randomBytes(16);
  assert.ok(isWeakSecret(Buffer.concat([twice, twice])));
  for (let round = 0; round < 2000; round++) {
    for (const length of [32, 48, 64]) assert.ok(!isWeakSecret(randomBytes(length)));
  }
  // RFC 8032 section 7.1, test 1; RFC 6979 appendix A.2.5.
  const head = Buffer.from('302e020100300506032b657004220420', 'hex');
  const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
  await assert.rejects(
    readMaterial('ED25519', Buffer.concat([head, seed])),
    withCode('crypto.material_weak'),
  );
  const low = Buffer.concat([Buffer.alloc(30), Buffer.of(1, 7)]);
  await assert.rejects(readMaterial('ECC_NIST_P256', ecPkcs8(low)), withCode('crypto.material_weak'));
});

/** PrivateKeyInfo of P-256 without a public point, or with one. */
function ecPkcs8(scalar: Buffer, point?: Buffer): Buffer {
  const sequence = (...parts: Buffer[]): Buffer => tagged(0x30, Buffer.concat(parts));
  const given = point && tagged(0xa1, tagged(0x03, Buffer.concat([Buffer.of(0), point])));
  const inner = sequence(Buffer.of(2, 1, 1), tagged(4, scalar), ...(given === undefined ? [] : [given]));
  const identifier = Buffer.from('301306072a8648ce3d020106082a8648ce3d030107', 'hex');
  return sequence(Buffer.of(2, 1, 0), identifier, tagged(4, inner));
}

function tagged(tag: number, content: Buffer): Buffer {
  const length =
    content.length < 128
      ? Buffer.of(content.length)
      : content.length < 256
        ? Buffer.of(0x81, content.length)
        : Buffer.of(0x82, content.length >> 8, content.length & 255);
  return Buffer.concat([Buffer.of(tag), length, content]);
}

const pointOf = (key: Buffer): Buffer =>
  encodePublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' })).subarray(-65);

test('a scalar with the point of another one, or out of its range, is refused [URS-088]', async () => {
  const scalar = randomBytes(32);
  scalar[0] = 1;
  const whole = ecPkcs8(scalar, pointOf(ecPkcs8(scalar)));
  const { publicKey } = await readMaterial('ECC_NIST_P256', whole);
  assert.deepEqual(publicKey?.subarray(-65), pointOf(whole));
  assert.deepEqual((await readMaterial('ECC_NIST_P256', ecPkcs8(scalar))).publicKey, publicKey);
  const others = pointOf(await pkcs8('ECC_NIST_P256'));
  const invalid = withCode('crypto.material_invalid');
  await assert.rejects(readMaterial('ECC_NIST_P256', ecPkcs8(scalar, others)), invalid);
  const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
  await assert.rejects(readMaterial('ECC_NIST_P256', ecPkcs8(order)));
  await assert.rejects(readMaterial('ECC_NIST_P256', await pkcs8('ECC_NIST_P384')), invalid);
});

/** PrivateKeyInfo of the numbers of an RSA key (RFC 8017 appendix A.1.2). */
function rsaPkcs8(p: bigint, q: bigint, change: Partial<Record<'d' | 'dp' | 'n', bigint>> = {}): Buffer {
  const [e, order] = [65_537n, (p - 1n) * (q - 1n)];
  const d = change.d ?? inverse(e, order);
  const numbers = [0n, change.n ?? p * q, e, d, p, q, change.dp ?? d % (p - 1n), d % (q - 1n), inverse(q, p)];
  const inner = tagged(0x30, Buffer.concat(numbers.map(integer)));
  return tagged(
    0x30,
    Buffer.concat([
      Buffer.of(2, 1, 0),
      Buffer.from('300d06092a864886f70d0101010500', 'hex'),
      tagged(4, inner),
    ]),
  );
}

function integer(value: bigint): Buffer {
  const digits = value.toString(16);
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
  return tagged(2, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [r, s, x, y] = [modulus, value % modulus, 0n, 1n];
  while (s !== 0n) [r, s, x, y] = [s, r % s, y, x - (r / s) * y];
  return ((x % modulus) + modulus) % modulus;
}

test('RSA keys with other lengths, exponents or factors are refused [URS-088] [URS-045]', async () => {
  const invalid = withCode('crypto.material_invalid');
  const prime = (bits: number): bigint => {
    for (;;) {
      const found = generatePrimeSync(bits, { bigint: true });
      if (found >> BigInt(bits - 2) === 3n && (found - 1n) % 65_537n !== 0n) return found;
    }
  };
  const [p, q] = [prime(1536), prime(1536)];
  await readMaterial('RSA_3072', rsaPkcs8(p, q));
  await assert.rejects(readMaterial('RSA_4096', rsaPkcs8(p, q)), invalid);
  await assert.rejects(readMaterial('RSA_3072', rsaPkcs8(p, q, { dp: 3n })), invalid);
  await assert.rejects(readMaterial('RSA_3072', rsaPkcs8(p, q, { n: p * q + 2n })), invalid);
  await assert.rejects(
    readMaterial('RSA_3072', rsaPkcs8(p, q, { d: inverse(65_537n, (p - 1n) * (q - 1n)) + 2n })),
    invalid,
  );
  // Not prime, of the same length; close to each other; of different lengths.
  let composite = p + 2n;
  while (composite % 3n !== 0n || (composite - 1n) % 65_537n === 0n) composite += 2n;
  await assert.rejects(readMaterial('RSA_3072', rsaPkcs8(composite, q)));
  let near = p + 2n;
  while (near % 3n === 0n || (near - 1n) % 65_537n === 0n || greatestCommon(near, p) !== 1n) near += 2n;
  await assert.rejects(readMaterial('RSA_3072', rsaPkcs8(p, near)), invalid);
  await assert.rejects(readMaterial('RSA_3072', rsaPkcs8(prime(1500), prime(1572))), invalid);
  for (const options of [{ modulusLength: 2048 }, { modulusLength: 3072, publicExponent: 3 }]) {
    const { privateKey } = generateKeyPairSync('rsa', options);
    await assert.rejects(
      readMaterial('RSA_3072', privateKey.export({ format: 'der', type: 'pkcs8' })),
      invalid,
    );
  }
});

function greatestCommon(a: bigint, b: bigint): bigint {
  return b === 0n ? a : greatestCommon(b, a % b);
}

test('a modulus of the form of CVE-2017-15361 is told from others [URS-045]', () => {
  const product = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157].reduce(
    (all, one) => all * BigInt(one),
    1n,
  );
  let power = 1n;
  for (let round = 0; round < 1234; round++) power = (power * 65_537n) % product;
  assert.ok(isRocaModulus((1n << 3071n) - ((1n << 3071n) % product) + power));
  for (let round = 0; round < 50; round++)
    assert.ok(!isRocaModulus(BigInt(`0x${randomBytes(384).toString('hex')}`)));
});

test('the public key in the file of an Ed25519 key is that of the secret [URS-088]', async () => {
  const old = await pkcs8('ED25519');
  const own = encodePublicKey(createPrivateKey({ key: old, format: 'der', type: 'pkcs8' })).subarray(-32);
  /** RFC 8410 section 10.3: version 1, and the public key behind the rest, whose attributes may come between. */
  const file = (said: Uint8Array, between: Uint8Array = Buffer.alloc(0)): Buffer => {
    const inner = Buffer.from(old.subarray(2));
    inner[2] = 1;
    return tagged(0x30, Buffer.concat([inner, between, tagged(0x81, Buffer.from(said))]));
  };
  const zero = Buffer.of(0);
  const attributes = tagged(0xa0, Buffer.alloc(0));
  const { publicKey } = await readMaterial('ED25519', file(Buffer.concat([zero, own])));
  assert.deepEqual(Buffer.from(publicKey?.subarray(-32) ?? []), Buffer.from(own));
  await readMaterial('ED25519', file(Buffer.concat([zero, own]), attributes));
  const other = randomBytes(32);
  for (const said of [Buffer.concat([zero, other]), own, zero, Buffer.concat([zero, own, zero])]) {
    for (const between of [undefined, attributes]) {
      await assert.rejects(readMaterial('ED25519', file(said, between)), withCode('crypto.material_invalid'));
    }
  }
});
