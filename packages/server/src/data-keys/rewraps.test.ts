import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { schedule } from '../platform/jobs/index.ts';
import { entriesOf, stores, until } from '../installation.fixture.test.ts';
import type { Store } from '../installation.fixture.test.ts';
import { codeOf, makeScene, work } from './data-keys.fixture.test.ts';
import type { Scene } from './data-keys.fixture.test.ts';
import { followJob } from './follow-job.ts';

const [sqlite] = stores as readonly [Store, ...Store[]];

/** Registers some data keys of the scene's key; gives their references. */
async function registerSome({ call, key, make, service }: Scene, count: number): Promise<string[]> {
  const dataKeys = (await make(count)).map(({ ciphertext }) => ({ ciphertext }));
  return (await call('data-keys.register', service, { key, dataKeys })).references;
}

/** Has keys that have rotated looked for now. */
async function lookNow({ node }: Scene): Promise<void> {
  await node.instance.database.write((tx) => schedule(tx, followJob(0)));
  node.rooms.rewraps.wake();
}

async function rewrapsOf({ call, custodian, key }: Scene) {
  return (await call('rewraps.list', custodian, { key })).rewraps;
}

async function untilState(scene: Scene, rewrap: string, state: string) {
  let shown = await scene.call('rewraps.show', scene.custodian, { rewrap });
  await until(async () => {
    shown = await scene.call('rewraps.show', scene.custodian, { rewrap });
    return shown.state === state;
  });
  return shown;
}

async function versionsOf({ call, key, service }: Scene, references: string[]): Promise<number[]> {
  const { dataKeys } = await call('data-keys.current', service, { key, references });
  return dataKeys.map(({ version }) => version);
}

async function rotated(t: TestContext, count: number): Promise<{ scene: Scene; references: string[] }> {
  const scene = await makeScene(t, sqlite);
  const references = await registerSome(scene, count);
  await scene.call('keys.rotate', scene.custodian, { key: scene.key });
  return { scene, references };
}

test('a rewrap that rests does nothing, not even after another rotation, until it is let go on [URS-003]', async (t) => {
  const { scene, references } = await rotated(t, 3);
  const { call, custodian, key, node } = scene;
  const { id: rewrap } = await call('rewraps.start', custodian, { key });
  assert.equal(await codeOf(call('rewraps.resume', custodian, { rewrap })), 'rewrap.transition_undefined');
  const paused = await call('rewraps.pause', custodian, { rewrap, reason: 'an inspection' });
  assert.deepEqual([paused.state, paused.workers, paused.endedAt], ['paused', 1, null]);
  assert.equal(await codeOf(call('rewraps.pause', custodian, { rewrap })), 'rewrap.transition_undefined');
  await work(t, node);
  await lookNow(scene);
  const jobs = await node.instance.database.read((tx) =>
    tx.selectFrom('job').select('task').where('task', '=', 'data-keys.rewrap').execute(),
  );
  assert.deepEqual(jobs, [], 'nobody can take it up');
  assert.deepEqual(await versionsOf(scene, references), [1, 1, 1]);
  const resumed = await call('rewraps.resume', custodian, { rewrap });
  assert.equal(resumed.state, 'running');
  const done = await untilState(scene, rewrap, 'finished');
  assert.deepEqual([done.rewrapped, done.hash?.length], [3, 64]);
  assert.deepEqual(await versionsOf(scene, references), [2, 2, 2]);
  assert.equal((await rewrapsOf(scene)).length, 1);
});

