import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { DatabaseError } from './database-error.ts';
import { createDatabase, openDatabase } from './database.ts';
import type { Database, Tx } from './database.ts';
import { lockDirectory } from './lock.ts';

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
function conformance(name: string, open: (t: TestContext) => Promise<Database>): void {
  test(`${name}: a transaction that throws leaves nothing [URS-032]`, async (t) => {
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

  test(`${name}: writers take turns, and readers see only what is committed [URS-032]`, async (t) => {
    const database = await open(t);
    let within = 0;
    const write = (id: string) =>
      database.write(async (tx) => {
        assert.equal(++within, 1);
        await insert(tx, id);
        assert.equal((await names(database)).includes(id), false);
        within--;
      });
    await Promise.all(['a', 'b', 'c'].map(write));
    assert.deepEqual(await names(database), ['a', 'b', 'c']);
  });

  test(`${name}: a snapshot does not move while it is read [URS-004]`, async (t) => {
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
function valuesConformance(name: string, open: (t: TestContext) => Promise<Database>): void {
  test(`${name}: what must be unique is, and says so`, async (t) => {
    const database = await open(t);
    await database.write((tx) => insert(tx, 'a'));
    await assert.rejects(
      database.write((tx) => insert(tx, 'a', 'b')),
      (error: DatabaseError) => error.kind === 'unique',
    );
  });

  test(`${name}: bytes and text come back as they went in`, async (t) => {
    const database = await open(t);
    await database.write((tx) => insert(tx, 'Łódź 東京 🩺'));
    const row = await database.read((snapshot) =>
      snapshot.selectFrom('tenant').selectAll().executeTakeFirstOrThrow(),
    );
    assert.equal(row.name, 'Łódź 東京 🩺');
    assert.deepEqual(Buffer.from(row.wrapped_key), Buffer.from([0, 255]));
  });

  test(`${name}: integers come back as they went in, and what is none or too large to read is refused`, async (t) => {
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
  });

  test(`${name}: what a database would silently change is refused`, async (t) => {
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
conformance('SQLite', openSqlite);
valuesConformance('SQLite', openSqlite);

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
