/** What the tests of everything that lies in a database share: each runs on every store that is found here. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { postgresMissing } from '../../../../tools/postgres-cluster.ts';
import { createDatabase, openDatabase } from './database.ts';
import type { Database } from './database.ts';
import { newLocation, openAgain } from './postgres/fixture.test.ts';

/** A store under test. */
export interface Store {
  readonly name: string;
  /** Why it is not tested here. */
  readonly skip: string | false;
  /** Makes an empty main database and gives a function that opens it: once for each node, on SQLite once for all. */
  make(t: TestContext): Promise<() => Promise<Database>>;
}

export const sqlite: Store = {
  name: 'SQLite',
  skip: false,
  make: async (t) => {
    const folder = makeFolder(t);
    const file = join(folder, 'test.db');
    createDatabase(file, 'main');
    const database = openDatabase(file, 'main');
    t.after(() => database.close());
    return async () => database;
  },
};

export const postgres: Store = {
  name: 'PostgreSQL',
  skip: postgresMissing,
  make: async (t) => {
    const location = await newLocation();
    await createDatabase(location, 'main', 'installation');
    return () => openAgain(t, location);
  },
};

/** Registers the test once for each store, or for those named. */
export function testOnStores(
  title: string,
  run: (t: TestContext, under: Store) => Promise<void>,
  stores: readonly Store[] = [sqlite, postgres],
): void {
  for (const store of stores) {
    test(`${store.name}: ${title}`, { skip: store.skip }, (t) => run(t, store));
  }
}

export function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-ledger-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
