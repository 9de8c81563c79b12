import assert from 'node:assert/strict';
import test from 'node:test';
import { inspect } from 'node:util';
import { sql } from 'kysely';
import { postgresCluster, postgresMissing } from '../../../../../tools/postgres-cluster.ts';
import type { Tx } from '../database.ts';
import { insert, isKind, names, newMain, openAgain, openPostgres } from './fixture.test.ts';

const skip = postgresMissing;

test(
  'PostgreSQL: every connection has the limits and the isolation that the design relies on',
  { skip },
  async (t) => {
    const location = await newMain();
    const cluster = await postgresCluster();
    cluster.run(`alter database ${location.database} set client_min_messages = 'error';
    alter database ${location.database} set search_path = 'elsewhere';
    alter database ${location.database} set bytea_output = 'escape';
    alter database ${location.database} set default_transaction_isolation = 'serializable';
    alter database ${location.database} set default_transaction_read_only = 'on'`);
    const database = await openAgain(t, location);
    const settings = async (tx: Tx): Promise<Record<string, string>> => {
      const { rows } = await sql<{ name: string; setting: string }>`
      select name, setting || coalesce(unit, '') as setting from pg_settings where name in ('application_name', 'search_path',
        'bytea_output', 'lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout', 'client_min_messages',
        'transaction_isolation', 'transaction_read_only')`.execute(tx);
      return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
    };
    const everywhere = {
      application_name: 'trialkeep',
      search_path: 'public',
      bytea_output: 'hex',
      client_min_messages: 'warning',
      lock_timeout: '10000ms',
      statement_timeout: '30000ms',
      idle_in_transaction_session_timeout: '5000ms',
    };
    const snapshot = { transaction_isolation: 'repeatable read', transaction_read_only: 'on' };
    const change = { transaction_isolation: 'read committed', transaction_read_only: 'off' };
    assert.deepEqual(await database.read(settings), { ...everywhere, ...snapshot });
    assert.deepEqual(await database.write(settings), { ...everywhere, ...change });
    assert.deepEqual(await database.single(settings), { ...everywhere, ...change });
  },
);

test(
  'PostgreSQL: a statement that cannot get its lock, or closes a circle of them, may be tried again',
  { skip },
  async (t) => {
    const database = await openPostgres(t);
    for (const name of ['a', 'b']) await database.write((tx) => insert(tx, name));
    const touch = (tx: Tx, name: string) =>
      tx.updateTable('tenant').set({ created_at: 2 }).where('name', '=', name).execute();
    await database.write(async (tx) => {
      await touch(tx, 'a');
      const impatient = database.write(async (other) => {
        await sql`set local lock_timeout = '20ms'`.execute(other);
        await touch(other, 'a');
      });
      await assert.rejects(impatient, isKind('busy'));
    });
    const both = Promise.withResolvers<void>();
    let waiting = 0;
    const crossed = (first: string, second: string) =>
      database.write(async (tx) => {
        await touch(tx, first);
        if (++waiting === 2) both.resolve();
        await both.promise;
        await touch(tx, second);
      });
    const outcomes = await Promise.allSettled([crossed('a', 'b'), crossed('b', 'a')]);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    assert.equal(refused.length, 1);
    assert.ok(isKind('busy')(refused[0]?.reason));
  },
);

test('PostgreSQL: a full disk is told apart from other failures', { skip }, async (t) => {
  const database = await openPostgres(t);
  const fail = (tx: Tx, code: string) =>
    sql`${sql.raw(`do $$ begin raise exception using errcode = '${code}'; end $$`)}`.execute(tx);
  for (const [code, kind] of [
    ['53100', 'full'],
    ['57014', 'busy'],
    ['40001', 'busy'],
    ['XX001', 'damaged'],
    ['42P01', 'other'],
  ] as const) {
    await assert.rejects(
      database.write((tx) => fail(tx, code)),
      isKind(kind),
      code,
    );
  }
});

test('PostgreSQL: an error names no value of a statement or a row [URS-011]', { skip }, async (t) => {
  const database = await openPostgres(t);
  await database.write((tx) => insert(tx, 'canary'));
  const statements: ((tx: Tx) => Promise<unknown>)[] = [
    (tx) => insert(tx, 'canary'),
    (tx) => sql`select ${'canary'}::bigint`.execute(tx),
    (tx) =>
      sql`insert into study (id, tenant, protocol, title, created_at) values ('s', ${'other canary'}, '', '', 1)`.execute(
        tx,
      ),
    (tx) => sql`insert into instance (singleton, id, profile) values (2, ${'canary'}, '')`.execute(tx),
  ];
  for (const statement of statements) {
    await assert.rejects(
      database.write(statement),
      (error) => !inspect(error, { depth: 9 }).includes('canary'),
    );
  }
});

test(
  'PostgreSQL: a transaction whose failure somebody has caught is not taken for committed',
  { skip },
  async (t) => {
    const database = await openPostgres(t);
    const changed = database.write(async (tx) => {
      await insert(tx, 'a');
      await assert.rejects(insert(tx, 'a'), isKind('unique'));
    });
    await assert.rejects(changed, /had failed before its end/);
    assert.deepEqual(await names(database), []);
  },
);

test(
  'PostgreSQL: a statement that a newer node’s migration has outdated may be tried again',
  { skip },
  async (t) => {
    const cluster = await postgresCluster();
    const location = await newMain();
    const database = await openAgain(t, location);
    const all = (tx: Tx) => tx.selectFrom('tenant').selectAll().execute();
    for (const way of ['write', 'single'] as const) {
      assert.deepEqual(await database[way](all), []);
      cluster.run(`alter table tenant add column added_${way} bigint`, location.database);
      await assert.rejects(database[way](all), isKind('busy'));
      assert.deepEqual(await database[way](all), []);
    }
  },
);

test('PostgreSQL: statements beyond those that are kept prepared are run as well', { skip }, async (t) => {
  const database = await openPostgres(t);
  for (let at = 0; at < 210; at++) {
    const { rows } = await database.single((tx) =>
      sql<{ value: number }>`select ${sql.lit(at)} as value`.execute(tx),
    );
    assert.equal(rows[0]?.value, at);
  }
});

test('PostgreSQL: a single statement has no second', { skip }, async (t) => {
  const database = await openPostgres(t);
  const twice = database.single(async (tx) => {
    await insert(tx, 'a');
    await insert(tx, 'b');
  });
  await assert.rejects(twice, /second statement/);
  assert.deepEqual(await names(database), ['a']);
});

test('PostgreSQL: more callers than connections take turns', { skip }, async (t) => {
  const database = await openPostgres(t);
  await Promise.all(Array.from({ length: 100 }, (_, at) => database.write((tx) => insert(tx, String(at)))));
  assert.equal((await names(database)).length, 100);
});

test('PostgreSQL: a number that is too large to be read exactly is an error', { skip }, async (t) => {
  const database = await openPostgres(t);
  const large = database.read((tx) => sql`select ${sql.raw('9007199254740993')} as value`.execute(tx));
  await assert.rejects(large, RangeError);
  assert.deepEqual(await names(database), []);
});