test('a key that is suspended stops the rewrap, which says so; once it is active again another one begins [URS-003] [URS-044]', async (t) => {
  const { scene, references } = await rotated(t, 3);
  const { call, custodian, key, node, tenant } = scene;
  const { id: rewrap } = await call('rewraps.start', custodian, { key });
  await call('keys.suspend', custodian, { key, reason: 'a finding' });
  await work(t, node);
  const stopped = await untilState(scene, rewrap, 'stopped');
  assert.deepEqual([stopped.cause, stopped.rewrapped, stopped.workers], ['suspended', 0, 0]);
  const entries = await entriesOf(node.instance, tenant);
  const ends = entries.filter(({ operation }) => operation === 'rewraps.stop');
  assert.deepEqual(
    ends.map(({ state, hash }) => [state, hash]),
    [['stopped', stopped.hash]],
  );
  assert.equal(entries.filter(({ operation }) => operation === 'data-keys.rewrap').length, 0);
  await call('keys.resume', custodian, { key, reason: 'nothing was found' });
  await lookNow(scene);
  await until(async () => (await rewrapsOf(scene)).some(({ state }) => state === 'finished'));
  assert.deepEqual(await versionsOf(scene, references), [2, 2, 2]);
});

test('a revoked key stops the rewrap for good [URS-003] [URS-044]', async (t) => {
  const { scene } = await rotated(t, 2);
  const { call, custodian, key, node } = scene;
  const { id: rewrap } = await call('rewraps.start', custodian, { key });
  await call('keys.revoke', custodian, { key, cause: 'breach', reason: 'a breach' });
  await work(t, node);
  const stopped = await untilState(scene, rewrap, 'stopped');
  assert.deepEqual([stopped.cause, stopped.rewrapped], ['compromised', 0]);
  assert.equal(await codeOf(call('rewraps.start', custodian, { key })), 'key.unusable');
});

test('a rotation under a rewrap leads to one under the newer version: an old one protects nothing [URS-003]', async (t) => {
  const { scene, references } = await rotated(t, 2);
  const { call, custodian, key, node } = scene;
  const { id: rewrap } = await call('rewraps.start', custodian, { key });
  await call('keys.rotate', custodian, { key });
  await work(t, node);
  await untilState(scene, rewrap, 'superseded');
  await until(async () => (await versionsOf(scene, references)).every((version) => version === 3));
});

test('data keys that come late, under an old version, are wrapped anew too [URS-003]', async (t) => {
  const scene = await makeScene(t, sqlite);
  const { call, custodian, key, node, service } = scene;
  const [early, late] = await scene.make(2);
  assert.ok(early && late);
  const register = (ciphertext: string) =>
    call('data-keys.register', service, { key, dataKeys: [{ ciphertext }] });
  const { references: first } = await register(early.ciphertext);
  await call('keys.rotate', custodian, { key });
  await work(t, node);
  await until(async () => (await rewrapsOf(scene)).some(({ state }) => state === 'finished'));
  const { references: second } = await register(late.ciphertext);
  await lookNow(scene);
  await until(async () => (await versionsOf(scene, second))[0] === 2);
  await until(async () => (await rewrapsOf(scene)).every(({ state }) => state === 'finished'));
  assert.deepEqual(await versionsOf(scene, first), [2]);
  assert.deepEqual(
    (await rewrapsOf(scene)).map(({ rewrapped, passed }) => [rewrapped, passed]),
    [
      [1, 0],
      [1, 1],
    ],
  );
});

test('a version whose time to process is over opens nothing: its data keys are counted and named as lost [URS-003]', async (t) => {
  let ahead = 0;
  const scene = await makeScene(t, sqlite, { now: () => Date.now() + ahead });
  const references = await registerSome(scene, 2);
  const { call, custodian, key, node, tenant } = scene;
  await call('keys.set-rotation', custodian, { key, recipientPeriodDays: 1, reason: 'short' });
  await call('keys.rotate', custodian, { key });
  ahead = 2 * 86_400_000;
  const { id: rewrap } = await call('rewraps.start', custodian, { key });
  await work(t, node);
  const done = await untilState(scene, rewrap, 'finished');
  assert.deepEqual([done.rewrapped, done.failed, done.lost], [0, 0, 2]);
  assert.deepEqual(await versionsOf(scene, references), [1, 1]);
  const entries = await entriesOf(node.instance, tenant);
  const batches = entries.filter(({ operation }) => operation === 'data-keys.rewrap');
  assert.deepEqual(
    batches.map(({ outcome }) => outcome),
    ['failed'],
  );
});

