import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maxSignatureSkewMs } from '../../access/index.ts';
import { makeTenant, shareServer } from '../../fixture.test.ts';
import { StartupError } from '../../platform/errors.ts';
import { arrange, issueAccessKey, send, signByHand } from './fixture.test.ts';
import type { Answer, Wire } from './fixture.test.ts';
import { readAwsKmsHosts } from './index.ts';

const shared = shareServer();

async function arrangeByHand(t: Parameters<typeof arrange>[0]) {
  const at = await arrange(t, await shared());
  const host = new URL(at.url).host;
  const asService = (wire: Wire) => signByHand(host, at.signing.service, wire);
  const encrypt = { target: 'Encrypt', body: JSON.stringify({ KeyId: at.key, Plaintext: 'dGV4dA==' }) };
  /** Entries of the tenant's ledger that `work` left. */
  const entriesOf = async (work: () => Promise<unknown>) => {
    const before = (await at.server.entries(at.tenant)).length;
    await work();
    return (await at.server.entries(at.tenant)).slice(before);
  };
  return { ...at, host, asService, encrypt, entriesOf };
}

function assertRefused({ status, headers, body }: Answer, name: string, of?: unknown): void {
  assert.equal(body['__type'], name, JSON.stringify([of, body]));
  assert.ok(status >= 400);
  assert.equal(headers['content-type'], 'application/x-amz-json-1.1');
  assert.match(String(headers['x-amzn-requestid']), /^[0-9a-f-]{36}$/);
  assert.equal(typeof body['message'], 'string');
}

test('a request signed by hand is answered, whatever order and spacing its JSON has [URS-046]', async (t) => {
  const { url, key, asService, encrypt } = await arrangeByHand(t);
  const bodies = [encrypt.body, `\n{ "Plaintext" :\t"dGV4dA==","KeyId":"${key}"  }\r\n`];
  for (const body of bodies) {
    const answer = await send(url, asService({ ...encrypt, body }));
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.deepEqual(Object.keys(answer.body).sort(), ['CiphertextBlob', 'EncryptionAlgorithm', 'KeyId']);
  }
});

test('nothing of a signed request can be altered, and nobody is known by an altered one [URS-017] [URS-019]', async (t) => {
  const { url, host, signing, asService, encrypt, entriesOf, server } = await arrangeByHand(t);
  const whole = asService(encrypt);
  const replaced = (from: string | RegExp, to: string) => ({
    ...whole,
    headers: whole.headers.map((text, i) => (i % 2 === 0 ? text : text.replace(from, to))),
  });
  const { custodian: other } = await makeTenant(server);
  const foreign = await issueAccessKey(server, other, { role: 'auditor' });
  const last = whole.headers.at(-1) ?? '';
  const altered = {
    body: { ...whole, body: Buffer.from(encrypt.body.replace('dGV4dA', 'dGV4dB')) },
    operation: replaced('TrentService.Encrypt', 'TrentService.Decrypt'),
    host: replaced(/^127\.0\.0\.1:/, 'localhost:'),
    'region of the scope': replaced('/eu-central-1/', '/eu-west-1/'),
    'last digit': replaced(/(?<=Signature=[0-9a-f]{63})[0-9a-f]$/, last.endsWith('0') ? '1' : '0'),
    'access key': replaced(signing.service.accessKeyId, signing.custodian.accessKeyId),
    'access key of another tenant': replaced(signing.service.accessKeyId, foreign.accessKeyId),
    'unknown access key': replaced(signing.service.accessKeyId, 'TKAKAAAAAAAAAAAAAAAAAAAAAAAAAA'),
    'access key of no form': replaced(signing.service.accessKeyId, 'NOTONEOFOURSATALL'),
    'another secret': signByHand(
      host,
      { ...signing.service, secretAccessKey: `tka_${'A'.repeat(43)}` },
      encrypt,
    ),
  };
  const left = await entriesOf(async () => {
    for (const [what, request] of Object.entries(altered)) {
      assertRefused(await send(url, request), 'InvalidSignatureException', what);
    }
  });
  assert.deepEqual(left, []);
  assert.ok(server.rooms.unauthenticated.take(true).length > 0);
});

