/** What the server does itself around a key that stays in a token. */
import assert from 'node:assert/strict';
import {
  constants,
  createHmac,
  createSecretKey,
  privateDecrypt,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { withCode } from '../fixture.test.ts';
import {
  decodeOaep,
  ecdsaDer,
  encryptOaep,
  generateDataKey,
  generateKeyMaterial,
  openCompact,
  openCompactRemote,
  openDataKey,
  openDataKeyRemote,
  parsePublicKey,
  sealCompact,
  sealCompactRemote,
  sealDataKey,
  sealDataKeyRemote,
} from '../index.ts';

const bytes = randomBytes(32);
const place = { keyVersionId: randomBytes(16), tenantId: randomBytes(16), keyId: randomBytes(16) };
const here = { ...place, key: createSecretKey(bytes) };
const there = {
  ...place,
  mac: async (message: Uint8Array) => createHmac('sha512', bytes).update(message).digest(),
};
const context = { study: 'a' };

test('a key that stays in a token makes and opens the same compact form as one that is here [URS-045]', async () => {
  const plaintext = Buffer.from('a value');
  const opened = openCompact({
    ...here,
    context,
    ciphertext: await sealCompactRemote({ ...there, context, plaintext }),
  });
  assert.deepEqual(opened, plaintext);
  const ciphertext = sealCompact({ ...here, context, plaintext });
  assert.deepEqual(await openCompactRemote({ ...there, context, ciphertext }), plaintext);
  for (let at = 2; at < ciphertext.length; at += 7) {
    const altered = Buffer.from(ciphertext);
    altered[at] = (altered[at] ?? 0) ^ 1;
    await assert.rejects(
      openCompactRemote({ ...there, context, ciphertext: altered }),
      withCode('crypto.ciphertext_invalid'),
    );
  }
  await assert.rejects(
    openCompactRemote({ ...there, context: {}, ciphertext }),
    withCode('crypto.ciphertext_invalid'),
  );
  await assert.rejects(
    sealCompactRemote({ ...there, mac: async () => Buffer.alloc(32), context, plaintext }),
    withCode('crypto.argument_invalid'),
  );
});

test('so do data keys, in one layer and in two [URS-045]', async () => {
  const inner = { ...here, key: createSecretKey(randomBytes(32)), keyId: randomBytes(16) };
  for (const layers of [{}, { inner }]) {
    const dataKey = generateDataKey();
    const remote = await sealDataKeyRemote({ dataKey, outer: there, ...layers, context });
    assert.deepEqual(openDataKey({ ciphertext: remote, outer: here, ...layers, context }), dataKey);
    const ciphertext = sealDataKey({ dataKey, outer: here, ...layers, context });
    assert.deepEqual(await openDataKeyRemote({ ciphertext, outer: there, ...layers, context }), dataKey);
  }
  const bare = sealDataKey({ dataKey: generateDataKey(), outer: here, context });
  await assert.rejects(
    openDataKeyRemote({ ciphertext: bare, outer: there, inner, context }),
    withCode('crypto.inner_key_unexpected'),
  );
});

test('OAEP is decoded as OpenSSL does it, and everything else is one error [URS-045]', async () => {
  const { secret, publicKey } = await generateKeyMaterial('RSA_2048');
  assert.ok(publicKey);
  const open = parsePublicKey('RSA_2048', publicKey);
  const raw = (ciphertext: Buffer): Buffer =>
    privateDecrypt({ key: secret, padding: constants.RSA_NO_PADDING }, ciphertext);
  for (const length of [0, 1, 32, 190]) {
    const plaintext = randomBytes(length);
    const encoded = raw(encryptOaep(open, plaintext));
    assert.deepEqual(decodeOaep(encoded), plaintext);
    assert.ok(
      encoded.every((byte) => byte === 0),
      'What the key gave is zeroed.',
    );
  }
  const good = raw(encryptOaep(open, Buffer.alloc(20)));
  for (let at = 0; at < good.length; at += 5) {
    const altered = Buffer.from(good);
    altered[at] = (altered[at] ?? 0) ^ 0x40;
    assert.throws(() => decodeOaep(altered), withCode('crypto.ciphertext_invalid'), `byte ${at}`);
  }
  for (const length of [0, 65, 256])
    assert.throws(() => decodeOaep(Buffer.alloc(length)), withCode('crypto.ciphertext_invalid'));
});

test('r and s become the DER that OpenSSL reads, leading zeros and all [URS-045]', async () => {
  const { secret, publicKey } = await generateKeyMaterial('ECC_NIST_P256');
  assert.ok(publicKey);
  const open = parsePublicKey('ECC_NIST_P256', publicKey);
  for (let i = 0; i < 300; i += 1) {
    const message = Buffer.of(i & 255, i >> 8);
    const p1363 = sign('sha256', message, { key: secret, dsaEncoding: 'ieee-p1363' });
    assert.ok(verify('sha256', message, open, ecdsaDer(p1363)));
  }
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 96, maxLength: 96 }), (value) => {
      const der = ecdsaDer(value);
      const r = der.subarray(4, 4 + (der[3] ?? 0));
      assert.ok((r[0] ?? 0) < 0x80 && (r.length === 1 || r[0] !== 0 || (r[1] ?? 0) >= 0x80));
      const number = BigInt(`0x${Buffer.from(value.subarray(0, 48)).toString('hex')}`);
      assert.equal(BigInt(`0x${r.toString('hex')}`), number);
    }),
    { numRuns: 100 },
  );
});