test('a sealed tenant’s data keys wait [URS-003] [URS-044]', async (t) => {
  const { scene } = await rotated(t, 2);
  const { call, custodian, key, node, service } = scene;
  const [one] = await scene.make(1);
  const { id: rewrap } = await call('rewraps.start', custodian, { key });
  await call('tenants.seal', custodian, { reason: 'an emergency' });
  await work(t, node);
  const name = `data-keys.rewrap/${rewrap}/0`;
  const due = async () =>
    (
      await node.instance.database.read((tx) =>
        tx.selectFrom('job').select('due_at').where('name', '=', name).executeTakeFirst(),
      )
    )?.due_at ?? 0;
  const begun = await due();
  await until(async () => (await due()) > begun);
  const shown = await call('rewraps.show', custodian, { rewrap });
  assert.deepEqual([shown.state, shown.rewrapped], ['running', 0]);
  const dataKeys = [{ ciphertext: one?.ciphertext ?? '' }];
  assert.equal(await codeOf(call('data-keys.register', service, { key, dataKeys })), 'tenant.sealed');
});

test('keys that have no data keys to wrap take none, and a use-logged key’s stay as they are [URS-003]', async (t) => {
  const scene = await makeScene(t, sqlite);
  const { call, custodian, system } = scene;
  const issue = async (key: string) =>
    (await call('credentials.issue', custodian, { name: 'other', role: 'service', system, keys: [key] }))
      .secret;
  const [one] = await scene.make(1);
  const dataKeys = [{ ciphertext: one?.ciphertext ?? '' }];
  const { id: signing } = await call('keys.create', custodian, {
    system,
    algorithm: 'ED25519',
    purpose: 'sign',
  });
  const { id: logged } = await call('keys.create', custodian, { system, useLogged: true });
  for (const [key, code] of [
    [signing, 'key.wrong_purpose'],
    [logged, 'key.use_logged'],
  ] as const) {
    assert.equal(await codeOf(call('data-keys.register', await issue(key), { key, dataKeys })), code);
  }
  assert.equal(await codeOf(call('rewraps.start', custodian, { key: signing })), 'key.wrong_purpose');
});

test('the registry is listed a page at a time, by whom it belongs to alone [URS-003] [URS-083]', async (t) => {
  const scene = await makeScene(t, sqlite);
  const { call, custodian, key, node, installation } = scene;
  const references = await registerSome(scene, 4);
  const listed = await call('data-keys.list', custodian, { key });
  assert.deepEqual([listed.registered, listed.next], [4, null]);
  assert.deepEqual(
    listed.dataKeys.map(({ reference }) => reference),
    references.toSorted(),
  );
  const [, second = ''] = references.toSorted();
  const rest = await call('data-keys.list', custodian, { key, cursor: second });
  assert.equal(rest.dataKeys.length, 2);
  assert.equal(
    await codeOf(call('data-keys.list', custodian, { key, cursor: 'not-a-hash' })),
    'request.invalid',
  );
  const { id: rewrap } = await call('rewraps.start', custodian, { key });
  const { custodian: stranger } = await call('tenants.create', installation.administrator, { name: 'other' });
  for (const [operation, input, code] of [
    ['data-keys.list', { key }, 'key.unknown'],
    ['rewraps.start', { key }, 'key.unknown'],
    ['rewraps.show', { rewrap }, 'rewrap.unknown'],
    ['rewraps.pause', { rewrap }, 'rewrap.unknown'],
    ['rewraps.resume', { rewrap }, 'rewrap.unknown'],
    ['rewraps.cancel', { rewrap }, 'rewrap.unknown'],
  ] as const) {
    assert.equal(await codeOf(call(operation, stranger.secret, input as never, node)), code, operation);
  }
  assert.deepEqual((await call('rewraps.list', stranger.secret, {})).rewraps, []);
});
