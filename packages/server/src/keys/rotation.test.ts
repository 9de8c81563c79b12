import assert from 'node:assert/strict';
import test from 'node:test';
import type { TestContext } from 'node:test';
import fc from 'fast-check';
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
import { systemClock } from '../platform/clock.ts';
import type { Clock } from '../platform/clock.ts';
import { schedule } from '../platform/jobs/index.ts';
import { policyTask } from './rotation-settings.ts';
import { nextRotation, rotationTask, scheduleRotation } from './rotation.ts';
import type { KeyRow } from './store.ts';

const dayMs = 86_400_000;
const [sqlite] = stores as readonly [Store, ...Store[]];

/** A clock that the test sets; PostgreSQL has its own. */
function movedClock(): Clock & { time: number } {
  const clock = { time: Date.now() + 60_000, now: () => clock.time };
  return clock;
}

async function start({ rooms }: Node): Promise<void> {
  const handler = rooms.handlers[rotationTask];
  assert.ok(handler);
  await rooms.jobs.start({ [rotationTask]: handler });
}

async function keysOf({ instance }: Node): Promise<KeyRow[]> {
  return instance.database.read((tx) => tx.selectFrom('key').selectAll().orderBy('id').execute());
}

async function jobsOf({ instance }: Node) {
  return instance.database.read((tx) =>
    tx.selectFrom('job').selectAll().where('task', '=', rotationTask).orderBy('name').execute(),
  );
}

/** Rows in the order of their first members. */
function byKey<Row extends readonly unknown[]>(rows: readonly Row[]): Row[] {
  return rows.toSorted(([one], [other]) => (String(one) < String(other) ? -1 : 1));
}

/** What the log says about rotations: key, version, who, why. */
async function rotations({ instance }: Node, tenant: string) {
  const entries = await entriesOf(instance, tenant);
  const found = entries.filter(({ operation }) => operation === 'keys.rotate');
  return byKey(
    found.map(({ key, version, actor, reason, outcome, state }) => [
      key,
      version,
      actor,
      reason,
      outcome,
      state,
    ]),
  );
}

async function makeScene(t: TestContext, store: Store) {
  const installation = await makeInstallation(t, store);
  const clock = movedClock();
  const node = await openNode(t, installation, store.name === 'SQLite' ? clock : systemClock);
  const tenant = await makeTenant(node, installation.administrator);
  return { installation, clock, node, ...tenant };
}

/** Lets the rotation period of every key pass. */
async function letTimePass({ instance }: Node, clock: { time: number }, days: number): Promise<void> {
  const { database } = instance;
  if (database.dialect === 'sqlite') {
    clock.time += days * dayMs;
    return;
  }
  await database.write(async (tx) => {
    for (const row of await tx.selectFrom('key').selectAll().execute()) {
      row.rotation_due_at -= days * dayMs;
      const { rotation_due_at } = row;
      await tx.updateTable('key').set({ rotation_due_at }).where('id', '=', row.id).execute();
      await scheduleRotation(tx, row);
    }
  });
}

for (const store of stores) {
  const { name, skip } = store;

  test(
    `${name}: two nodes race over fifty keys that are due, and each rotates once [URS-003]`,
    { skip },
    async (t) => {
      const { installation, clock, node, tenant, createKey } = await makeScene(t, store);
      const second = await openSecond(t, installation, node, name === 'SQLite' ? clock : systemClock);
      const keys = await Promise.all(Array.from({ length: 50 }, () => createKey()));
      await Promise.all([start(node), start(second)]);
      assert.deepEqual(await rotations(node, tenant), []);
      await letTimePass(node, clock, 91);
      await until(async () => (await keysOf(node)).every(({ version }) => version >= 2));
      await Promise.all([node.rooms.jobs.stop(), second.rooms.jobs.stop()]);
      assert.deepEqual(
        await rotations(node, tenant),
        byKey(keys.map((key) => [key, 2, undefined, 'policy', 'success', 'active'])),
      );
      const versions = await node.instance.database.read((tx) =>
        tx.selectFrom('key_version').select(['key', 'version']).execute(),
      );
      assert.equal(versions.length, 100);
      const rows = await keysOf(node);
      assert.deepEqual(
        (await jobsOf(node)).map(({ name: job, due_at, input }) => [job, due_at, JSON.parse(input)]),
        rows.map(({ id, tenant: owner, version, rotation_due_at: dueAt }) => [
          `keys.rotate/${id}`,
          dueAt,
          { dueAt, key: id, tenant: owner, version },
        ]),
      );
      assert.deepEqual([node.notes, second.notes], [[], []]);
    },
  );

  test(
    `${name}: a job that means another version of the key rotates nothing and gives way`,
    { skip },
    async (t) => {
      const { node, tenant, createKey } = await makeScene(t, store);
      const key = await createKey();
      const [row] = await keysOf(node);
      assert.ok(row);
      const wrong = { dueAt: row.rotation_due_at, key, tenant, version: 7 };
      await node.instance.database.write((tx) =>
        schedule(tx, { name: `keys.rotate/${key}`, task: rotationTask, input: wrong, dueAt: 0 }),
      );
      await start(node);
      await until(async () => (await jobsOf(node))[0]?.due_at === row.rotation_due_at);
      assert.deepEqual(await rotations(node, tenant), []);
      assert.deepEqual(JSON.parse((await jobsOf(node))[0]?.input ?? ''), { ...wrong, version: 1 });
    },
  );
}

