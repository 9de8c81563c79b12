import assert from 'node:assert/strict';
import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalRequest, stringToSign } from '../compat/aws-kms/signature.ts';
import { makeService, makeTenant, refusal, shareServer } from '../fixture.test.ts';
import { idOfBytes } from '../platform/ids.ts';
import { accessKeyId, credentialOfAccessKey, isSignedWith, openSigningSecret } from './access-keys.ts';

const shared = shareServer();

/** Those of AWS' signing test suite (awslabs/aws-c-auth, tests/aws-signing-test-suite/v4) that go to `/` without a query. */
const published = {
  secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  date: '20150830T123600Z',
  scope: { date: '20150830', region: 'us-east-1', service: 'service' },
  requests: [
    {
      name: 'post-vanilla',
      headers: {},
      body: '',
      signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
    },
    {
      name: 'post-header-key-sort',
      headers: { 'my-header1': 'value1' },
      body: '',
      signature: 'c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c',
    },
    {
      name: 'post-header-value-case',
      headers: { 'my-header1': 'VALUE1' },
      body: '',
      signature: 'cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d',
    },
    {
      name: 'get-header-value-trim',
      method: 'GET',
      headers: { 'my-header1': ' value1', 'my-header2': ' "a   b   c"' },
      body: '',
      signature: 'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
    },
    {
      name: 'post-x-www-form-urlencoded',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': '13',
        'x-amz-content-sha256': '9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e',
      },
      body: 'Param1=value1',
      signature: 'd3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b',
    },
  ],
} as const;

function publishedRequest(index: number) {
  const { date, scope, requests } = published;
  const request = requests[index] ?? assert.fail();
  const headers = new Map<string, string>(
    Object.entries({ ...request.headers, host: 'example.amazonaws.com', 'x-amz-date': date }),
  );
  const method = 'method' in request ? request.method : 'POST';
  const bodyHash = createHash('sha256').update(request.body).digest('hex');
  const canonical = canonicalRequest(method, headers, [...headers.keys()].sort(), bodyHash);
  const signed = {
    accessKey: 'AKIDEXAMPLE',
    scope,
    stringToSign: stringToSign(date, scope, canonical),
    signature: Buffer.from(request.signature, 'hex'),
    time: 0,
  };
  return { name: request.name, signed };
}

const publishedSecret = createSecretKey(Buffer.from(`AWS4${published.secret}`));

test("AWS' published signatures verify, and no altered one does [URS-017]", () => {
  for (const index of published.requests.keys()) {
    const { name, signed } = publishedRequest(index);
    assert.ok(isSignedWith(publishedSecret, signed), name);
    for (const part of ['date', 'region', 'service'] as const) {
      const scope = { ...signed.scope, [part]: `${signed.scope[part]}0` };
      assert.equal(isSignedWith(publishedSecret, { ...signed, scope }), false, `${name}: ${part}`);
    }
    const signature = Buffer.from(signed.signature);
    signature[31] = (signature[31] ?? 0) ^ 1;
    assert.equal(isSignedWith(publishedSecret, { ...signed, signature }), false);
    assert.equal(isSignedWith(publishedSecret, { ...signed, signature: signature.subarray(0, 31) }), false);
    assert.equal(isSignedWith(createSecretKey(randomBytes(44)), signed), false);
  }
});

test('an access key id is another spelling of one credential id, and nothing else is one [URS-012]', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const id = idOfBytes(bytes);
      const text = accessKeyId(id);
      assert.match(text, /^TKAK[A-Z2-7]{26}$/);
      assert.equal(credentialOfAccessKey(text), id);
    }),
    { numRuns: 100 },
  );
  const zero = accessKeyId(idOfBytes(new Uint8Array(16)));
  // The last digit carries three bits of the id: the other four spellings of the same id are none.
  for (const text of [
    zero.slice(0, -1) + 'B',
    zero.toLowerCase(),
    `${zero}A`,
    zero.slice(4),
    'AKIAEXAMPLE',
    '',
  ]) {
    assert.equal(credentialOfAccessKey(text), undefined, text);
  }
});

test('a secret access key is kept wrapped, opens at its own place alone, and lets nobody in as it is [URS-008] [URS-012]', async () => {
  const server = await shared();
  const { custodian, tenant, system, key } = await makeTenant(server);
  const signs = { name: 'signs', role: 'service', form: 'access-key' } as const;
  const asked = { ...signs, system, keys: [key] };
  const one = await server.admit('credentials.issue', custodian, asked);
  const two = await server.admit('credentials.issue', custodian, asked);
  assert.match(one.secret, /^tka_[A-Za-z0-9_-]{43}$/);
  assert.equal(one.credential.accessKey, accessKeyId(one.credential.id));
  const { database, hierarchy } = server.instance;
  const rows = await database.read((tx) => tx.selectFrom('credential').selectAll().execute());
  const random = one.secret.slice(4);
  for (const row of rows) {
    const stored = Buffer.concat([row.secret_hash, row.wrapped_secret ?? new Uint8Array(0), row.seal]);
    assert.equal(stored.includes(random) || stored.includes(Buffer.from(random, 'base64url')), false);
  }
  const wrapped = rows.find(({ id }) => id === one.credential.id)?.wrapped_secret ?? assert.fail();
  const opened = await openSigningSecret(hierarchy, tenant, one.credential.id, wrapped);
  assert.ok(opened.equals(createSecretKey(Buffer.from(`AWS4${one.secret}`))));
  const altered = { code: 'database.altered' };
  await assert.rejects(openSigningSecret(hierarchy, tenant, two.credential.id, wrapped), altered);
  await assert.rejects(openSigningSecret(hierarchy, null, one.credential.id, wrapped), altered);
  await assert.rejects(server.admit('random.generate', one.secret, { bytes: 16 }), refusal('auth.required'));
  const bearer = await makeService(server, custodian, system, [key]);
  await server.admit('random.generate', bearer, { bytes: 16 });
  const { credentials } = await server.admit('credentials.list', custodian, {});
  const listed = credentials.map(({ id, accessKey }) => accessKey === null || accessKey === accessKeyId(id));
  assert.deepEqual(
    [listed.every(Boolean), credentials.filter(({ accessKey }) => accessKey !== null).length],
    [true, 2],
  );
});
