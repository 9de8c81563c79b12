import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { sql } from 'kysely';
import { postgresMissing } from '../../../../../tools/postgres-cluster.ts';
import { systemClock } from '../clock.ts';
import { createDatabase, databaseTime, openDatabase } from '../database.ts';
import type { Database, Tx } from '../database.ts';
import { openPostgres } from '../postgres/fixture.test.ts';
import { JobRunner, JobTaken, ensure, remove, schedule } from './index.ts';
import type { Job, JobHandler, JobTiming } from './index.ts';

/** Milliseconds: a test waits for what it expects, and never longer than for the next poll. */
const quick: Partial<JobTiming> = { pollMs: 10, backoffMs: 5, maxBackoffMs: 20 };

/** The effect of a test's jobs: nothing but the end of the job keeps it from happening twice. */
async function count(tx: Tx, name: string): Promise<void> {
  await sql`insert into counter (name, count) values (${name}, 1)
    on conflict (name) do update set count = counter.count + 1`.execute(tx);
}

async function counts(database: Database): Promise<Record<string, number>> {
  const { rows } = await database.read((tx) =>
    sql<{ name: string; count: number }>`select name, count from counter order by name`.execute(tx),
  );
  return Object.fromEntries(rows.map(({ name, count: times }) => [name, times]));
}

/** A database with the counter; closed after the test. */
async function makeStore(t: TestContext, open: Open) {
  const runners: JobRunner[] = [];
  // Hooks run in the order in which they are added: this one before the database is closed.
  t.after(() => Promise.all(runners.map((runner) => runner.stop())));
  const database = await open(t);
  await database.write((tx) =>
    sql`create table counter (name text primary key, count bigint not null)`.execute(tx),
  );
  const notes: { message: string; details: Record<string, unknown> }[] = [];
  const run = async (
    handlers: Record<string, JobHandler>,
    timing: Partial<JobTiming> = {},
  ): Promise<JobRunner> => {
    const warn = (details: object, message: string): void =>
      void notes.push({ message, details: { ...details } });
    const parts = { database, clock: systemClock, notes: { warn }, timing: { ...quick, ...timing } };
    const runner = new JobRunner(parts);
    runners.push(runner);
    await runner.start(handlers);
    return runner;
  };
  const counting: JobHandler = (job) =>
    database.write(async (tx) => {
      await count(tx, job.name);
      await job.complete(tx);
    });
  const add = (name: string, task = 'count', dueAt = 0) =>
    database.write((tx) => schedule(tx, { name, task, input: { name }, dueAt }));
  const jobs = () => database.read((tx) => tx.selectFrom('job').selectAll().orderBy('name').execute());
  const empty = () => until(async () => (await jobs()).length === 0);
  return { database, notes, run, counting, add, jobs, empty };
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await setTimeout(5);
}

/** Something that a test waits for, or lets wait. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: () => resolve() };
}

type Open = (t: TestContext) => Promise<Database>;

/** What enqueueing promises, whichever database is under it. */
function enqueueing(name: string, skip: string | false, open: Open): void {
  test(`${name}: a job of a transaction that is rolled back never runs`, { skip }, async (t) => {
    const { database, run, counting, add, empty } = await makeStore(t, open);
    await assert.rejects(
      database.write(async (tx) => {
        await schedule(tx, { name: 'never', task: 'count', input: {}, dueAt: 0 });
        throw new Error('No.');
      }),
      /No/,
    );
    await add('later');
    await run({ count: counting });
    await empty();
    assert.deepEqual(await counts(database), { later: 1 });
  });

  test(`${name}: a job does not run before its time [URS-003]`, { skip }, async (t) => {
    const { database, run, counting, add, empty } = await makeStore(t, open);
    const { rows } = await database.read((tx) =>
      sql<{ now: number }>`select ${databaseTime(tx, systemClock)} as now`.execute(tx),
    );
    await add('future', 'count', (rows[0]?.now ?? NaN) + 3_600_000);
    await run({ count: counting }, { concurrency: 1 });
    await add('now');
    await until(async () => (await counts(database))['now'] === 1);
    assert.deepEqual(await counts(database), { now: 1 });
    await add('future');
    await empty();
    assert.deepEqual(await counts(database), { future: 1, now: 1 });
  });

  test(`${name}: ensuring leaves a job, scheduling replaces it, removing removes it`, { skip }, async (t) => {
    const { database, jobs, add } = await makeStore(t, open);
    await add('a', 'count', 10);
    const same = { name: 'a', task: 'other', input: { version: 2 }, dueAt: 20 };
    await database.write((tx) => ensure(tx, same));
    const seen = async () =>
      (await jobs()).map(({ name: job, task, input, due_at }) => [job, task, input, due_at]);
    assert.deepEqual(await seen(), [['a', 'count', '{"name":"a"}', 10]]);
    await database.write((tx) => schedule(tx, same));
    await database.write((tx) => ensure(tx, { ...same, name: 'b' }));
    const input = '{"version":2}';
    assert.deepEqual(await seen(), [
      ['a', 'other', input, 20],
      ['b', 'other', input, 20],
    ]);
    await database.write((tx) => remove(tx, 'a'));
    await database.write((tx) => remove(tx, 'never there'));
    assert.deepEqual(await seen(), [['b', 'other', input, 20]]);
  });

  test(`${name}: a task that this node does not know stays as it is`, { skip }, async (t) => {
    const { database, run, counting, add, jobs } = await makeStore(t, open);
    await add('new', 'task of a newer node');
    await add('old');
    await run({ count: counting });
    await until(async () => (await jobs()).length === 1);
    const [left] = await jobs();
    assert.deepEqual([left?.name, left?.attempts, left?.lease], ['new', 0, '']);
    assert.deepEqual(await counts(database), { old: 1 });
  });
}