test('a rotation by hand puts the next one off [URS-003]', async (t) => {
  const { clock, node, tenant, createKey, change } = await makeScene(t, sqlite);
  const key = await createKey();
  clock.time += 80 * dayMs;
  await change('keys.rotate', key);
  clock.time += 20 * dayMs;
  const other = await createKey();
  await start(node);
  // Another key's rotation shows that the runner has been round.
  await node.instance.database.write(async (tx) => {
    const row = await tx.selectFrom('key').selectAll().where('id', '=', other).executeTakeFirstOrThrow();
    row.rotation_due_at = clock.time - 1;
    await tx
      .updateTable('key')
      .set({ rotation_due_at: row.rotation_due_at })
      .where('id', '=', other)
      .execute();
    await scheduleRotation(tx, row);
  });
  await until(async () => (await rotations(node, tenant)).length >= 2);
  const found = (await rotations(node, tenant)).map(([id, version, , reason]) => [id, version, reason]);
  assert.deepEqual(
    found,
    byKey([
      [key, 2, undefined],
      [other, 2, 'policy'],
    ]),
  );
});

test('a key that is suspended when it is due rotates once it is resumed [URS-003]', async (t) => {
  const { clock, node, tenant, createKey, change } = await makeScene(t, sqlite);
  const key = await createKey();
  await change('keys.suspend', key);
  assert.deepEqual(await jobsOf(node), []);
  await start(node);
  clock.time += 91 * dayMs;
  await change('keys.resume', key);
  await until(async () => (await rotations(node, tenant)).length > 0);
  assert.deepEqual(await rotations(node, tenant), [[key, 2, undefined, 'policy', 'success', 'active']]);
});

test('a rotation that finds its key suspended, ended or not yet active leaves it as it is [URS-003]', async (t) => {
  const { clock, node, tenant, createKey } = await makeScene(t, sqlite);
  const activatesAt = clock.time + 200 * dayMs;
  const early = await createKey({ activatesAt });
  const ended = await createKey({ expiresAt: clock.time + 30 * dayMs });
  await start(node);
  clock.time += 91 * dayMs;
  await until(async () => {
    const jobs = await jobsOf(node);
    return jobs.length === 1 && jobs[0]?.due_at === activatesAt;
  });
  assert.deepEqual(await rotations(node, tenant), []);
  clock.time = activatesAt;
  await until(async () => (await rotations(node, tenant)).length > 0);
  assert.deepEqual(await rotations(node, tenant), [[early, 2, undefined, 'policy', 'success', 'active']]);
  assert.equal((await keysOf(node)).find(({ id }) => id === ended)?.version, 1);
});

