import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { generateKey } from '@trialkeep/crypto';
import { databases, inMemory, onDatabase, TestKeys, withCode } from './fixture.test.ts';
import type { TestDatabase } from './fixture.test.ts';
import { createFields, fieldKeyStore, fieldTable, migrateToSealed, sqlTable } from './index.ts';
import type { PassProgress, SqlDatabase } from './index.ts';
import { createPatients, patientColumns, patients } from './patients.fixture.ts';
import type { PatientRow } from './patients.fixture.ts';

type Each = (typeof databases)[number];

async function withPatients(
  each: Each,
  work: (on: TestDatabase, keys: TestKeys) => Promise<void>,
): Promise<void> {
  await onDatabase(each, async (on) => {
    await on.execute(createPatients(on.database.dialect));
    await work(on, new TestKeys());
  });
}

/** The table as a process sees it whose description writes one way or the other. */
function tableOf(
  on: Omit<TestDatabase, 'dialect'>,
  keys: TestKeys,
  writes: 'plain' | 'sealed',
  database = on.database,
) {
  const fields = createFields({ keys, store: fieldKeyStore(on.database) });
  const table = fieldTable(fields, patients(database.dialect, writes));
  return { table, rows: sqlTable<PatientRow>(database, table) };
}

const clearColumns = Object.values(patientColumns);

function patient(i: number): PatientRow {
  return {
    id: `p-${String(i).padStart(5, '0')}`,
    subject: `a${i % 3}`,
    name_sealed: `Patient ${i}`,
    weight_sealed: i % 7 === 0 ? null : i / 8,
    seen_sealed: new Date(1_700_000_000_000 + i),
    answers_sealed: { i, list: [i, 'ü'] },
    scan_sealed: Buffer.from([i % 256, 0, 255]),
    active_sealed: i % 2 === 0,
  };
}

/** Who writes: knowing of both columns and filling either, or as before there were two. */
const writers = ['plain', 'sealed', 'unaware'] as const;

interface Write {
  /** The statement of the migration before which it comes. */
  readonly before: number;
  readonly row: number;
  readonly by: (typeof writers)[number];
  readonly value: string;
}

/** Migrates rows while others write, and checks that in the end each has the value that was written last. */
async function migrateDisturbed(
  on: Omit<TestDatabase, 'dialect'>,
  keys: TestKeys,
  rowCount: number,
  writes: readonly Write[],
): Promise<void> {
  const told = JSON.stringify(writes);
  const blank = { weight_sealed: null, seen_sealed: null, scan_sealed: null, active_sealed: null };
  const expected = Array.from({ length: rowCount }, (_, i) => ({ ...patient(i), ...blank }));
  await tableOf(on, keys, 'plain').rows.insert(expected);
  const aware = { plain: tableOf(on, keys, 'plain').rows, sealed: tableOf(on, keys, 'sealed').rows };
  let statement = 0;
  const disturb = async () => {
    const now = statement;
    statement += 1;
    for (const { row, by, value } of writes.filter(({ before }) => before === now)) {
      const old = expected[row];
      assert.ok(old !== undefined);
      const change =
        value === 'same'
          ? { name_sealed: old.name_sealed, answers_sealed: old.answers_sealed }
          : { name_sealed: value, answers_sealed: { value } };
      expected[row] = { ...old, ...change };
      const { id, subject } = old;
      const { name_sealed: name, answers_sealed: answers } = change;
      if (by !== 'unaware') assert.ok(await aware[by].update({ id, subject }, change));
      else {
        const clear = `name = '${name}', answers = '${JSON.stringify(answers)}'`;
        await on.execute(`update patient set ${clear} where id = '${id}'`);
      }
    }
  };
  // One statement at a time, so that a write comes exactly between two.
  let turn: Promise<unknown> = Promise.resolve();
  const disturbed: SqlDatabase = {
    ...on.database,
    query: async (...query) => {
      const mine = turn.then(disturb).then(() => on.database.query(...query));
      turn = mine;
      return mine;
    },
  };
  const { table, rows } = tableOf(on, keys, 'sealed');
  await migrateToSealed(disturbed, table, { batchRows: 4 });
  assert.deepEqual(await rows.find({}, { orderBy: 'id' }), expected, told);
  const last = await migrateToSealed(on.database, table);
  assert.equal(last.remainingRows, 0);
  assert.deepEqual(await rows.find({}, { orderBy: 'id' }), expected, told);
  for (const { name_sealed } of expected) {
    const ids = (await rows.find({ name_sealed }, { orderBy: 'id' })).map(({ id }) => id);
    const same = expected.filter((row) => row.name_sealed === name_sealed);
    assert.deepEqual(
      ids,
      same.map(({ id }) => id),
      told,
    );
  }
}

