import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { errors } from '@trialkeep/contract';
import { sdkErrors, TrialkeepError } from '../errors.ts';
import { createClient } from './client.ts';
import { credential, json, key, rejection, serving } from './fixture.test.ts';

test('inputs travel in path, query and body as the contract says', async () => {
  await serving(
    (response) => json(response, 200, { keys: [] }),
    async (url, seen) => {
      const client = createClient({ url: `${url}/prefix/`, credential });
      await client.call('keys.list', { system: key });
      await client.call('keys.list', {});
      await client.call('keys.revoke', { key, cause: 'breach', reason: 'a reason' });
      await client.call('instance.status', {});
      await client.call('sessions.create', { login: 'ada', password: 'a password', code: '123456' });
      assert.deepEqual(
        seen.map(({ method, url: target, body }) => [method, target, body]),
        [
          ['GET', `/prefix/v1/keys?system=${key}`, ''],
          ['GET', '/prefix/v1/keys', ''],
          ['POST', `/prefix/v1/keys/${key}/revoke`, '{"cause":"breach","reason":"a reason"}'],
          ['GET', '/prefix/v1/status', ''],
          ['POST', '/prefix/v1/sessions', '{"login":"ada","password":"a password","code":"123456"}'],
        ],
      );
      assert.equal(seen[0]?.authorization, `Bearer ${credential}`);
      assert.equal(seen[3]?.authorization, undefined, 'a public operation does not need the credential');
      assert.equal(seen[4]?.authorization, undefined, 'signing in does not need a credential');
    },
  );
});

test('tiles come as bytes, checkpoints as text', async () => {
  await serving(
    (response, { url }) => response.end(url.includes('tile') ? Buffer.of(0xff, 0, 1) : 'origin\n1\n—\n'),
    async (url, seen) => {
      const client = createClient({ url, credential });
      const tile = await client.call('ledger.tile', { path: 'entries/x001/234.p/7' });
      assert.deepEqual([...tile], [0xff, 0, 1]);
      assert.equal(seen[0]?.url, '/v1/ledger/tile/entries/x001/234.p/7');
      assert.equal(await client.call('ledger.checkpoint', {}), 'origin\n1\n—\n');
    },
  );
});

test('an input that would lead to another path is not sent', async () => {
  const client = createClient({ url: 'http://127.0.0.1:1', credential });
  for (const value of ['..', '../../tenants', `${key}/../x`, '', `${key}\n`]) {
    const error = await rejection(client.call('keys.show', { key: value }));
    assert.equal(error.code, 'client.invalid_input');
    assert.equal(error.field, '/key');
  }
  const error = await rejection(client.call('ledger.tile', { path: 'entries/../../../v1/keys' }));
  assert.equal(error.code, 'client.invalid_input');
});

test("the server's refusal becomes a typed error with its code, sentence, fix, field and request id", async () => {
  const refusal = { ...errors['key.revoked'], code: 'key.revoked', field: '/key', requestId: 'r-17' };
  await serving(
    (response) => json(response, 409, { error: refusal }),
    async (url) => {
      const client = createClient({ url, credential });
      const { code, message, fix, field, requestId, status } = await rejection(
        client.call('keys.show', { key }),
      );
      assert.deepEqual(
        { code, message, fix, field, requestId, status },
        { ...errors['key.revoked'], code: 'key.revoked', field: '/key', requestId: 'r-17', status: 409 },
      );
    },
  );
});

test('an error code of a newer server stays within the closed set', async () => {
  await serving(
    (response) =>
      json(response, 418, {
        error: { code: 'tea.pot', message: 'Short and stout.', fix: '-', requestId: '1' },
      }),
    async (url) => {
      const error = await rejection(createClient({ url, credential }).call('keys.list', {}));
      assert.equal(error.code, 'client.unknown_error');
      assert.equal(error.message, 'Short and stout.');
    },
  );
});

test('whatever else answers gives client.bad_answer', async () => {
  const answers: [string, (response: ServerResponse) => void][] = [
    ['not JSON', (response) => response.end('<html>')],
    ['not an object', (response) => response.end('17')],
    ['not UTF-8', (response) => response.end(Buffer.of(0x22, 0xff, 0x22))],
    ['an error page', (response) => response.writeHead(500).end('it broke')],
    ['an error of no form', (response) => json(response, 500, { error: { code: 7 } })],
    ['no error', (response) => json(response, 500, { error: null })],
    ['a redirection', (response) => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()],
  ];
  for (const [what, answer] of answers) {
    await serving(answer, async (url, seen) => {
      const error = await rejection(createClient({ url, credential }).call('keys.list', {}));
      assert.equal(error.code, 'client.bad_answer', what);
      assert.equal(seen.length, 1, what);
    });
  }
});

test('what a proxy answers for a server that is away is client.unreachable', async () => {
  for (const status of [502, 503, 504]) {
    await serving(
      (response) => response.writeHead(status, { 'content-type': 'text/html' }).end('<html>'),
      async (url) => {
        const error = await rejection(createClient({ url, credential }).call('keys.list', {}));
        assert.deepEqual([error.code, error.status], ['client.unreachable', status]);
      },
    );
  }
});

