import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { parseCertificates, verifyTimestamp } from '@trialkeep/crypto';
import { parseCheckpoint, parseNote } from '@trialkeep/ledger';
import { opensslMissing } from '../../../../tools/self-signed.ts';
import {
  entriesOf,
  makeInstallation,
  makeTenant,
  openNode,
  openSecond,
  stores,
  until,
} from '../installation.fixture.test.ts';
import type { Node, Store } from '../installation.fixture.test.ts';
import type { Clock } from '../platform/clock.ts';
import { configure, serve, stampsOf } from './fixture.test.ts';
import type { Served } from './fixture.test.ts';

const hourMs = 3_600_000;

/** A node that works, with a tenant; time runs, and can be put forward. */
async function makeScene(t: TestContext, store: Store, served: readonly Served[], maxDriftSeconds = 3600) {
  const installation = await makeInstallation(t, store);
  configure(installation.data, served, { maxDriftSeconds });
  let ahead = 0;
  const clock: Clock = { now: () => Date.now() + ahead };
  const node = await openNode(t, installation, clock);
  await node.rooms.jobs.start(node.rooms.handlers);
  const tenant = await makeTenant(node, installation.administrator);
  const log = node.instance.ledger.logOfTenant(tenant.tenant) ?? assert.fail();
  const poll = async (of: Node = node): Promise<void> => {
    await of.rooms.poll();
    await until(async () => (await jobs(of)).every(({ failure }) => failure !== null));
  };
  // The clock of a database server cannot be put forward: what it has written down becomes older.
  const forward = async (ms: number): Promise<void> => {
    ahead += ms;
    if (store.name === 'SQLite') return;
    await node.instance.database.write(async (tx) => {
      await tx
        .updateTable('ledger_timestamp')
        .set((eb) => ({ created_at: eb('created_at', '-', ms) }))
        .execute();
      await tx
        .updateTable('job')
        .set((eb) => ({ due_at: eb('due_at', '-', ms) }))
        .execute();
      await tx
        .updateTable('clock_source')
        .set((eb) => ({ alerted_at: eb('alerted_at', '-', ms) }))
        .execute();
    });
  };
  return { installation, node, tenant, log, poll, clock, forward };
}

function jobs({ instance }: Node) {
  return instance.database.read((tx) =>
    tx.selectFrom('job').selectAll().where('task', '=', 'timestamps.obtain').execute(),
  );
}

