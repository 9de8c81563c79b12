import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { createDatabase, openDatabase } from './database.ts';
import type { Database } from './database.ts';
import { FactsCache, StaleFacts } from './facts.ts';

/** A database with the head of one log, whose epoch a test moves on. */
async function makeHead(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-facts-'));
  const file = join(folder, 'test.db');
  createDatabase(file, 'main');
  const database: Database = openDatabase(file, 'main');
  t.after(async () => {
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const none = new Uint8Array();
  await database.write(async (tx) => {
    await tx
      .insertInto('log')
      .values({
        id: 1,
        tenant: null,
        origin: 'log',
        verifier_key: '',
        wrapped_signing_key: none,
        payload_key_version: '',
        wrapped_payload_key: none,
      })
      .execute();
    await tx
      .insertInto('head')
      .values({ log: 1, size: 0, epoch: 1, time: 0, integrated_size: 0, root: none })
      .execute();
  });
  const advance = () =>
    database.write((tx) =>
      tx
        .updateTable('head')
        .set((eb) => ({ epoch: eb('epoch', '+', 1) }))
        .execute(),
    );
  return { facts: new FactsCache(database), advance };
}

test('a fact is read once under its epoch, however often it is asked for [URS-004]', async (t) => {
  const facts = await (await makeHead(t)).facts.of(1);
  let reads = 0;
  const load = async () => ++reads;
  assert.deepEqual(await Promise.all([facts.get('a', load), facts.get('a', load)]), [1, 1]);
  assert.deepEqual([await facts.get('b', load), await facts.get('a', load), facts.epoch], [2, 1, 1]);
});

test('once the epoch has moved on nothing more is read under the old one [URS-004] [URS-019]', async (t) => {
  const { facts: cache, advance } = await makeHead(t);
  const old = await cache.of(1);
  assert.equal(await old.get('known', async () => 'before'), 'before');
  await advance();
  await assert.rejects(
    old.get('new', () => assert.fail('It was read under facts of two epochs.')),
    StaleFacts,
  );
  await assert.rejects(
    old.read(() => assert.fail('It was read under facts of two epochs.')),
    StaleFacts,
  );
  // What was known before stays what it was: the flush refuses the epoch as a whole.
  assert.equal(await old.get('known', () => assert.fail()), 'before');
  assert.equal(await cache.of(1), old);
  cache.drop(1);
  const fresh = await cache.of(1);
  assert.equal(fresh.epoch, 2);
  assert.equal(await fresh.get('known', async () => 'after'), 'after');
});

test('a fact that could not be read is read again the next time [URS-046]', async (t) => {
  const { facts: cache } = await makeHead(t);
  const facts = await cache.of(1);
  await assert.rejects(
    facts.get('a', () => Promise.reject(new Error('not now'))),
    /not now/,
  );
  assert.equal(await facts.get('a', async () => 'there'), 'there');
  await assert.rejects(cache.of(2));
  await assert.rejects(cache.of(2), 'the failure is not kept');
});
