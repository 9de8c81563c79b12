import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Batches, plaintext } from './batch.fixture.test.ts';
import { refusal } from './fixture.test.ts';
import { stores } from './installation.fixture.test.ts';
import type { Database } from './platform/database.ts';
import { Facts } from './platform/facts.ts';

/** What may be left of each id, bytes: less than its name alone takes in a map. A heap moves by a few MiB by itself. */
const maxBytesEach = 40;
const slackBytes = 6 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in use once everything is collected that nobody holds. */
async function heap(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise(setImmediate);
  }
  return process.memoryUsage().heapUsed;
}

async function assertFlat(count: number, ask: () => Promise<unknown>): Promise<void> {
  // What is bounded fills up first.
  for (let i = 0; i < 10_000; i++) await ask();
  const before = await heap();
  for (let i = 0; i < count; i++) await ask();
  const grown = (await heap()) - before;
  assert.ok(grown < slackBytes + count * maxBytesEach, `${count} unknown ids left ${grown} bytes behind`);
}

test('a million facts that are not there leave nothing behind [URS-012]', async () => {
  const none: Partial<Database> = { read: async () => undefined as never };
  const facts = new Facts(none as Database, 1, 1);
  await assertFlat(1_000_000, () => facts.get(`key ${randomUUID()}`, async () => undefined));
});

test('requests for keys that do not exist leave nothing behind, one by one and in batches [URS-012]', async (t) => {
  const batches = await Batches.arrange(t, stores[0] ?? assert.fail());
  // The ledger grows with each of them, as it must: here it only says that it did.
  const appended = { position: 1, time: Date.now(), denied: undefined };
  // Not a mock of the test runner, which keeps its calls.
  Reflect.set(batches.node.instance.ledger.appender, 'append', async () => appended);
  let asked = 0;
  await assertFlat(20_000, () => {
    const key = randomUUID();
    const one = () => batches.asks('keys.encrypt', { key, plaintext });
    const many = () => batches.asks('keys.encrypt-batch', { key, items: [{ plaintext }, { plaintext }] });
    return assert.rejects(asked++ % 2 === 0 ? one() : many(), refusal('key.unknown'));
  });
});
