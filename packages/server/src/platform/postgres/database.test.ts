import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { postgresCluster, postgresMissing } from '../../../../../tools/postgres-cluster.ts';
import { assertOneInstallation, createDatabase, openDatabase } from '../database.ts';
import { migrations, neededStep } from '../migrations.ts';
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

test(
  'PostgreSQL: a database of a newer version is refused where it needs that, or does not say',
  { skip },
  async (t) => {
    const cluster = await postgresCluster();
    const location = await newMain();
    const mark = (values: string) => cluster.run(`update trialkeep_store set ${values}`, location.database);
    mark('version = 9999');
    const down: Error[] = [];
    const beside = await openAgain(t, location, (error) => down.push(error));
    await beside.assertKnown();
    assert.deepEqual(down, []);
    // It stays what the newer program has made it.
    assert.equal(cluster.run('select version from trialkeep_store', location.database), '9999');
    mark('needs = 9999');
    await assert.rejects(async () => openDatabase(location, 'main'), refusal('database.newer'));
    await beside.assertKnown();
    assert.match(String(down), /a newer program has changed it/);
    for (const unsaid of ['needs = null', 'version = 9999']) mark(unsaid);
    await assert.rejects(async () => openDatabase(location, 'main'), refusal('database.newer'));
    cluster.run('alter table trialkeep_store drop column needs', location.database);
    await assert.rejects(async () => openDatabase(location, 'main'), refusal('database.newer'));
  },
);

test('what a database needs is the last step that does not merely expand', () => {
  const step = (version: number, expands: boolean) => ({ version, expands, sql: '' });
  assert.equal(neededStep([]), 0);
  assert.equal(neededStep([step(1, false), step(2, true)]), 1);
  assert.equal(neededStep([step(1, false), step(2, true), step(3, false), step(4, true), step(5, true)]), 3);
});

for (const store of ['main', 'shred'] as const) {
  test(`the steps of the ${store} store say the same of themselves for both products`, () => {
    const said = (['sqlite', 'postgres'] as const).map((dialect) =>
      migrations(store, dialect).map(({ version, expands }) => [version, expands]),
    );
    assert.deepEqual(said[0], said[1]);
  });
}

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