/** What a run promises when something goes wrong. */
function failing(name: string, skip: string | false, open: Open): void {
  test(`${name}: a job that fails is tried again and starves nobody`, { skip }, async (t) => {
    const { database, notes, run, counting, add, jobs, empty } = await makeStore(t, open);
    const seen: number[] = [];
    const fail: JobHandler = async (job) => {
      seen.push(job.attempts);
      if (job.attempts < 4) throw Object.assign(new Error('Not yet.'), { code: 'test.early' });
      const [row] = await jobs();
      assert.deepEqual([row?.name, row?.failure], ['fails', 'test.early']);
      await counting(job);
    };
    await add('fails', 'fail');
    for (const other of ['x', 'y', 'z']) await add(other, 'count', 1);
    await run({ count: counting, fail }, { concurrency: 1, backoffMs: 100, maxBackoffMs: 200 });
    await empty();
    assert.deepEqual(seen, [1, 2, 3, 4]);
    assert.deepEqual(await counts(database), { fails: 1, x: 1, y: 1, z: 1 });
    assert.deepEqual(
      notes.map(({ details }) => [
        details['job'],
        details['attempts'],
        details['failure'],
        details['delayMs'],
      ]),
      [
        ['fails', 1, 'test.early', 100],
        ['fails', 2, 'test.early', 200],
        ['fails', 3, 'test.early', 200],
      ],
    );
  });

  test(`${name}: what a handler does not end, or rolls back, is given back`, { skip }, async (t) => {
    const { database, notes, run, counting, add, empty } = await makeStore(t, open);
    const forget: JobHandler = async (job) => (job.attempts === 1 ? undefined : counting(job));
    const rollBack: JobHandler = async (job) => {
      if (job.attempts > 1) return counting(job);
      await database.write(async (tx) => {
        await count(tx, job.name);
        await job.complete(tx);
        throw new Error('Something else of the effect fails.');
      });
    };
    await add('forgotten', 'forget');
    await add('rolled back', 'rollBack');
    await run({ forget, rollBack });
    await empty();
    assert.deepEqual(await counts(database), { forgotten: 1, 'rolled back': 1 });
    const failures = notes.map(({ details }) => `${String(details['job'])}: ${String(details['failure'])}`);
    assert.deepEqual(failures.sort(), ['forgotten: job.unfinished', 'rolled back: job.failed']);
  });
}

/** Beginning again, and stopping. */
function recurring(name: string, skip: string | false, open: Open): void {
  test(`${name}: a job that recurs starts anew each time`, { skip }, async (t) => {
    const { database, run, add, empty } = await makeStore(t, open);
    const attempts: number[] = [];
    const recur: JobHandler = (job) =>
      database.write(async (tx) => {
        attempts.push(job.attempts);
        await count(tx, job.name);
        await (attempts.length < 3 ? job.reschedule(tx, 0) : job.complete(tx));
      });
    await add('every time', 'recur');
    await run({ recur });
    await empty();
    assert.deepEqual([attempts, await counts(database)], [[1, 1, 1], { 'every time': 3 }]);
  });

  test(`${name}: stopping waits for the runs under way`, { skip }, async (t) => {
    const { database, run, counting, add, jobs } = await makeStore(t, open);
    const [begun, goOn] = [gate(), gate()];
    await add('a', 'wait');
    const runner = await run({
      wait: async (job) => {
        begun.open();
        await goOn.passed;
        await counting(job);
      },
    });
    await begun.passed;
    const stopped = runner.stop();
    await add('b', 'wait');
    goOn.open();
    await stopped;
    assert.deepEqual(await counts(database), { a: 1 });
    assert.deepEqual(
      (await jobs()).map((job) => [job.name, job.attempts]),
      [['b', 0]],
    );
  });
}