test('a server that does not speak TLS, or proves to be another, is client.untrusted', async () => {
  await serving(
    (response) => response.end('{}'),
    async (url) => {
      const secure = url.replace('http:', 'https:');
      const error = await rejection(createClient({ url: secure, credential }).call('keys.list', {}));
      assert.equal(error.code, 'client.untrusted', error.message);
    },
  );
  for (const code of ['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_TLS_CERT_ALTNAME_INVALID']) {
    const failing = () => Promise.reject(new TypeError('fetch failed', { cause: { code } }));
    const client = createClient({ url: 'https://keys.example.org', credential, fetch: failing });
    assert.equal((await rejection(client.call('keys.list', {}))).code, 'client.untrusted', code);
  }
});

test('no server, a cut connection and no answer in time are errors of their own', async () => {
  let closedUrl = '';
  await serving(
    (response) => response.destroy(),
    async (url) => {
      closedUrl = url;
      assert.equal((await rejection(createClient({ url }).call('keys.list', {}))).code, 'client.unreachable');
    },
  );
  const refused = await rejection(createClient({ url: closedUrl, credential }).call('keys.list', {}));
  assert.equal(refused.code, 'client.unreachable');
  assert.match(refused.message, /ECONNREFUSED/);
  await serving(
    (response) => response.writeHead(200).write('{'),
    async (url) => {
      const error = await rejection(createClient({ url, credential, timeoutMs: 50 }).call('keys.list', {}));
      assert.equal(error.code, 'client.timeout');
    },
  );
});

test('a call ends with the reason of its signal', async () => {
  await serving(
    () => undefined,
    async (url) => {
      const reason = new Error('enough');
      const controller = new AbortController();
      const calling = createClient({ url, credential }).call('keys.list', {}, { signal: controller.signal });
      setTimeout(() => controller.abort(reason), 20);
      await assert.rejects(calling, reason);
    },
  );
});

test('a busy server is asked again where nothing changes, and only there', async () => {
  const busy = { error: { ...errors['server.busy'], code: 'server.busy', requestId: '1' } };
  await serving(
    (response, _, count) => (count < 3 ? json(response, 503, busy) : json(response, 200, { keys: [] })),
    async (url, seen) => {
      assert.deepEqual(await createClient({ url, credential }).call('keys.list', {}), { keys: [] });
      assert.equal(seen.length, 3);
    },
  );
  await serving(
    (response) => json(response, 503, busy),
    async (url, seen) => {
      const client = createClient({ url, credential });
      assert.equal((await rejection(client.call('keys.list', {}))).code, 'server.busy');
      assert.equal(seen.length, 5);
      assert.equal((await rejection(client.call('keys.rotate', { key }))).code, 'server.busy');
      assert.equal(seen.length, 6);
    },
  );
});

test('a credential crosses no network in clear, and no URL carries a secret', () => {
  const codeOf = (url: string, secret: string = credential) => {
    try {
      createClient({ url, credential: secret });
      return 'created';
    } catch (error) {
      assert.ok(error instanceof TrialkeepError);
      assert.ok(!error.message.includes(secret));
      return error.code;
    }
  };
  for (const url of [
    'https://keys.example.org',
    'http://127.0.0.1:7420',
    'http://[::1]:7420',
    'http://localhost/',
    'http://0x7f.1/',
  ]) {
    assert.equal(codeOf(url), 'created', url);
  }
  for (const url of [
    'http://keys.example.org',
    'http://127.0.0.1.example.org',
    'http://localhost.example.org',
    'http://10.0.0.1',
  ]) {
    assert.equal(codeOf(url), 'client.insecure_url', url);
  }
  for (const url of [
    '',
    'keys.example.org',
    'ftp://127.0.0.1',
    'https://user:word@keys.example.org',
    'https://keys.example.org/?a',
    'https://keys.example.org/#a',
  ]) {
    assert.equal(codeOf(url), 'client.bad_url', url);
  }
  for (const secret of ['tkc_a b', 'tkc_a\r\nx: y', 'tkc_ä'])
    assert.equal(codeOf('http://127.0.0.1', secret), 'client.bad_credential');
  assert.equal(createClient({ url: 'http://keys.example.org' }) !== undefined, true, 'nothing to protect');
});

test('a password crosses no network in clear', async () => {
  const sent: unknown[] = [];
  const client = createClient({
    url: 'http://keys.example.org',
    fetch: async (target) => {
      sent.push(target);
      return Response.json({});
    },
  });
  const signIn = client.call('sessions.create', { login: 'ada', password: 'a password', code: '123456' });
  assert.equal((await rejection(signIn)).code, 'client.insecure_url');
  await client.call('instance.status', {});
  assert.deepEqual(sent, ['http://keys.example.org/v1/status']);
});

test('every code has one sentence and a fix', () => {
  for (const [code, { message, fix }] of Object.entries(sdkErrors)) {
    assert.match(code, /^[a-z]+\.[a-z_]+$/);
    assert.match(message, /^[A-Z].*\.$/, code);
    assert.match(fix, /^[A-Z].*\.$/s, code);
  }
});