for (const each of databases) {
  const { name, skip } = each;

  test(
    `a table in clear becomes a sealed one, value by value the same: ${name} [URS-008] [URS-047]`,
    { skip },
    async () => {
      await withPatients(each, async (on, keys) => {
        const before = Array.from({ length: 57 }, (_, i) => patient(i));
        const inClear = tableOf(on, keys, 'plain');
        await inClear.rows.insert(before);
        assert.deepEqual(await inClear.rows.find({}, { orderBy: 'id' }), before);
        assert.equal(
          (await on.rows(`select * from patient where ${clearColumns.join(' is not null and ')} is not null`))
            .length,
          48,
        );

        const { table, rows } = tableOf(on, keys, 'sealed');
        assert.deepEqual(await rows.find({}, { orderBy: 'id' }), before);
        assert.equal((await rows.find({ name_sealed: 'Patient 7' })).length, 1, 'found before it is sealed');
        const progress: PassProgress[] = [];
        let now = 0;
        const clock = () => (now += 1000);
        const result = await migrateToSealed(on.database, table, {
          batchRows: 10,
          onProgress: (each) => progress.push(each),
          clock,
        });
        assert.deepEqual(result, { doneRows: 57, remainingRows: 0 });
        assert.deepEqual(
          progress.map(({ doneRows, totalRows }) => [doneRows, totalRows]),
          [10, 20, 30, 40, 50, 57].map((done) => [done, 57]),
        );
        assert.deepEqual(
          progress.map(({ elapsedMs }) => elapsedMs),
          [1000, 2000, 3000, 4000, 5000, 6000],
        );
        assert.equal(progress[0]?.remainingMs, 4700);
        assert.equal(progress.at(-1)?.remainingMs, 0);

        const stored = await on.rows(`select ${clearColumns.join(', ')} from patient`);
        assert.ok(stored.every((row) => Object.values(row).every((value) => value === null)));
        assert.deepEqual(await rows.find({}, { orderBy: 'id' }), before);
        assert.deepEqual(
          (await rows.find({ name_sealed: 'Patient 7' })).map(({ id }) => id),
          ['p-00007'],
        );
        assert.deepEqual(await migrateToSealed(on.database, table), { doneRows: 0, remainingRows: 0 });
      });
    },
  );

  test(
    `what others write meanwhile is neither lost nor left in clear: ${name} [URS-047]`,
    { skip },
    async () => {
      const write = fc.record({
        before: fc.nat({ max: 60 }),
        row: fc.nat({ max: 5 }),
        by: fc.constantFrom(...writers),
        value: fc.constantFrom('same', 'x', 'y', 'z'),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(write, { maxLength: 25 }), async (writes) => {
          await withPatients(each, (on, keys) => migrateDisturbed(on, keys, 6, writes));
        }),
        { numRuns: name === 'SQLite' ? 10 : 6 },
      );
    },
  );

  test(
    `killed at any step, it goes on from there, and every value is readable meanwhile: ${name} [URS-047]`,
    { skip },
    async (t) => {
      await withPatients(each, async (on) => {
        const key = generateKey('AES_256');
        const keys = new TestKeys(key);
        const before = Array.from({ length: 12 }, (_, i) => patient(i));
        await tableOf(on, keys, 'plain').rows.insert(before);
        const { rows } = tableOf(on, keys, 'sealed');
        // Statements of the migration itself, from the start of a process; a batch of four rows has some fifty.
        const haltsAt = name === 'SQLite' ? [1, 2, 3, 4, 24, 4, 8, 20, 40, 50] : [3, 30, 45];
        for (const haltAt of haltsAt) {
          const child = spawn(
            process.execPath,
            [
              fileURLToPath(new URL('./migrating.fixture.ts', import.meta.url)),
              on.database.dialect,
              on.location,
              String(haltAt),
            ],
            { stdio: ['pipe', 'pipe', 'inherit'] },
          );
          const exited = once(child, 'exit');
          child.stdin.end(key.export().toString('hex'));
          const [said] = (await once(child.stdout, 'data')) as [Buffer];
          assert.equal(said.toString(), 'halted\n');
          child.kill('SIGKILL');
          await exited;
          assert.deepEqual(await rows.find({}, { orderBy: 'id' }), before, `after statement ${haltAt}`);
        }
        const left = await on.rows('select id from patient where name is not null');
        t.diagnostic(`${left.length} of ${before.length} rows were left after the last kill`);
        const { table } = tableOf(on, keys, 'sealed');
        assert.equal((await migrateToSealed(on.database, table)).remainingRows, 0);
        assert.deepEqual(await rows.find({}, { orderBy: 'id' }), before);
        const stored = await on.rows(`select ${clearColumns.join(', ')} from patient`);
        assert.ok(stored.every((row) => Object.values(row).every((value) => value === null)));
      });
    },
  );

  test(
    `a clear value that cannot be sealed exactly stays, and the error names its row: ${name} [URS-046]`,
    { skip },
    async () => {
      await withPatients(each, async (on, keys) => {
        const { table, rows } = tableOf(on, keys, 'sealed');
        const wrong =
          on.database.dialect === 'postgres'
            ? [
                "seen = '2026-03-29 01:30:00.123456Z'",
                'weight = 12345678901234567890.5',
                "answers = '[12345678901234567890]'",
                "answers = '[0.1000000000000000055]'",
                "answers = 'null'",
              ]
            : [
                "seen = '2026-03-29'",
                "weight = 'heavy'",
                "answers = '{'",
                "answers = 'null'",
                'active = 7',
              ].concat(
                [
                  '{"barcode":12345678901234567890}',
                  '[0.1000000000000000055]',
                  '[1e400]',
                  '[1e-400]',
                  '{"a":1,"a":2}',
                  '[{"b":{"a":"\\":","\\u0061":2}}]',
                ].map((json) => `answers = '${json}'`),
              );
        for (const assignment of wrong) {
          await on.execute(
            "delete from patient; insert into patient (id, subject, name) values ('one', 'a1', 'Ada')",
          );
          await on.execute(`update patient set ${assignment}`);
          const column = assignment.split(' ')[0] ?? '';
          await assert.rejects(migrateToSealed(on.database, table), (error) => {
            assert.match(String(error), new RegExp(`patient.${column} of row one`));
            return withCode('fields.migration_mismatch')(error);
          });
          const [stored] = await on.rows(`select ${column} is not null as kept from patient`);
          assert.ok(stored?.['kept'] === true || stored?.['kept'] === 1, assignment);
        }
        await on.execute('delete from patient');
        await rows.insert([patient(1)]);
        assert.equal((await migrateToSealed(on.database, table)).doneRows, 0);
      });
    },
  );
}

