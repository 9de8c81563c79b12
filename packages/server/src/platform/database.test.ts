import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { sql } from 'kysely';
import type { DatabaseError } from './database-error.ts';
import { createDatabase, databaseTime, dialectOf, openDatabase } from './database.ts';
import type { Database, Tx } from './database.ts';
import { lockDirectory } from './lock.ts';
import type { DialectName } from './migrations.ts';
import { openPostgres } from './postgres/fixture.test.ts';
import { postgresMissing } from '../../../../tools/postgres-cluster.ts';

/** A row of some table; which one does not matter. */
const insert = (tx: Tx, name: string, id = name, created_at: number | bigint = 1) =>
  tx
    .insertInto('tenant')
    .values({
      id,
      account: id,
      name,
      key_version: '',
      wrapped_key: new Uint8Array([0, 255]),
      created_at: created_at as number,
    })
    .execute();
const names = async (database: Database): Promise<string[]> => {
  const rows = await database.read((snapshot) =>
    snapshot.selectFrom('tenant').select('name').orderBy('id').execute(),
  );
  return rows.map((row) => row.name);
};

/** What a store must do, whichever database is under it; `open` gives an empty one that is closed after the test. */
function conformance(name: string, skip: string | false, open: (t: TestContext) => Promise<Database>): void {
  test(`${name}: a transaction that throws leaves nothing [URS-032]`, { skip }, async (t) => {
    const database = await open(t);
    await assert.rejects(
      database.write(async (tx) => {
        await insert(tx, 'a');
        throw new Error('No.');
      }),
      /No/,
    );
    assert.deepEqual(await names(database), []);
  });

  test(`${name}: readers see only what is committed [URS-032]`, { skip }, async (t) => {
    const database = await open(t);
    const write = (id: string) =>
      database.write(async (tx) => {
        await insert(tx, id);
        assert.equal((await names(database)).includes(id), false);
      });
    await Promise.all(['a', 'b', 'c'].map(write));
    assert.deepEqual(await names(database), ['a', 'b', 'c']);
  });

  test(
    `${name}: of several writers of one row none undoes another's change [URS-032]`,
    { skip },
    async (t) => {
      const database = await open(t);
      await database.write((tx) => insert(tx, 'a', 'a', 0));
      const increment = (tx: Tx) =>
        tx
          .updateTable('tenant')
          .set((row) => ({ created_at: row('created_at', '+', 1) }))
          .returning('created_at')
          .executeTakeFirstOrThrow();
      const runs = Array.from({ length: 30 }, (_, at) =>
        at % 2 === 0 ? database.write(increment) : database.single(increment),
      );
      const seen = (await Promise.all(runs)).map((row) => row.created_at).sort((one, other) => one - other);
      assert.deepEqual(
        seen,
        Array.from({ length: 30 }, (_, at) => at + 1),
      );
    },
  );

  test(`${name}: a snapshot does not move while it is read [URS-004]`, { skip }, async (t) => {
    const database = await open(t);
    const count = (tx: Tx) => tx.selectFrom('tenant').select('id').execute();
    await database.read(async (snapshot) => {
      assert.equal((await count(snapshot)).length, 0);
      const written = database.write((tx) => insert(tx, 'a'));
      await written;
      await setImmediate();
      assert.equal((await count(snapshot)).length, 0);
    });
    assert.deepEqual(await names(database), ['a']);
  });
}