/** Nobody's effect happens twice. */
function exactlyOnce(name: string, skip: string | false, open: Open): void {
  test(
    `${name}: two runners on one database, and each effect happens once [URS-032]`,
    { skip },
    async (t) => {
      const { database, notes, run, counting, add, empty } = await makeStore(t, open);
      const names = Array.from({ length: 60 }, (_, i) => `job ${String(i).padStart(2, '0')}`);
      for (const job of names) await add(job);
      const ran = [0, 0];
      const by = (runner: 0 | 1): Record<string, JobHandler> => ({
        count: async (job) => {
          ran[runner] = (ran[runner] ?? 0) + 1;
          await counting(job);
        },
      });
      await Promise.all([run(by(0), { concurrency: 3 }), run(by(1), { concurrency: 3 })]);
      await empty();
      assert.deepEqual(await counts(database), Object.fromEntries(names.map((job) => [job, 1])));
      assert.equal(
        ran.every((times) => times > 0),
        true,
        'Both took part.',
      );
      assert.deepEqual(notes, []);
    },
  );
}

/** A run whose job is taken from it by `take` before it commits. */
async function overtaken(
  t: TestContext,
  open: Open,
  take: (parts: Awaited<ReturnType<typeof makeStore>>, job: Job) => Promise<unknown>,
) {
  const parts = await makeStore(t, open);
  const { run, counting, add } = parts;
  const [begun, goOn] = [gate(), gate()];
  const outcomes: unknown[] = [];
  let held: Job | undefined;
  const slow: JobHandler = async (job) => {
    if (held !== undefined) return counting(job);
    held = job;
    begun.open();
    await goOn.passed;
    try {
      await counting(job);
      outcomes.push('committed');
    } catch (error) {
      outcomes.push(error);
      throw error;
    }
  };
  await add('a', 'slow');
  const runner = await run({ slow });
  await begun.passed;
  assert.ok(held);
  await take(parts, held);
  goOn.open();
  await until(() => outcomes.length === 1);
  assert.equal(outcomes[0] instanceof JobTaken, true);
  await runner.stop();
  // Losing a job is no failure.
  assert.deepEqual(parts.notes, []);
  return parts;
}

/** What a run does that has lost its job. */
function overtaking(name: string, skip: string | false, open: Open): void {
  test(`${name}: a job that is replaced under way takes its effect back`, { skip }, async (t) => {
    const { database, jobs, run, counting } = await overtaken(t, open, ({ add }) => add('a', 'count'));
    assert.deepEqual(await counts(database), {});
    assert.equal((await jobs())[0]?.attempts, 0);
    await run({ count: counting });
    await until(async () => (await jobs()).length === 0);
    assert.deepEqual(await counts(database), { a: 1 });
  });

  test(`${name}: a job that is removed under way has no effect`, { skip }, async (t) => {
    const { database, jobs } = await overtaken(t, open, (parts) =>
      parts.database.write((tx) => remove(tx, 'a')),
    );
    assert.deepEqual([await counts(database), await jobs()], [{}, []]);
  });

  test(
    `${name}: a run that was paused until its lease ran out does nothing any more`,
    { skip },
    async (t) => {
      const { database, jobs } = await overtaken(t, open, async (parts) => {
        await parts.database.write((tx) => tx.updateTable('job').set({ leased_until: 0 }).execute());
        await parts.empty();
        assert.deepEqual(await counts(parts.database), { a: 1 });
      });
      assert.deepEqual([await counts(database), await jobs()], [{ a: 1 }, []]);
    },
  );

  test(`${name}: a run that lives keeps its job beyond the lease`, { skip }, async (t) => {
    const { database, run, counting, add, jobs, empty } = await makeStore(t, open);
    let runs = 0;
    const long: JobHandler = async (job) => {
      runs++;
      const [first] = await jobs();
      // As often as it takes: the lease moves on by itself.
      await until(async () => ((await jobs())[0]?.leased_until ?? 0) > (first?.leased_until ?? NaN) + 2000);
      await counting(job);
    };
    await add('a', 'long');
    await run({ long }, { leaseMs: 2000, extendMs: 100 });
    await empty();
    assert.deepEqual([runs, await counts(database)], [1, { a: 1 }]);
  });
}

const openSqlite: Open = async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-jobs-'));
  const file = join(folder, 'test.db');
  createDatabase(file, 'main');
  const database: Database = openDatabase(file, 'main');
  t.after(async () => {
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return database;
};

for (const suite of [enqueueing, failing, recurring, exactlyOnce, overtaking]) {
  suite('SQLite', false, openSqlite);
  suite('PostgreSQL', postgresMissing, openPostgres);
}

test('SQLite: what a process that is gone held is free when the file is opened again', async (t) => {
  const { database, run, counting, add, empty } = await makeStore(t, openSqlite);
  await add('a');
  await database.write((tx) =>
    tx.updateTable('job').set({ lease: 'of the dead', leased_until: Number.MAX_SAFE_INTEGER }).execute(),
  );
  await run({ count: counting });
  await empty();
  assert.deepEqual(await counts(database), { a: 1 });
});
