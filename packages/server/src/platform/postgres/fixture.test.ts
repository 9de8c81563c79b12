/** What the tests on PostgreSQL share. */
import type { TestContext } from 'node:test';
import { postgresCluster } from '../../../../../tools/postgres-cluster.ts';
import type { PostgresCluster } from '../../../../../tools/postgres-cluster.ts';
import { createDatabase, openDatabase } from '../database.ts';
import type { Database, Tx } from '../database.ts';
import type { DatabaseError } from '../database-error.ts';
import { StartupError } from '../errors.ts';
import type { StartupErrorCode } from '../errors.ts';
import { parsePostgresUrl } from './location.ts';
import type { PostgresLocation } from './location.ts';

/** A new, empty database; of this process's cluster, unless another is named. */
export async function newLocation(options?: string, cluster?: PostgresCluster): Promise<PostgresLocation> {
  const { url, newDatabase } = cluster ?? (await postgresCluster());
  return parsePostgresUrl(url(newDatabase(options)), 'TRIALKEEP_DATABASE');
}

/** A new main database, with its tables. */
export async function newMain(cluster?: PostgresCluster): Promise<PostgresLocation> {
  const location = await newLocation('', cluster);
  await createDatabase(location, 'main', 'installation');
  return location;
}

/** A new main database, opened; closed after the test. */
export async function openPostgres(t: TestContext, cluster?: PostgresCluster): Promise<Database> {
  return openAgain(t, await newMain(cluster));
}

/** A node more of a database that is there; closed after the test. */
export async function openAgain(
  t: TestContext,
  location: PostgresLocation,
  onDown?: (error: DatabaseError) => void,
): Promise<Database> {
  const database = await openDatabase(location, 'main', onDown);
  t.after(() => database.close());
  return database;
}

/** A row of some table; which one does not matter. */
export async function insert(tx: Tx, name: string): Promise<void> {
  const row = { id: name, account: name, name, key_version: '', wrapped_key: Buffer.alloc(0), created_at: 1 };
  await tx.insertInto('tenant').values(row).execute();
}

/** The names of all such rows. */
export async function names(database: Database): Promise<string[]> {
  const rows = await database.read((snapshot) =>
    snapshot.selectFrom('tenant').select('name').orderBy('name').execute(),
  );
  return rows.map(({ name }) => name);
}

/** For `assert.rejects`. */
export function isKind(kind: DatabaseError['kind']): (error: unknown) => boolean {
  return (error) => (error as DatabaseError).kind === kind;
}

/** For `assert.rejects` and `assert.throws`. */
export function refusal(code: StartupErrorCode, detail = /(?:)/): (error: unknown) => boolean {
  return (error) => error instanceof StartupError && error.code === code && detail.test(error.message);
}