/** What goes in comes out, or is refused. */
function valuesConformance(
  name: string,
  skip: string | false,
  open: (t: TestContext) => Promise<Database>,
): void {
  test(`${name}: what must be unique is, and says so`, { skip }, async (t) => {
    const database = await open(t);
    await database.write((tx) => insert(tx, 'a'));
    await assert.rejects(
      database.write((tx) => insert(tx, 'a', 'b')),
      (error: DatabaseError) => error.kind === 'unique',
    );
  });

  test(`${name}: bytes and text come back as they went in`, { skip }, async (t) => {
    const database = await open(t);
    await database.write((tx) => insert(tx, 'Łódź 東京 🩺'));
    const row = await database.read((snapshot) =>
      snapshot.selectFrom('tenant').selectAll().executeTakeFirstOrThrow(),
    );
    assert.equal(row.name, 'Łódź 東京 🩺');
    assert.deepEqual(Buffer.from(row.wrapped_key), Buffer.from([0, 255]));
  });

  test(
    `${name}: integers come back as they went in, and what is none or too large to read is refused`,
    { skip },
    async (t) => {
      const database = await open(t);
      const whole = [0, -1, 2 ** 31, 8_640_000_000_000_000, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
      for (const value of whole) await database.write((tx) => insert(tx, String(value), undefined, value));
      await database.write((tx) => insert(tx, 'bigint', undefined, 12n));
      const rows = await database.read((tx) =>
        tx.selectFrom('tenant').select(['name', 'created_at']).execute(),
      );
      const found = new Map(rows.map((row) => [row.name, row.created_at]));
      for (const value of whole) assert.equal(found.get(String(value)), value);
      assert.equal(found.get('bigint'), 12);
      for (const value of [2 ** 53, 2n ** 53n, -(2n ** 63n), 1.5, NaN, Infinity]) {
        await assert.rejects(
          database.write((tx) => insert(tx, 'refused', undefined, value)),
          RangeError,
        );
      }
      assert.equal((await names(database)).includes('refused'), false);
    },
  );

  test(`${name}: what a database would silently change is refused`, { skip }, async (t) => {
    const database = await open(t);
    for (const value of ['nul \0', 'lone \ud800', new Date(0), true, {}]) {
      await assert.rejects(
        database.write((tx) => insert(tx, value as string)),
        TypeError,
      );
    }
    assert.deepEqual(await names(database), []);
  });
}

/** What the two products spell differently. */
function dialectConformance(
  name: DialectName,
  skip: string | false,
  open: (t: TestContext) => Promise<Database>,
): void {
  test(`${name}: a transaction, a snapshot and a statement know their dialect`, { skip }, async (t) => {
    const database = await open(t);
    assert.equal(database.dialect, name);
    for (const way of ['read', 'write', 'single'] as const) {
      assert.equal(await database[way](async (tx) => dialectOf(tx)), name);
    }
  });

  test(`${name}: time is an integer, and moves on within a transaction [URS-032]`, { skip }, async (t) => {
    const database = await open(t);
    const clock = { time: 1_800_000_000_000, now: () => clock.time++ };
    const now = async (tx: Tx): Promise<number> =>
      (await tx.selectNoFrom(databaseTime(tx, clock).as('time')).executeTakeFirstOrThrow()).time;
    const [first, second] = await database.write(async (tx) => {
      const earlier = await now(tx);
      await setTimeout(2);
      return [earlier, await now(tx)];
    });
    assert.ok(first !== undefined && second !== undefined && Number.isSafeInteger(first) && second > first);
    const isClock = first === 1_800_000_000_000;
    assert.equal(isClock, name === 'sqlite');
  });

  test(
    `${name}: a single statement is committed with itself, or not at all [URS-032]`,
    { skip },
    async (t) => {
      const database = await open(t);
      await database.single((tx) => insert(tx, 'a'));
      await assert.rejects(
        database.single((tx) => insert(tx, 'a', 'b')),
        (error: DatabaseError) => error.kind === 'unique',
      );
      assert.deepEqual(await names(database), ['a']);
    },
  );

  test(`${name}: counts, sums and truth are numbers`, { skip }, async (t) => {
    const database = await open(t);
    for (const id of ['a', 'b']) await database.write((tx) => insert(tx, id, id, 2 ** 40));
    const row = await database.read((tx) =>
      tx
        .selectFrom('tenant')
        .select((of) => [of.fn.countAll().as('count'), of.fn.sum('created_at').as('sum')])
        .select(sql<number>`count(*) = 2`.as('truth'))
        .executeTakeFirstOrThrow(),
    );
    assert.deepEqual({ ...row }, { count: 2, sum: 2 ** 41, truth: 1 });
  });
}

const openSqlite = async (t: TestContext): Promise<Database> => {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-database-'));
  const file = join(folder, 'test.db');
  createDatabase(file, 'main');
  const database: Database = openDatabase(file, 'main');
  t.after(async () => {
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return database;
};
conformance('SQLite', false, openSqlite);
valuesConformance('SQLite', false, openSqlite);
conformance('PostgreSQL', postgresMissing, openPostgres);
valuesConformance('PostgreSQL', postgresMissing, openPostgres);

dialectConformance('sqlite', false, openSqlite);
dialectConformance('postgres', postgresMissing, openPostgres);

test('SQLite: writers take turns [URS-032]', async (t) => {
  const database = await openSqlite(t);
  let within = 0;
  const write = (id: string) =>
    database.write(async (tx) => {
      assert.equal(++within, 1);
      await insert(tx, id);
      within--;
    });
  await Promise.all(['a', 'b', 'c'].map(write));
  assert.deepEqual(await names(database), ['a', 'b', 'c']);
});

test('a second process does not get the data directory, and a killed one gives it back', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-lock-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'lock');
  const script = `
    const { lockDirectory } = await import(${JSON.stringify(import.meta.resolve('./lock.ts'))});
    try { lockDirectory(${JSON.stringify(file)}); console.log('held'); process.kill(process.pid, 'SIGKILL'); }
    catch (error) { console.log(error.code); }`;
  const other = () =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(other().stdout.trim(), 'held');
  const lock = lockDirectory(file);
  assert.equal(other().stdout.trim(), 'data.in_use');
  lock.release();
  assert.equal(other().stdout.trim(), 'held');
});
