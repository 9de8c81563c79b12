/** Processes that run jobs, killed and paused at random moments: every effect happens once. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import { postgresCluster, postgresMissing } from '../../../../../tools/postgres-cluster.ts';
import { createDatabase, openDatabase } from '../database.ts';
import type { Database } from '../database.ts';
import { parsePostgresUrl } from '../postgres/location.ts';
import { schedule } from './index.ts';

const program = fileURLToPath(new URL('./counting.fixture.ts', import.meta.url));

/** A process that runs jobs, once it does; ended after the test. */
async function startProcess(t: TestContext, place: string, ...more: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [program, place, ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`The process ended with ${code}.`))),
  ]);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Stops a process for longer than its leases last. */
async function pause(child: ChildProcess): Promise<void> {
  child.kill('SIGSTOP');
  await setTimeout(900);
  child.kill('SIGCONT');
}

/** Lets the processes end what is left. */
async function finish(t: TestContext, place: string): Promise<void> {
  const child = await startProcess(t, place, 'empty');
  if (child.exitCode === null) await once(child, 'exit');
  assert.equal(child.exitCode, 0);
}

async function makeCounter(database: Database): Promise<void> {
  await database.write((tx) =>
    sql`create table counter (name text primary key, count bigint not null)`.execute(tx),
  );
}

/** Adds jobs in one transaction, and gives their names. */
async function addJobs(database: Database, round: number, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `${round}/${i}`);
  await database.write(async (tx) => {
    for (const name of names) await schedule(tx, { name, task: 'count', input: {}, dueAt: 0 });
  });
  return names;
}

async function assertOnce(database: Database, names: readonly string[]): Promise<void> {
  const { rows } = await database.read((tx) =>
    sql<{ name: string; count: number }>`select name, count from counter`.execute(tx),
  );
  const counted = new Map(rows.map(({ name, count }) => [name, count]));
  const wrong = names.filter((name) => counted.get(name) !== 1);
  assert.deepEqual(
    wrong.map((name) => [name, counted.get(name)]),
    [],
  );
  assert.equal(counted.size, names.length);
}

test('SQLite: one process, killed and paused, and every effect happens once [URS-032]', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-jobs-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'test.db');
  createDatabase(file, 'main');
  // The file belongs to one process at a time.
  const alone = async <R>(work: (database: Database) => Promise<R>): Promise<R> => {
    const database: Database = openDatabase(file, 'main');
    try {
      return await work(database);
    } finally {
      await database.close();
    }
  };
  await alone(makeCounter);
  const names: string[] = [];
  for (let round = 0; round < 8; round++) {
    names.push(...(await alone((database) => addJobs(database, round, 40))));
    const child = await startProcess(t, file);
    await setTimeout(randomInt(150));
    if (round % 4 === 3) await pause(child);
    await setTimeout(randomInt(50));
    await kill(child);
  }
  await finish(t, file);
  await alone((database) => assertOnce(database, names));
});

test(
  'PostgreSQL: two processes on one database, killed and paused, and every effect happens once [URS-032]',
  { skip: postgresMissing },
  async (t) => {
    const cluster = await postgresCluster();
    const place = cluster.url(cluster.newDatabase());
    const location = parsePostgresUrl(place, 'TRIALKEEP_DATABASE');
    await createDatabase(location, 'main', 'installation');
    const database = await openDatabase(location, 'main');
    t.after(() => database.close());
    await makeCounter(database);
    const names: string[] = [];
    const children = await Promise.all([startProcess(t, place), startProcess(t, place)]);
    for (let round = 0; round < 10; round++) {
      names.push(...(await addJobs(database, round, 40)));
      const one = round % 2;
      await setTimeout(randomInt(150));
      if (round % 5 < 2) {
        await pause(children[one] as ChildProcess);
      } else {
        await kill(children[one] as ChildProcess);
        children[one] = await startProcess(t, place);
      }
    }
    await Promise.all([finish(t, place), finish(t, place)]);
    await assertOnce(database, names);
  },
);
