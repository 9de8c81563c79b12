import { PostgresAdapter, sql } from 'kysely';
import type { Kysely, RawBuilder, Transaction } from 'kysely';
import type { Clock } from './clock.ts';
import { DatabaseError } from './database-error.ts';
import { StartupError } from './errors.ts';
import type { DialectName, StoreName } from './migrations.ts';
import { assertPair, createPostgres, openPostgres, postgresStartupError } from './postgres/database.ts';
import type { PostgresLocation } from './postgres/location.ts';
import { createSqlite, openSqlite, sqliteStartupError } from './sqlite/database.ts';
import type { Tables } from './tables.ts';

/** A transaction, or a snapshot, of the main database. */
export type Tx = Transaction<Tables>;

/** One database, whichever product is under it. */
export interface Database<T = Tables> {
  readonly dialect: DialectName;
  /** Runs `work` in one consistent snapshot. */
  read<R>(work: (snapshot: Transaction<T>) => Promise<R>): Promise<R>;
  /**
   * Runs `work` in a transaction and commits it durably, or rolls everything back when it throws. Nothing but the
   * transaction may be awaited inside: meanwhile the writer's lane stands still on SQLite, and others wait for its locks
   * on PostgreSQL, where it is READ COMMITTED and other transactions commit between its statements.
   */
  write<R>(work: (transaction: Transaction<T>) => Promise<R>): Promise<R>;
  /**
   * Runs exactly one statement and commits it durably: on PostgreSQL in one round trip, where a second statement throws and
   * what `work` throws afterwards undoes nothing; on SQLite as `write` does.
   */
  single<R>(work: (statement: Transaction<T>) => Promise<R>): Promise<R>;
  /**
   * Looks whether a newer program has changed the tables meanwhile so that this one cannot go on; then `onDown` is told. Once a second:
   * it is an operator's mistake, who has let nodes of two releases run that do not go together (docs/how-to/run-several-nodes.md).
   */
  assertKnown(): Promise<void>;
  close(): Promise<void>;
}

/** Where a database is: the path of an SQLite file, or a database of a PostgreSQL server. */
export type DatabaseLocation = string | PostgresLocation;

/** The databases of one installation, both of the same kind. */
export interface DatabaseLocations {
  readonly main: DatabaseLocation;
  readonly shred: DatabaseLocation;
}

/** For the few statements that the two products spell differently. */
export function dialectOf<T>(tx: Kysely<T>): DialectName {
  return tx.getExecutor().adapter instanceof PostgresAdapter ? 'postgres' : 'sqlite';
}

/**
 * The time that decides, ms since 1970: nodes that share a database share its clock; where one process owns the database it is
 * that process's.
 */
export function databaseTime<T>(tx: Kysely<T>, clock: Clock): RawBuilder<number> {
  return dialectOf(tx) === 'sqlite'
    ? sql<number>`${clock.now()}`
    : sql<number>`floor(extract(epoch from clock_timestamp()) * 1000)::bigint`;
}

/**
 * Makes a new database: a file, where the caller has made sure that none is there, or the tables in an empty database of a
 * server. `installation` is what the databases of one installation have in common.
 *
 * @throws StartupError
 */
export function createDatabase(file: string, store: StoreName, installation?: string): void;
export function createDatabase(
  location: DatabaseLocation,
  store: StoreName,
  installation: string,
): void | Promise<void>;
export function createDatabase(
  location: DatabaseLocation,
  store: StoreName,
  installation = '',
): void | Promise<void> {
  return typeof location === 'string'
    ? createSqlite(location, store)
    : createPostgres(location, store, installation);
}

/**
 * Opens an existing database. `onDown` is told when nothing can be written any more until it is opened again.
 *
 * @throws StartupError
 */
export function openDatabase<T = Tables>(
  file: string,
  store: StoreName,
  onDown?: (error: DatabaseError) => void,
): Database<T>;
export function openDatabase<T = Tables>(
  location: DatabaseLocation,
  store: StoreName,
  onDown?: (error: DatabaseError) => void,
): Database<T> | Promise<Database<T>>;
export function openDatabase<T = Tables>(
  location: DatabaseLocation,
  store: StoreName,
  onDown: (error: DatabaseError) => void = () => undefined,
): Database<T> | Promise<Database<T>> {
  return typeof location === 'string'
    ? openSqlite<T>(location, store, onDown)
    : openPostgres<T>(location, store, onDown);
}

/**
 * Looks at both databases before either is changed: on a server anybody's may answer to a name.
 *
 * @throws StartupError `database.other_installation`, and what keeps a database from being opened
 */
export async function assertOneInstallation({ main, shred }: DatabaseLocations): Promise<void> {
  if (typeof main !== 'string' && typeof shred !== 'string') await assertPair(main, shred);
}

/** What a failing statement means to somebody who starts the server. */
export function databaseStartupError(error: unknown, location: DatabaseLocation): StartupError {
  return typeof location === 'string'
    ? sqliteStartupError(error, location)
    : postgresStartupError(error, location);
}