test('a write between any two steps is neither lost nor left in clear, nor are two of them [URS-047]', async () => {
  // Of one row with two values: more statements than its migration has, with a row that is met a second time.
  const steps = Array.from({ length: 16 }, (_, step) => step);
  const one = steps.flatMap((before) => {
    return writers.flatMap((by) => ['same', 'x'].map((value) => [{ before, row: 0, by, value }]));
  });
  const two = steps.flatMap((before) => {
    const later = steps.filter((step) => step >= before && step <= before + 3);
    return later.flatMap((after) =>
      (['plain', 'unaware'] as const).map((by) => [
        { before, row: 0, by, value: 'x' },
        { before: after, row: 0, by: 'sealed' as const, value: 'y' },
      ]),
    );
  });
  for (const writes of [...one, ...two]) {
    const on = inMemory();
    await on.execute(createPatients('sqlite'));
    await migrateDisturbed(on, new TestKeys(), 1, writes);
    await on.close();
  }
});

test('JSON that a double and an object hold exactly is migrated, however it is written [URS-047]', async () => {
  await withPatients(databases[0], async (on, keys) => {
    const written =
      '{"a": [1.0, 1E2, -0.0, 0.1, 120e-1, 5e-324, 9007199254740993e0], "b\\":": {"a": ":"}, "": "a:"}';
    const json = written.replace('9007199254740993e0', '9007199254740992');
    await on.execute(`insert into patient (id, subject, answers) values ('one', 'a1', '${json}')`);
    const { table, rows } = tableOf(on, keys, 'sealed');
    assert.equal((await migrateToSealed(on.database, table)).doneRows, 1);
    const [row] = await rows.find({});
    assert.deepEqual(row?.answers_sealed, {
      a: [1, 100, 0, 0.1, 12, 5e-324, 2 ** 53],
      'b":': { a: ':' },
      '': 'a:',
    });
    await on.execute(`insert into patient (id, subject, answers) values ('two', 'a1', '${written}')`);
    await assert.rejects(migrateToSealed(on.database, table), withCode('fields.migration_mismatch'));
  });
});

test('a migration stops between batches when it is told to, and goes on later', async () => {
  await withPatients(databases[0], async (on, keys) => {
    await tableOf(on, keys, 'plain').rows.insert(Array.from({ length: 30 }, (_, i) => patient(i)));
    const { table } = tableOf(on, keys, 'sealed');
    const stop = new AbortController();
    const stopped = migrateToSealed(on.database, table, {
      batchRows: 10,
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('for the night')),
      pauseMs: 1,
    });
    await assert.rejects(stopped, (error: Error) => /for the night|aborted/.test(error.message));
    assert.equal((await on.rows('select id from patient where name is not null')).length, 20);
    assert.deepEqual(await migrateToSealed(on.database, table), { doneRows: 20, remainingRows: 0 });
  });
});

test('a column that is still written in clear is not migrated', async () => {
  await withPatients(databases[0], async (on, keys) => {
    const { table } = tableOf(on, keys, 'plain');
    await assert.rejects(migrateToSealed(on.database, table), withCode('fields.declaration_invalid'));
    const sealed = tableOf(on, keys, 'sealed').table;
    const batches = migrateToSealed(on.database, sealed, { batchRows: 0 });
    await assert.rejects(batches, withCode('client.invalid_input'));
  });
});