test('dates lie in the last tenth of the period, never behind it, and are spread over it [URS-003]', () => {
  const days = fc.integer({ min: 60, max: 180 });
  fc.assert(
    fc.property(fc.uuid(), fc.integer({ min: 1, max: 1000 }), days, (id, version, period) => {
      const row = { id, version, rotation_period_days: period };
      const after = nextRotation(1_000_000, row) - 1_000_000;
      assert.ok(after > 0.9 * period * dayMs - 1 && after <= period * dayMs);
      assert.equal(nextRotation(1_000_000, row), 1_000_000 + after);
    }),
  );
  const minutes = new Set<number>();
  const perMinute = new Map<number, number>();
  for (let i = 0; i < 100_000; i++) {
    const row = { id: `key ${i}`, version: 1, rotation_period_days: 90 };
    const minute = Math.floor(nextRotation(0, row) / 60_000);
    minutes.add(minute);
    perMinute.set(minute, (perMinute.get(minute) ?? 0) + 1);
  }
  // Nine days have 12,960 minutes: about eight of a hundred thousand keys fall into each.
  assert.ok(minutes.size > 12_000 && Math.max(...perMinute.values()) < 40);
});

test('the policy of a tenant holds for keys without a period of their own, at once and from then on [URS-003]', async (t) => {
  const { clock, node, createKey, admit } = await makeScene(t, sqlite);
  const reason = 'Our own policy.';
  const followed = await createKey();
  const own = await createKey({ rotationPeriodDays: 100 });
  await admit('keys.set-rotation-policy', { periodDays: 60, reason });
  const handler = node.rooms.handlers[policyTask];
  assert.ok(handler);
  await node.rooms.jobs.start({ [policyTask]: handler });
  const row = async (id: string) => (await keysOf(node)).find((key) => key.id === id) ?? assert.fail();
  await until(async () => (await row(followed)).rotation_period_days === 60);
  await node.rooms.jobs.stop();
  const isDue = (key: KeyRow, days: number): boolean =>
    key.rotation_due_at - key.created_at <= days * dayMs &&
    key.rotation_due_at - key.created_at >= 0.9 * days * dayMs;
  assert.ok(isDue(await row(followed), 60) && isDue(await row(own), 100));
  const [waiting] = (await jobsOf(node)).filter(({ name }) => name.endsWith(followed));
  assert.equal(waiting?.due_at, (await row(followed)).rotation_due_at);
  const later = await createKey();
  assert.ok(isDue(await row(later), 60));

  await admit('keys.set-rotation', { key: own, periodDays: null, reason });
  assert.ok(isDue(await row(own), 60));
  await admit('keys.set-rotation', { key: followed, periodDays: 180, reason });
  assert.ok(isDue(await row(followed), 180));
  clock.time += 61 * dayMs;
  await start(node);
  await until(async () => (await row(own)).version === 2 && (await row(later)).version === 2);
  assert.equal((await row(followed)).version, 1);
});

test('a new policy reaches many keys a few at a time, and the uses of keys go on meanwhile [URS-003] [URS-046]', async (t) => {
  const { clock, node, tenant, createKey, admit } = await makeScene(t, sqlite);
  const keys = await Promise.all(Array.from({ length: 120 }, () => createKey()));
  await admit('keys.set-rotation-policy', { periodDays: 60, reason: 'Our own policy.' });
  const log = await node.instance.ledger.openOfTenant(tenant);
  assert.ok(log);
  const epoch = async (): Promise<number> => {
    const heads = await node.instance.database.read((tx) =>
      tx.selectFrom('head').select(['epoch', 'log']).execute(),
    );
    return heads.find((head) => head.log === log.id)?.epoch ?? assert.fail();
  };
  const changed = async (): Promise<number> =>
    (await keysOf(node)).filter((row) => row.rotation_period_days === 60).length;
  const waiting = async () =>
    node.instance.database.read((tx) =>
      tx.selectFrom('job').select(['due_at', 'lease']).where('task', '=', policyTask).execute(),
    );
  const handler = node.rooms.handlers[policyTask];
  assert.ok(handler);
  const runOnce = async (): Promise<void> => {
    await node.rooms.jobs.start({ [policyTask]: handler });
    await until(async () => (await waiting()).every((job) => job.lease === '' && job.due_at > clock.time));
    await node.rooms.jobs.stop();
  };
  await admit('keys.show', { key: keys[0] ?? '' });
  const before = await epoch();
  for (const expected of [50, 100, 120]) {
    await runOnce();
    assert.deepEqual([await changed(), await epoch()], [expected, before]);
    clock.time += 1000;
  }
  await runOnce();
  assert.deepEqual([await waiting(), await epoch()], [[], before + 1]);
  const { key: shown } = await admit('keys.show', { key: keys[0] ?? '' });
  assert.equal(shown.rotationPeriodDays, 60, 'What is shown is what is.');
});
