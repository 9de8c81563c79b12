import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { testOnStores } from './fixture.test.ts';
import type { Store } from './fixture.test.ts';
import { FactsCache, StaleFacts } from './facts.ts';

/** A database with the head of one log, whose epoch a test moves on, as another node does. */
async function makeHead(t: TestContext, { make }: Store) {
  const open = await make(t);
  const database = await open();
  const none = new Uint8Array();
  const keys = { payload_key_version: '', wrapped_payload_key: none };
  await database.write(async (tx) => {
    await tx
      .insertInto('log')
      .values({ ...keys, id: 1, tenant: null, origin: 'log' })
      .execute();
    await tx.insertInto('head').values({ log: 1, size: 0, epoch: 1, time: 0 }).execute();
  });
  const advance = () =>
    database.write((tx) =>
      tx
        .updateTable('head')
        .set((eb) => ({ epoch: eb('epoch', '+', 1) }))
        .execute(),
    );
  const moved: number[] = [];
  const failures: Error[] = [];
  const dropped: number[] = [];
  const onEpoch = async (log: number): Promise<void> => {
    const failure = failures.pop();
    if (failure !== undefined) throw failure;
    moved.push(log);
  };
  const facts = new FactsCache(await open(), onEpoch, (log) => void dropped.push(log));
  return { facts, advance, moved, failures, dropped };
}

testOnStores(
  'a fact is read once under its epoch, however often it is asked for [URS-004]',
  async (t, under) => {
    const facts = await (await makeHead(t, under)).facts.of(1);
    let reads = 0;
    const load = async () => ++reads;
    assert.deepEqual(await Promise.all([facts.get('a', load), facts.get('a', load)]), [1, 1]);
    assert.deepEqual([await facts.get('b', load), await facts.get('a', load), facts.epoch], [2, 1, 1]);
  },
);

testOnStores(
  'once the epoch has moved on nothing more is read under the old one [URS-004] [URS-019]',
  async (t, under) => {
    const { facts: cache, advance } = await makeHead(t, under);
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
  },
);

testOnStores('a fact that could not be read is read again the next time [URS-046]', async (t, under) => {
  const { facts: cache } = await makeHead(t, under);
  const facts = await cache.of(1);
  await assert.rejects(
    facts.get('a', () => Promise.reject(new Error('not now'))),
    /not now/,
  );
  assert.equal(await facts.get('a', async () => 'there'), 'there');
  await assert.rejects(cache.of(2));
  await assert.rejects(cache.of(2), 'the failure is not kept');
});

testOnStores(
  'what writes no entry is confirmed under its epoch before it is answered [URS-004]',
  async (t, under) => {
    const { facts: cache, advance } = await makeHead(t, under);
    const facts = await cache.of(1);
    await facts.confirm();
    await advance();
    await assert.rejects(facts.confirm(), (error) => error instanceof StaleFacts && error.log === 1);
  },
);

testOnStores(
  'the poll drops what another node has made stale, and says so once [URS-004]',
  async (t, under) => {
    const { facts: cache, advance, moved } = await makeHead(t, under);
    const old = await cache.of(1);
    await cache.poll();
    // What is seen first may have changed since this process read it.
    assert.deepEqual(moved.splice(0), [1]);
    assert.equal(await cache.of(1), old);
    await advance();
    await cache.poll();
    assert.equal((await cache.of(1)).epoch, 2);
    await cache.poll();
    assert.deepEqual(moved, [1]);
    // Also where no facts were kept: keys may have been.
    cache.drop(1);
    await advance();
    await cache.poll();
    assert.deepEqual(moved, [1, 1]);
  },
);

testOnStores(
  'whoever keeps something beside the facts is told before new ones are handed out, and what fails is told again [URS-004] [URS-049]',
  async (t, under) => {
    const { facts: cache, advance, moved, failures, dropped } = await makeHead(t, under);
    // Where no facts were known, too: what a start has read may be older than they are.
    await cache.of(1);
    assert.deepEqual(dropped, [1]);
    await cache.poll();
    moved.length = 0;
    await advance();
    failures.push(new Error('The store is away.'));
    await cache.poll();
    assert.deepEqual(moved, []);
    await cache.poll();
    assert.deepEqual(moved, [1]);
    await cache.poll();
    assert.deepEqual(moved, [1]);
  },
);
