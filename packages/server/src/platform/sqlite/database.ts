import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import type { Database } from '../database.ts';
import { DatabaseError } from '../database-error.ts';
import { StartupError } from '../errors.ts';
import { migrations } from '../migrations.ts';
import type { StoreName } from '../migrations.ts';
import { step } from '../tracing/steps.ts';
import { ReaderConnection, WriterConnection } from './connections.ts';
import { OneConnectionDialect } from './dialect.ts';

/** Marks a file as Trialkeep's, in SQLite's application_id: the bytes "TKP1". */
const applicationId = 0x544b5031;

/** How long a database that is about to be opened waits for a backup that reads it, ms. */
const prepareTimeoutMs = 1000;

/** Makes a new database file; the caller has made sure that none is there. */
export function createSqlite(file: string, store: StoreName): void {
  const database = new DatabaseSync(file);
  try {
    database.exec('pragma journal_mode = wal; pragma synchronous = full');
    database.exec(`begin immediate; pragma application_id = ${applicationId}`);
    for (const migration of migrations(store, 'sqlite')) {
      database.exec(migration.sql);
      database.exec(`pragma user_version = ${migration.version}`);
    }
    database.exec('commit');
  } finally {
    database.close();
  }
}

/**
 * Refuses a file that is not a whole database of ours, and brings an older one up to date. A copy that was restored has a
 * rollback journal: it gets its write-ahead log here, while nobody reads it, for the writer waits for nobody.
 */
function prepareFile(file: string, store: StoreName): void {
  if (!existsSync(file)) throw new StartupError('database.missing', file);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: prepareTimeoutMs });
    const number = (pragma: string): number =>
      Object.values(database?.prepare(`pragma ${pragma}`).get() ?? {})[0] as number;
    if (number('application_id') !== applicationId) throw new StartupError('database.foreign', file);
    const steps = migrations(store, 'sqlite');
    const present = number('user_version');
    if (present > (steps.at(-1)?.version ?? 0)) throw new StartupError('database.newer', file);
    const mode = database.prepare('pragma journal_mode = wal').get()?.['journal_mode'];
    if (mode !== 'wal')
      throw new StartupError('data.unreadable', `${file}: it stays in journal mode ${String(mode)}.`);
    for (const step of steps.filter(({ version }) => version > present)) {
      database.exec(`begin immediate; ${step.sql}; pragma user_version = ${step.version}; commit`);
    }
  } catch (error) {
    if (error instanceof StartupError) throw error;
    throw sqliteStartupError(error, file);
  } finally {
    database?.close();
  }
}

/** What a failing statement means to somebody who starts the server. */
export function sqliteStartupError(error: unknown, file: string): StartupError {
  const { kind, message } = DatabaseError.from(error);
  if (kind === 'foreign') return new StartupError('database.foreign', file, error);
  if (kind === 'damaged') return new StartupError('database.damaged', file, error);
  return new StartupError('data.unreadable', `${file}: ${message}.`, error);
}

/** Opens an existing database file. `onDown` is told when nothing can be written any more until it is opened again. */
export function openSqlite<T>(
  file: string,
  store: StoreName,
  onDown: (error: DatabaseError) => void,
): Database<T> {
  prepareFile(file, store);
  const connections = { writer: new WriterConnection(file, onDown), reader: new ReaderConnection(file) };
  const writer = new Kysely<T>({ dialect: new OneConnectionDialect(connections.writer, 'begin immediate') });
  const reader = new Kysely<T>({ dialect: new OneConnectionDialect(connections.reader, 'begin') });
  const write: Database<T>['write'] = (work) =>
    step('database.write', () => writer.transaction().execute(work));
  return {
    dialect: 'sqlite',
    read: (work) => step('database.read', () => reader.transaction().execute(work)),
    write,
    single: write,
    // Nobody else has it open.
    assertKnown: async () => undefined,
    // Not through Kysely, which leaves a connection alone that it has never used.
    close: async () => {
      await connections.reader.close();
      await connections.writer.close();
    },
  };
}
