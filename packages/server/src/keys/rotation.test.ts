import assert from 'node:assert/strict';
import test from 'node:test';
import type { TestContext } from 'node:test';
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
import { rotationTask, scheduleRotation } from './rotation.ts';
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
