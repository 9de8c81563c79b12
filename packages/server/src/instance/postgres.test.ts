import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { postgresCluster, postgresMissing } from '../../../../tools/postgres-cluster.ts';
import { systemClock } from '../platform/clock.ts';
import { dataDirectory, databaseLocations } from '../platform/config.ts';
import type { DatabaseLocations } from '../platform/database.ts';
import { backupInstance } from './backup.ts';
import { createInstance } from './create.ts';
import { makeFolder, open, refusal } from './fixture.test.ts';
import { openInstance } from './open.ts';
import type { OpenInstance } from './open.ts';
import { restoreInstance } from './restore.ts';

const skip = postgresMissing;

interface Made {
  readonly data: string;
  readonly env: Record<string, string>;
  readonly databases: DatabaseLocations;
}

async function newPlace(t: TestContext): Promise<Made> {
  const cluster = await postgresCluster();
  const { main, shred } = cluster.newPair();
  const data = join(makeFolder(t), 'data');
  const env = { TRIALKEEP_DATABASE: main, TRIALKEEP_SHRED_DATABASE: shred };
  return { data, env, databases: databaseLocations(dataDirectory(data), env) };
}

async function make(t: TestContext): Promise<Made> {
  const place = await newPlace(t);
  await createInstance(place.data, 'evaluation', 'eu-central-1', place.databases);
  return place;
}

async function openNode(t: TestContext, data: string, databases: DatabaseLocations): Promise<OpenInstance> {
  const instance = await openInstance(data, {
    clock: systemClock,
    notes: { warn: () => undefined },
    databases,
  });
  t.after(() => instance.close());
  return instance;
}

test(
  'an installation on PostgreSQL keeps its state there, and remembers nothing of where that is [URS-011]',
  { skip },
  async (t) => {
    const { data, env, databases } = await make(t);
    assert.deepEqual(readdirSync(data).sort(), ['anchor', 'root', 'trialkeep.json']);
    const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    for (const file of files) {
      const text = readFileSync(join(file.parentPath, file.name), 'latin1');
      for (const url of Object.values(env)) {
        assert.equal(
          text.includes(new URL(url.replace('@/', '@localhost/')).pathname.slice(1)),
          false,
          file.name,
        );
      }
    }
    const instance = await openNode(t, data, databases);
    assert.equal(instance.database.dialect, 'postgres');
    assert.deepEqual(instance.recovery, []);
    assert.ok(instance.reserve.held());
    assert.equal(instance.reserve.release(), false);
  },
);

test(
  'a second node needs configuration, root of trust and anchor of the first, and no more',
  { skip },
  async (t) => {
    const { data, databases } = await make(t);
    const second = join(makeFolder(t), 'second');
    mkdirSync(second, { mode: 0o700 });
    for (const part of ['trialkeep.json', 'root', 'anchor']) {
      cpSync(join(data, part), join(second, part), { recursive: true });
    }
    const nodes = [await openNode(t, data, databases), await openNode(t, second, databases)];
    assert.deepEqual(
      nodes.map(({ recovery }) => recovery),
      [[], []],
    );
    await assert.rejects(openNode(t, second, databases), refusal('data.in_use'));
  },
);

test(
  'without its location an installation on PostgreSQL is not opened, and nothing is made',
  { skip },
  async (t) => {
    const { data } = await make(t);
    await assert.rejects(open(data), refusal('database.location_missing'));
    await assert.rejects(
      backupInstance(data, join(data, '..', 'backup')),
      refusal('database.location_missing'),
    );
    for (const name of ['state', 'shred']) assert.equal(existsSync(join(data, name)), false);
  },
);

test('databases of another installation are refused', { skip }, async (t) => {
  const [one, other] = [await make(t), await make(t)];
  await assert.rejects(openNode(t, one.data, other.databases), refusal('config.invalid'));
  const mixed = { main: one.databases.main, shred: other.databases.shred };
  await assert.rejects(openNode(t, one.data, mixed), refusal('database.other_installation'));
  const swapped = { main: one.databases.shred, shred: one.databases.main };
  await assert.rejects(openNode(t, one.data, swapped), refusal('database.other_installation'));
});

test('databases that hold something are not filled, and no data directory is made', { skip }, async (t) => {
  const { databases } = await make(t);
  const data = join(makeFolder(t), 'data');
  await assert.rejects(
    createInstance(data, 'evaluation', 'eu-central-1', databases),
    refusal('database.not_empty'),
  );
  assert.equal(existsSync(data), false);
});

test('backup and restore of an installation on PostgreSQL are PostgreSQL’s own', { skip }, async (t) => {
  const { data, env } = await make(t);
  const folder = makeFolder(t);
  Object.assign(process.env, env);
  t.after(() => {
    for (const name of Object.keys(env)) delete process.env[name];
  });
  await assert.rejects(backupInstance(data, join(folder, 'backup')), refusal('backup.postgresql'));
  await assert.rejects(restoreInstance(join(folder, 'data'), folder), refusal('backup.postgresql'));
  assert.deepEqual(readdirSync(folder), []);
  await (await open(data)).close();
});

test('both locations are named, or neither, and not twice the same', async () => {
  const directory = dataDirectory('/data');
  const url = 'postgresql://app@localhost/keep';
  const files = { main: directory.database, shred: directory.shredStore };
  assert.deepEqual(databaseLocations(directory, {}), files);
  for (const env of [
    { TRIALKEEP_DATABASE: url },
    { TRIALKEEP_SHRED_DATABASE: url },
    { TRIALKEEP_DATABASE: url, TRIALKEEP_SHRED_DATABASE: url },
    { TRIALKEEP_DATABASE: '', TRIALKEEP_SHRED_DATABASE: url },
  ]) {
    assert.throws(() => databaseLocations(directory, env), refusal('database.url_invalid'));
  }
});
