import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { StartupError } from './errors.ts';
import { createBareServer } from './http.ts';
import { readTrustedProxies, sourceOf } from './proxies.ts';

const read = (text: string): string[] => readTrustedProxies({ TRIALKEEP_TRUSTED_PROXIES: text });

test('whom to trust is a list of addresses and networks, and nothing else', () => {
  assert.deepEqual(readTrustedProxies({}), []);
  assert.deepEqual(read(''), []);
  assert.deepEqual(read('127.0.0.1,10.1.2.0/24,::1,fd00::/8'), [
    '127.0.0.1',
    '10.1.2.0/24',
    '::1',
    'fd00::/8',
  ]);
  const many = Array.from({ length: 33 }, () => '10.0.0.1').join();
  for (const bad of [
    'loopback',
    '10.0.0.1, 10.0.0.2',
    '10.0.0.0/0',
    '10.0.0.0/33',
    '10.0.0.1/8/8',
    ',',
    'true',
    many,
  ]) {
    assert.throws(
      () => read(bad),
      (error: unknown) => error instanceof StartupError && error.code === 'server.proxies_invalid',
      bad,
    );
  }
});

/** Where a server that trusts `proxies` takes a request to come from. */
async function source(proxies: string[], from: string, forwarded?: string): Promise<string> {
  const server = createBareServer(pino({ level: 'silent' }), proxies);
  server.get('/', (request, reply) => void reply.send(sourceOf(request)));
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  const answer = await server.inject({ url: '/', remoteAddress: from, headers });
  await server.close();
  return answer.body;
}

test('a request comes from where its connection does, unless a trusted proxy says otherwise [URS-032]', async () => {
  assert.equal(await source([], '127.0.0.1', '192.0.2.7'), '127.0.0.1');
  assert.equal(await source(['127.0.0.1'], '192.0.2.1', '192.0.2.7'), '192.0.2.1');
  assert.equal(await source(['127.0.0.1'], '127.0.0.1', '192.0.2.7'), '192.0.2.7');
  // What the client has put in front itself does not count, nor what is no address.
  assert.equal(
    await source(['127.0.0.1', '10.0.0.0/8'], '127.0.0.1', '6.6.6.6, 192.0.2.7, 10.9.9.9'),
    '192.0.2.7',
  );
  assert.equal(await source(['127.0.0.1'], '127.0.0.1', 'x'.repeat(4000)), '127.0.0.1');
  assert.equal(await source(['127.0.0.1'], '127.0.0.1'), '127.0.0.1');
});
