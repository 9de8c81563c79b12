import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { postgresCluster, postgresMissing } from '../../../../../tools/postgres-cluster.ts';
import { assertOneInstallation, createDatabase, openDatabase } from '../database.ts';
import { migrations } from '../migrations.ts';
import { newLocation, newMain, openAgain, refusal } from './fixture.test.ts';

const skip = postgresMissing;
const installation = 'installation';

test('PostgreSQL: a database that is not there, or empty, is refused, and stays so', { skip }, async () => {
  const cluster = await postgresCluster();
  const location = await newLocation();
  const absent = { ...location, database: 'absent' };
  for (const where of [location, absent]) {
    await assert.rejects(async () => openDatabase(where, 'main'), refusal('database.empty'));
  }
  await assert.rejects(
    createDatabase(absent, 'main', installation) as Promise<void>,
    refusal('database.empty'),
  );
  assert.equal(
    cluster.run(
      `select count(*) from pg_class where relnamespace = 'public'::regnamespace`,
      location.database,
    ),
    '0',
  );
  assert.equal(cluster.run(`select count(*) from pg_database where datname = 'absent'`), '0');
});

test('PostgreSQL: somebody else’s database is neither opened nor filled', { skip }, async () => {
  const cluster = await postgresCluster();
  const location = await newLocation();
  cluster.run('create schema theirs; create table theirs.patient (id text)', location.database);
  await assert.rejects(async () => openDatabase(location, 'main'), refusal('database.foreign'));
  await assert.rejects(
    async () => createDatabase(location, 'main', installation),
    refusal('database.not_empty'),
  );
  const filled = await newMain();
  await assert.rejects(
    async () => createDatabase(filled, 'shred', installation),
    refusal('database.not_empty'),
  );
});

test('PostgreSQL: a database of a newer version is refused', { skip }, async () => {
  const cluster = await postgresCluster();
  const location = await newMain();
  cluster.run('update trialkeep_store set version = 9999', location.database);
  await assert.rejects(async () => openDatabase(location, 'main'), refusal('database.newer'));
});

test('PostgreSQL: two nodes bring an older database up to date once [URS-037]', { skip }, async (t) => {
  const cluster = await postgresCluster();
  const location = await newLocation();
  const [first, ...later] = migrations('main', 'postgres');
  assert.ok(first !== undefined && later.length > 0);
  cluster.run(
    `${first.sql}
     create table trialkeep_store (singleton bigint primary key, store text, installation text, version bigint);
     insert into trialkeep_store values (1, 'main', '', ${first.version})`,
    location.database,
  );
  await Promise.all([openAgain(t, location), openAgain(t, location), openAgain(t, location)]);
  const version = cluster.run('select version from trialkeep_store', location.database);
  assert.equal(version, String(later.at(-1)?.version));
});

test('PostgreSQL: a step that fails leaves the database as it was', { skip }, async () => {
  const cluster = await postgresCluster();
  const location = await newLocation();
  const [first] = migrations('main', 'postgres');
  // The table is in the way of the second step.
  cluster.run(
    `${first?.sql}
     create table trialkeep_store (singleton bigint primary key, store text, installation text, version bigint);
     insert into trialkeep_store values (1, 'main', '', 1);
     create table tenant_seal (id text)`,
    location.database,
  );
  await assert.rejects(async () => openDatabase(location, 'main'), refusal('database.failed'));
  assert.equal(cluster.run('select version from trialkeep_store', location.database), '1');
  assert.equal(cluster.run(`select to_regclass('public.job') is null`, location.database), 't');
});

test(
  'PostgreSQL: main database and shred store are two of one installation [URS-026]',
  { skip },
  async () => {
    const main = await newMain();
    const shred = await newLocation();
    await createDatabase(shred, 'shred', installation);
    await assertOneInstallation({ main, shred });
    const foreign = await newLocation();
    await createDatabase(foreign, 'shred', 'another');
    for (const pair of [
      { main, shred: main },
      { main: shred, shred: main },
      { main, shred: foreign },
    ]) {
      await assert.rejects(assertOneInstallation(pair), refusal('database.other_installation'));
    }
    await assert.rejects(async () => openDatabase(shred, 'main'), refusal('database.other_installation'));
  },
);

test('PostgreSQL: another encoding than UTF-8 is refused', { skip }, async () => {
  const location = await newLocation("encoding 'SQL_ASCII' template template0 locale 'C'");
  await assert.rejects(
    async () => createDatabase(location, 'main', installation),
    refusal('database.settings', /SQL_ASCII/),
  );
});

test('PostgreSQL: an account that owns its databases, and nothing else, suffices', { skip }, async (t) => {
  const cluster = await postgresCluster();
  cluster.run('create role plain login');
  const own = { ...(await newLocation('owner plain')), user: 'plain' };
  await createDatabase(own, 'main', installation);
  const database = await openAgain(t, own);
  assert.deepEqual(await database.read((tx) => tx.selectFrom('tenant').selectAll().execute()), []);
  const others = { ...(await newMain()), user: 'plain' };
  await assert.rejects(async () => openDatabase(others, 'main'), refusal('database.login_refused'));
});

test(
  'PostgreSQL: a server that is not there, or does not know the account, is named',
  { skip },
  async (t) => {
    const cluster = await postgresCluster();
    const location = await newMain();
    const elsewhere = { ...location, host: join(location.host, 'elsewhere') };
    await assert.rejects(async () => openDatabase(elsewhere, 'main'), refusal('database.unreachable'));
    const unknown = { ...location, user: 'nobody' };
    await assert.rejects(async () => openDatabase(unknown, 'main'), refusal('database.login_refused'));

    cluster.run(`create role careful login password 'right'`);
    const rules = join(cluster.dataFolder, 'pg_hba.conf');
    const before = readFileSync(rules, 'utf8');
    writeFileSync(rules, `local all careful scram-sha-256\n${before}`);
    await cluster.configure({});
    t.after(() => writeFileSync(rules, before));
    const careful = { ...location, user: 'careful' };
    await assert.rejects(async () => openDatabase(careful, 'main'), refusal('database.login_refused'));
    const passwordFile = join(cluster.host, 'passwords');
    writeFileSync(passwordFile, `*:*:*:careful:wrong\n`, { mode: 0o600 });
    const known = process.env['PGPASSFILE'];
    process.env['PGPASSFILE'] = passwordFile;
    t.after(() => {
      if (known === undefined) delete process.env['PGPASSFILE'];
      else process.env['PGPASSFILE'] = known;
    });
    await assert.rejects(
      async () => openDatabase(careful, 'main'),
      (error: Error) => refusal('database.login_refused', /28P01/)(error) && !error.message.includes('wrong'),
    );
    writeFileSync(passwordFile, `*:*:*:careful:right\n`);
    cluster.run('grant all on all tables in schema public to careful', location.database);
    await openAgain(t, careful);
  },
);
