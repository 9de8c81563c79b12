import { CompiledQuery, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import type {
  DatabaseConnection,
  DatabaseIntrospector,
  Dialect,
  Driver,
  Kysely,
  QueryCompiler,
} from 'kysely';

/** SQLite's DDL rolls back with its transaction; Kysely's adapter says otherwise. */
class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/**
 * Kysely over one connection. Kysely itself hands a single connection to one user at a time: for the writing connection that
 * queue is the writer's lane, in which transactions and group commits take turns.
 */
export class OneConnectionDialect implements Dialect {
  readonly #connection: DatabaseConnection;
  readonly #begin: string;

  /** @param begin `begin immediate` for the writer; `begin` for a reader's snapshot */
  constructor(connection: DatabaseConnection, begin: 'begin immediate' | 'begin') {
    this.#connection = connection;
    this.#begin = begin;
  }

  createDriver(): Driver {
    const connection = this.#connection;
    const run = async (sql: string): Promise<void> => {
      await connection.executeQuery(CompiledQuery.raw(sql));
    };
    return {
      init: async () => {},
      acquireConnection: async () => connection,
      beginTransaction: async () => run(this.#begin),
      commitTransaction: async () => run('commit'),
      rollbackTransaction: async () => run('rollback'),
      releaseConnection: async () => {},
      destroy: async () => {},
    };
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): SqliteAdapter {
    return new TransactionalDdlAdapter();
  }

  // Kysely's own signature names its database type `any`.
  // oxlint-disable-next-line typescript/no-explicit-any
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return new SqliteIntrospector(db);
  }
}