test('a signature that leaves something open, or is of no form, is not looked at any further [URS-017]', async (t) => {
  const { url, asService, encrypt, entriesOf } = await arrangeByHand(t);
  const whole = asService(encrypt);
  const all = ['content-type', 'host', 'x-amz-date', 'x-amz-target'];
  const without = (name: string) =>
    asService({ ...encrypt, signedHeaders: all.filter((each) => each !== name) });
  const authorization = (to: (text: string) => string) => ({
    ...whole,
    headers: [...whole.headers.slice(0, -1), to(whole.headers.at(-1) ?? '')],
  });
  const incomplete = {
    'host unsigned': without('host'),
    'date unsigned': without('x-amz-date'),
    'target unsigned': without('x-amz-target'),
    "another of AWS' headers unsigned": asService({
      ...encrypt,
      headers: { 'x-amz-user-agent': 'agent' },
      signedHeaders: all,
    }),
    'a signed header that did not come': asService({ ...encrypt, signedHeaders: [...all, 'x-other'] }),
    'signed headers in no order': asService({ ...encrypt, signedHeaders: [...all].reverse() }),
    'a header signed twice': asService({ ...encrypt, signedHeaders: ['content-type', ...all] }),
    'a header that came twice': { ...whole, headers: [...whole.headers, 'X-Amz-Date', '20260101T000000Z'] },
    'a second content type': { ...whole, headers: [...whole.headers, 'content-type', 'text/plain'] },
    'a second signature': { ...whole, headers: [...whole.headers, ...whole.headers.slice(-2)] },
    'another service': asService({ ...encrypt, service: 's3' }),
    'no date': asService({ ...encrypt, headers: { 'x-amz-date': undefined }, signedHeaders: all }),
    'a date of no form': asService({ ...encrypt, headers: { 'x-amz-date': '2026-01-31T00:00:00Z' } }),
    'a day that there is not': asService({ ...encrypt, headers: { 'x-amz-date': '20260231T000000Z' } }),
    'another day in the scope': asService({ ...encrypt, headers: { 'x-amz-date': '20200101T000000Z' } }),
    'a stated hash of another body': asService({
      ...encrypt,
      headers: { 'x-amz-content-sha256': '0'.repeat(64) },
    }),
    'an unsigned body': asService({ ...encrypt, headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }),
    'a bearer secret': authorization(() => `Bearer tkc_${'A'.repeat(43)}`),
    'another algorithm': authorization((text) => text.replace('SHA256', 'SHA1')),
    'a long signature': authorization((text) => `${text}00`),
    'a signature in upper case': authorization((text) =>
      text.replace(/=[0-9a-f]{64}$/, (it) => it.toUpperCase()),
    ),
  };
  const left = await entriesOf(async () => {
    for (const [what, request] of Object.entries(incomplete)) {
      assertRefused(await send(url, request), 'IncompleteSignatureException', what);
    }
    const unsigned = { ...whole, headers: whole.headers.slice(0, -2) };
    assertRefused(await send(url, unsigned), 'MissingAuthenticationTokenException');
    const token = asService({ ...encrypt, headers: { 'x-amz-security-token': 'token' } });
    assertRefused(await send(url, token), 'UnrecognizedClientException');
    // The other way to sign, in the query, is not one here.
    const query = '/?X-Amz-Algorithm=AWS4-HMAC-SHA256';
    assertRefused(await send(url, whole, query), 'IncompleteSignatureException');
  });
  assert.deepEqual(left, []);
});

test('a signature is good for five minutes before and after its time [URS-017]', async (t) => {
  const { url, asService, encrypt, entriesOf, server, signing } = await arrangeByHand(t);
  const now = Math.floor(server.clock.time / 1000) * 1000;
  const { time } = server.clock;
  t.after(() => (server.clock.time = time));
  server.clock.time = now;
  const at = (skewMs: number) => send(url, asService({ ...encrypt, time: now + skewMs }));
  assert.equal((await at(maxSignatureSkewMs)).status, 200);
  assert.equal((await at(1000 - maxSignatureSkewMs)).status, 200);
  const left = await entriesOf(async () => {
    for (const skewMs of [-maxSignatureSkewMs, maxSignatureSkewMs + 1000, -86_400_000, 86_400_000]) {
      assertRefused(await at(skewMs), 'InvalidSignatureException', skewMs);
    }
  });
  // Whoever has seen a request can send it again for ever: that is counted, and no entry each time.
  assert.deepEqual(left, []);
  const counted = server.rooms.unauthenticated
    .take(true)
    .filter(({ actor }) => actor === signing.service.credential);
  assert.deepEqual(
    counted.map(({ code, count }) => [code, count]),
    [['auth.signature_expired', 4]],
  );
  // The same request again is the same request: within its time nothing tells them apart.
  const once = asService({ ...encrypt, time: now });
  assert.deepEqual([(await send(url, once)).status, (await send(url, once)).status], [200, 200]);
});