for (const store of stores) {
  const skip = opensslMissing || store.skip;

  test(
    `${store.name}: a log is stamped when it is new, after a rotation, and not for its own stamps [URS-035]`,
    { skip },
    async (t) => {
      const served = await serve(t);
      const { node, tenant, log, poll, forward } = await makeScene(t, store, [served]);
      const key = await tenant.createKey();
      await poll();
      const [first, ...none] = await stampsOf(node.instance, log.id);
      assert.ok(first !== undefined && none.length === 0);
      const data = Buffer.from(first.note);
      assert.equal(parseCheckpoint(parseNote(data).text).size, first.size);
      await verifyTimestamp(first.token, { data, roots: parseCertificates(served.authority.rootPem) });
      await forward(60_000);
      await tenant.createKey();
      await poll();
      assert.equal((await stampsOf(node.instance, log.id)).length, 1, 'growth alone waits for the interval');
      await tenant.change('keys.rotate', key);
      const entries = await entriesOf(node.instance, tenant.tenant);
      await poll();
      const [, second] = await stampsOf(node.instance, log.id);
      assert.equal(second?.size, entries.length, 'the rotation is under it');
      const own = (await entriesOf(node.instance, tenant.tenant)).filter(
        ({ operation }) => operation === 'timestamps.obtain',
      );
      assert.deepEqual(
        own.map(({ size, outcome }) => ({ size, outcome })),
        [first, second].map(({ size }) => ({ size, outcome: 'success' })),
      );
      const asked = served.requests();
      for (let i = 0; i < 3; i++) {
        await forward(25 * hourMs);
        await poll();
      }
      assert.equal(served.requests(), asked, 'a stamp calls for no other');
      await tenant.createKey();
      await poll();
      assert.equal((await stampsOf(node.instance, log.id)).length, 3, 'growth, once the interval is over');
    },
  );

  test(
    `${store.name}: suspensions are acknowledged while no authority answers, and stamped later [URS-035]`,
    { skip },
    async (t) => {
      const served = await serve(t);
      served.behaviour = 'status';
      const { node, tenant, log, poll, forward } = await makeScene(t, store, [served]);
      const key = await tenant.createKey();
      await tenant.change('keys.suspend', key);
      await poll();
      assert.equal((await stampsOf(node.instance, log.id)).length, 0);
      assert.match(node.notes.join(), /timestamps\.unavailable/);
      assert.match((await node.rooms.status()).limits.join(), /Timestamps are missing for/);
      served.behaviour = 'right';
      await forward(hourMs);
      await until(async () => (await jobs(node)).length === 0);
      const entries = await entriesOf(node.instance, tenant.tenant);
      const [stamp] = await stampsOf(node.instance, log.id);
      const suspended = entries.findIndex(({ operation }) => operation === 'keys.suspend');
      assert.ok(stamp !== undefined && stamp.size > suspended);
      assert.doesNotMatch((await node.rooms.status()).limits.join(), /Timestamps are missing/);
    },
  );

  test(`${store.name}: a log that no authority stamps says so, once [URS-035]`, { skip }, async (t) => {
    const served = await serve(t);
    served.behaviour = 'altered';
    const { node, tenant, poll, forward } = await makeScene(t, store, [served]);
    await poll();
    const failed = async () =>
      (await entriesOf(node.instance, tenant.tenant)).filter(({ code }) => code === 'timestamps.unavailable');
    for (let i = 0; i < 6; i++) {
      await forward(hourMs);
      const before = served.requests();
      await until(
        async () => served.requests() > before && (await jobs(node)).every(({ lease }) => lease === ''),
      );
    }
    assert.deepEqual(
      (await failed()).map(({ operation, outcome }) => ({ operation, outcome })),
      [{ operation: 'timestamps.obtain', outcome: 'failed' }],
    );
  });

  test(`${store.name}: two nodes obtain one timestamp for one size [URS-035]`, { skip }, async (t) => {
    const served = await serve(t);
    const { installation, node, tenant, log, poll, clock } = await makeScene(t, store, [served]);
    const second = await openSecond(t, installation, node, clock);
    await second.rooms.jobs.start(second.rooms.handlers);
    await tenant.createKey();
    await Promise.all([poll(), poll(second)]);
    const stamps = await stampsOf(node.instance, log.id);
    const own = (await entriesOf(node.instance, tenant.tenant)).filter(
      ({ operation }) => operation === 'timestamps.obtain',
    );
    assert.deepEqual(
      own.map(({ size }) => size),
      stamps.map(({ size }) => size),
    );
    assert.equal(new Set(stamps.map(({ size }) => size)).size, stamps.length);
  });

  test(
    `${store.name}: a clock beyond the bound is an entry each hour, and one when it is over [URS-035]`,
    { skip },
    async (t) => {
      const { node, poll, forward } = await makeScene(t, store, [await serve(t)], 60);
      const { instance, rooms } = node;
      const about = async () => {
        const rows = await instance.database.read((tx) =>
          tx
            .selectFrom('ledger_entry')
            .select('bytes')
            .where('log', '=', instance.ledger.instanceLog.id)
            .orderBy('position')
            .execute(),
        );
        return rows
          .map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()) as Record<string, string>)
          .filter(({ operation }) => operation === 'clock.drift')
          .map(({ outcome, state }) => `${outcome} ${state}`);
      };
      const witness = async (offsetMs: number): Promise<void> => {
        const before = await instance.database.read((tx) =>
          tx.selectFrom('clock_source').selectAll().execute(),
        );
        rooms.timestamps.observeClock('witness example', (await rooms.timestamps.now()) + offsetMs);
        await until(async () => {
          const after = await instance.database.read((tx) =>
            tx.selectFrom('clock_source').selectAll().execute(),
          );
          return JSON.stringify(after) !== JSON.stringify(before);
        });
      };

      await poll();
      assert.deepEqual(await about(), []);
      await witness(100_000);
      assert.deepEqual(await about(), ['failed beyond']);
      assert.match((await rooms.status()).limits.join(), /s behind that of an authority or witness/);
      await forward(hourMs + 1000);
      await witness(-100_000);
      assert.deepEqual(await about(), ['failed beyond', 'failed beyond']);
      await witness(0);
      assert.equal((await about()).at(-1), 'success within');
      assert.doesNotMatch((await rooms.status()).limits.join(), /of an authority or witness/);
    },
  );
}

test(
  'SQLite: an authority shows that the clock of the server is wrong [URS-035]',
  { skip: opensslMissing },
  async (t) => {
    const [store = assert.fail()] = stores;
    const { node, poll, forward } = await makeScene(t, store, [await serve(t)], 5);
    await forward(-600_000);
    await poll();
    assert.match((await node.rooms.status()).limits.join(), /59\d(\.\d)? s behind/);
  },
);
