import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { OperationError } from './errors.ts';
import { createBareServer, listen } from './http.ts';
import { createLogger } from './log.ts';
import { createSealedServer } from './sealed-http.ts';

const progress = { set: '00000000', threshold: 2, count: 3, given: 0, wrong: 0 };

/** A sealed server of which one text is a share, and what it has taken. */
function makeServer(clock: { now(): number }): { http: FastifyInstance; taken: string[] } {
  const taken: string[] = [];
  const desk = {
    progress,
    isOpen: false,
    isRight: (share: string) => share === 'right',
    give: (share: string) => {
      taken.push(share);
      if (share !== 'right') throw new OperationError('unseal.share_malformed');
      return progress;
    },
  };
  const logger = createLogger();
  logger.level = 'silent';
  return {
    http: createSealedServer(desk, { profile: 'evaluation', version: '0', clock }, logger),
    taken,
  };
}

async function give(http: FastifyInstance, share: string): Promise<string | undefined> {
  const answered = await http.inject({ method: 'POST', url: '/v1/unseal', payload: { share } });
  return answered.json<{ error?: { code: string } }>().error?.code;
}

test('however many wrong shares come from an address, a right one is taken, and waiting helps [URS-010] [URS-080]', async () => {
  let now = 1_000_000;
  const { http, taken } = makeServer({ now: () => now });
  for (let i = 0; i < 10; i += 1) assert.equal(await give(http, 'wrong'), 'unseal.share_malformed');
  for (let i = 0; i < 30; i += 1) {
    assert.equal(await give(http, 'wrong'), 'unseal.too_many');
    // What is refused takes nothing: a second later there is one again.
    now += 30;
  }
  assert.equal(await give(http, 'right'), undefined);
  now += 200;
  assert.equal(await give(http, 'wrong'), 'unseal.share_malformed');
  assert.equal(taken.filter((share) => share === 'wrong').length, 11);
  await http.close();
});

test('a port that somebody has for a moment is waited for [URS-010]', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const logger = createLogger();
  logger.level = 'silent';
  const http = createBareServer(logger);
  t.after(() => http.close());
  await assert.rejects(listen(http, '127.0.0.1', port), { code: 'server.port_in_use' });
  const listening = listen(http, '127.0.0.1', port, 600_000);
  other.close();
  assert.equal(await listening, `http://127.0.0.1:${port}`);
});
