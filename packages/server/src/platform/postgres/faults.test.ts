import assert from 'node:assert/strict';
import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { sql } from 'kysely';
import {
  ownPostgresCluster,
  postgresMissing,
  postgresStandby,
} from '../../../../../tools/postgres-cluster.ts';
import type { PostgresCluster } from '../../../../../tools/postgres-cluster.ts';
import { createDatabase, openDatabase } from '../database.ts';
import type { Tx } from '../database.ts';
import {
  insert,
  isKind,
  names,
  newLocation,
  newMain,
  openAgain,
  openPostgres,
  refusal,
} from './fixture.test.ts';

const skip = postgresMissing;

let own: Promise<PostgresCluster> | undefined;
/** A cluster of these tests alone. */
const ownCluster = () => (own ??= ownPostgresCluster());

const ownProcess = async (tx: Tx): Promise<number> => {
  const { rows } = await sql<{ id: number }>`select pg_backend_pid() as id`.execute(tx);
  return rows[0]?.id ?? 0;
};
/** Reads until it fails: sessions outlive a killed server for the moment that they take to notice. */
async function readWhileItAnswers(database: Parameters<typeof names>[0]): Promise<never> {
  for (;;) await names(database);
}

/** Changes rows until a commit waits for the standby, and then does something to the process that waits. */
async function commitInterrupted(
  cluster: PostgresCluster,
  change: (name: string) => Promise<unknown>,
  interrupt: (processId: string) => void,
): Promise<void> {
  for (let at = 0; ; at++) {
    const attempt = { done: false };
    const changed = change(`name ${at}`).finally(() => (attempt.done = true));
    changed.catch(() => undefined);
    while (!attempt.done) {
      const waiting = cluster.run(`select pid from pg_stat_activity where wait_event = 'SyncRep' limit 1`);
      if (waiting !== '') {
        interrupt(waiting);
        await changed;
        return;
      }
      await setTimeout(5);
    }
    await changed;
  }
}

/** Changes settings of the server until the test ends. */
async function configured(t: TestContext, settings: Record<string, string>): Promise<PostgresCluster> {
  const cluster = await ownCluster();
  await cluster.configure(settings);
  t.after(() => cluster.configure(Object.fromEntries(Object.keys(settings).map((name) => [name, '']))));
  return cluster;
}
/** Has every commit wait for a standby that does not exist. */
const withoutStandby = { synchronous_standby_names: 'nobody' };

for (const [name, value] of [
  ['fsync', 'off'],
  ['full_page_writes', 'off'],
  ['synchronous_commit', 'off'],
  ['synchronous_commit', 'local'],
] as const) {
  test(
    `PostgreSQL: a server with ${name} = ${value} is refused, also while running [URS-032]`,
    { skip },
    async (t) => {
      const location = await newMain(await ownCluster());
      const running = await openAgain(t, location);
      await configured(t, { [name]: value });
      await assert.rejects(
        async () => openDatabase(location, 'main'),
        refusal('database.settings', new RegExp(name)),
      );
      await assert.rejects(
        running.read(async () => undefined),
        new RegExp(name),
      );
    },
  );
}

for (const way of ['write', 'single'] as const) {
  test(`PostgreSQL: a ${way} that no standby has confirmed is none [URS-032]`, { skip }, async (t) => {
    const cluster = await ownCluster();
    const database = await openPostgres(t, cluster);
    await configured(t, withoutStandby);
    for (const interruption of ['pg_cancel_backend', 'pg_terminate_backend']) {
      const change = (name: string) => database[way]((tx) => insert(tx, `${interruption} ${name}`));
      let interrupted = '';
      await assert.rejects(
        commitInterrupted(cluster, change, (processId) => {
          interrupted = processId;
          cluster.run(`select ${interruption}(${processId})`);
        }),
        isKind('unconfirmed'),
      );
      assert.notEqual(
        await database.read(ownProcess),
        Number(interrupted),
        'the connection is not used again',
      );
    }
  });
}

test(
  'PostgreSQL: a server that is killed in a commit leaves its outcome unknown, and the process alive [URS-032]',
  { skip },
  async (t) => {
    const cluster = await ownCluster();
    const database = await openPostgres(t, cluster);
    await database.write((tx) => insert(tx, 'before'));
    await configured(t, withoutStandby);
    const change = (name: string) => database.write((tx) => insert(tx, name));
    await assert.rejects(
      commitInterrupted(cluster, change, () => cluster.kill()),
      isKind('unconfirmed'),
    );
    await assert.rejects(readWhileItAnswers(database), isKind('unavailable'));
    await cluster.restart();
    assert.ok((await names(database)).includes('before'));
  },
);

test(
  'PostgreSQL: a session that is ended within a transaction has changed nothing [URS-032]',
  { skip },
  async (t) => {
    const cluster = await ownCluster();
    const database = await openPostgres(t, cluster);
    let ended = 0;
    const interrupted = database.write(async (tx) => {
      await insert(tx, 'a');
      ended = await ownProcess(tx);
      cluster.run(`select pg_terminate_backend(${ended})`);
      while (cluster.run(`select count(*) from pg_stat_activity where pid = ${ended}`) !== '0')
        await setTimeout(5);
      await insert(tx, 'b');
    });
    await assert.rejects(interrupted, isKind('unavailable'));
    assert.deepEqual(await names(database), []);
    assert.notEqual(await database.read(ownProcess), ended);
  },
);

test('PostgreSQL: connections that break while nobody uses them are replaced', { skip }, async (t) => {
  const cluster = await ownCluster();
  const database = await openPostgres(t, cluster);
  const [first] = await Promise.all([database.read(ownProcess), database.read(ownProcess)]);
  await cluster.restart();
  await setTimeout(50);
  assert.notEqual(await database.read(ownProcess), first);
});

test(
  'PostgreSQL: a standby is refused, and once it is promoted a running node ends [URS-032]',
  { skip },
  async (t) => {
    const cluster = await ownCluster();
    const primary = await postgresStandby(cluster);
    primary.promote();
    const standby = await postgresStandby(primary);
    // The address that clients know, as a name or a virtual address is elsewhere.
    const address = join(standby.host, 'address');
    symlinkSync(primary.host, address);
    const location = { ...(await newLocation('', primary)), host: address };
    await createDatabase(location, 'main', 'installation');
    const down: Error[] = [];
    const database = await openAgain(t, location, (error) => down.push(error));
    await database.write((tx) => insert(tx, 'a'));
    while (standby.run('select pg_last_wal_replay_lsn()') !== primary.run('select pg_current_wal_lsn()'))
      await setTimeout(10);

    primary.kill();
    rmSync(address);
    symlinkSync(standby.host, address);
    await assert.rejects(readWhileItAnswers(database), isKind('unavailable'));
    await assert.rejects(readWhileItAnswers(database), /standby/);
    await assert.rejects(async () => openDatabase(location, 'main'), refusal('database.settings', /standby/));
    assert.deepEqual(down, []);

    standby.promote();
    await assert.rejects(names(database), /promoted/);
    assert.equal(down.length, 1);
    assert.deepEqual(await names(await openAgain(t, location)), ['a']);
  },
);