test('what a signed request says is read strictly, and refused on the record [URS-019] [URS-032]', async (t) => {
  const { url, key, asService, encrypt, entriesOf } = await arrangeByHand(t);
  const of = (members: object) => JSON.stringify({ KeyId: key, Plaintext: 'dGV4dA==', ...members });
  const refused: readonly (readonly [name: string, body: string | Buffer])[] = [
    ['SerializationException', ''],
    ['SerializationException', '{'],
    ['SerializationException', `${encrypt.body},`],
    ['SerializationException', `\ufeff${encrypt.body}`],
    ['SerializationException', Buffer.from([0x7b, 0xff, 0x7d])],
    ['SerializationException', '[]'],
    ['SerializationException', 'null'],
    ['SerializationException', '"text"'],
    ['SerializationException', '['.repeat(100_000)],
    ['ValidationException', '{}'],
    ['ValidationException', of({ Unknown: 1 })],
    ['ValidationException', of({}).replace('{', '{"__proto__":{},')],
    ['ValidationException', of({ KeyId: 7 })],
    ['ValidationException', of({ KeyId: null })],
    ['ValidationException', of({ Plaintext: 'not base64!' })],
    ['ValidationException', of({ Plaintext: 'dGV4dB==' })],
    ['ValidationException', of({ EncryptionContext: { name: 1 } })],
    ['ValidationException', of({ EncryptionContext: { 'a name with spaces': 'x' } })],
    ['ValidationException', of({ EncryptionContext: { 'trialkeep:type': 'data-key' } })],
    ['ValidationException', of({ EncryptionContext: { subject: '1001' } })],
    ['ValidationException', of({ EncryptionContext: { value: '\ud800' } })],
    ['UnsupportedOperationException', of({ EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' })],
    ['UnsupportedOperationException', of({ GrantTokens: ['token'] })],
    ['UnsupportedOperationException', of({ DryRun: true })],
    ['UnsupportedOperationException', of({ DryRun: null })],
  ];
  const left = await entriesOf(async () => {
    for (const [name, body] of refused) {
      assertRefused(await send(url, asService({ ...encrypt, body })), name, String(body).slice(0, 100));
    }
  });
  assert.equal(left.length, refused.length);
  for (const { operation, outcome } of left)
    assert.deepEqual([operation, outcome], ['keys.encrypt', 'refused']);
});

test('a request that is signed for another server is not looked at any further, and counted [URS-017]', async (t) => {
  const { url, host, signing, encrypt, entriesOf, server } = await arrangeByHand(t);
  server.rooms.unauthenticated.take(true);
  const others = ['trialkeep.example.org', 'localhost.example.org', '127.0.0.1.example.org:80', '', '[::2]'];
  const left = await entriesOf(async () => {
    for (const other of others) {
      const answer = await send(url, signByHand(other, signing.service, encrypt));
      assertRefused(answer, 'InvalidSignatureException', other);
      assert.match(String(answer.body['message']), /TRIALKEEP_AWS_KMS_HOSTS/);
    }
  });
  assert.deepEqual(left, []);
  const [counted, ...more] = server.rooms.unauthenticated.take(true);
  assert.deepEqual([counted?.code, counted?.count, more.length], ['auth.required', others.length, 0]);
  for (const own of [host, host.replace('127.0.0.1', 'localhost'), 'LOCALHOST']) {
    assert.equal((await send(url, signByHand(own, signing.service, encrypt))).status, 200, own);
  }
});

test('the names that are served are read strictly [URS-017]', () => {
  const read = (text: string) => [...readAwsKmsHosts({ TRIALKEEP_AWS_KMS_HOSTS: text }, '10.1.2.3')];
  assert.deepEqual(read('KMS.example.org,10.1.2.3,[::1]'), ['kms.example.org', '10.1.2.3', '[::1]']);
  assert.deepEqual(read(''), ['localhost', '127.0.0.1', '[::1]', '10.1.2.3']);
  assert.deepEqual([...readAwsKmsHosts({}, 'fe80::1')].at(-1), '[fe80::1]');
  for (const text of [',', 'a,', 'a, b', 'https://a', 'a:443', '*', '.a', Array(33).fill('a').join(',')]) {
    assert.throws(
      () => read(text),
      (error: unknown) => error instanceof StartupError && error.code === 'server.aws_kms_hosts_invalid',
      text,
    );
  }
});

test('a request that is too long, or speaks otherwise, does not reach anybody [URS-019]', async (t) => {
  const { url, asService, encrypt, entriesOf, server } = await arrangeByHand(t);
  server.rooms.unauthenticated.take(true);
  const left = await entriesOf(async () => {
    const long = await send(url, asService({ ...encrypt, body: ' '.repeat(256 * 1024 + 1) }));
    assertRefused(long, 'RequestEntityTooLargeException');
    assert.equal(long.status, 413);
    for (const target of ['Sign', 'encrypt', 'constructor', '__proto__', '']) {
      assertRefused(await send(url, asService({ target })), 'UnsupportedOperationException', target);
    }
    // Nothing of them is an operation of ours: they are counted as those of unknown callers.
    const [counted] = server.rooms.unauthenticated
      .take(true)
      .filter(({ operations }) => operations.has('aws-kms.unserved'));
    assert.equal(counted?.count, 5);
    const other = { 'x-amz-target': 'DynamoDB_20120810.ListTables' };
    assertRefused(await send(url, asService({ headers: other })), 'UnsupportedOperationException');
    for (const type of ['application/json', 'application/x-amz-json-1.0', 'text/plain', undefined]) {
      const { status, body } = await send(url, asService({ ...encrypt, headers: { 'content-type': type } }));
      const { code } = body['error'] as { code: string };
      assert.deepEqual([status, code], [404, 'request.unknown_operation'], type);
    }
  });
  assert.deepEqual(left, []);
});
