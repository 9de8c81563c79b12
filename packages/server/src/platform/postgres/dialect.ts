import { CompiledQuery, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely';
import type {
  DatabaseConnection,
  DatabaseIntrospector,
  Dialect,
  Driver,
  Kysely,
  QueryCompiler,
  QueryResult,
} from 'kysely';
import type { Pool, PoolClient, QueryConfig } from 'pg';
import { bindable } from '../bindable.ts';
import { DatabaseError } from '../database-error.ts';
import { connectionLost, failureOf, isOutdated, leavesConnection, unconfirmed } from './failure.ts';

/** `single`: no transaction but that of the one statement. */
export type Mode = 'read' | 'write' | 'single';

const begins = {
  read: 'start transaction isolation level repeatable read, read only',
  write: 'start transaction isolation level read committed, read write',
};
const successful = '00000';
/** What pg-pool says when nobody gave a connection back in time; it has no code. */
const queueTimeout = 'timeout exceeded when trying to connect';

/** How many statements a connection keeps prepared; each costs the server some ten kilobytes per connection. */
const maxPreparedStatements = 200;
/** More of them than any statement about single rows has. */
const maxPreparedParameters = 50;

/** Names for the statements that are prepared: a statement that the server has planned before takes a third of the time. */
export class StatementNames {
  readonly #names = new Map<string, string>();

  /** Undefined for those that come when there are enough: they are planned every time. */
  of(sql: string, parameterCount: number): string | undefined {
    // Of many rows in one statement there is a text for each number of rows: they would take all the names.
    if (parameterCount > maxPreparedParameters) return undefined;
    const known = this.#names.get(sql);
    if (known !== undefined || this.#names.size >= maxPreparedStatements) return known;
    const name = `s${this.#names.size}`;
    this.#names.set(sql, name);
    return name;
  }
}

/** A connection of the pool, from when it is taken until it is given back; a broken one never is. */
class PooledConnection implements DatabaseConnection {
  readonly #client: PoolClient;
  readonly #mode: Mode;
  readonly #names: StatementNames;
  #isOutdated = false;
  #lost: DatabaseError | undefined;
  /** SQLSTATE and text of the last warning of the statement that is running. */
  #warning: string | undefined;
  #statements = 0;

  constructor(client: PoolClient, mode: Mode, names: StatementNames) {
    this.#client = client;
    this.#mode = mode;
    this.#names = names;
    client.on('error', this.#onError);
    client.on('notice', this.#onNotice);
  }

  readonly #onError = (error: Error): void => {
    this.#lost ??= failureOf(error);
  };

  readonly #onNotice = (notice: {
    readonly code?: string | undefined;
    readonly message?: string | undefined;
  }): void => {
    if (notice.code !== successful) this.#warning ??= `${notice.message} (${notice.code})`;
  };

  async begin(): Promise<void> {
    if (this.#mode !== 'single') await this.#run({ text: begins[this.#mode] });
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const name = this.#names.of(sql, parameters.length);
    const statement = { text: sql, values: bindable(parameters), ...(name !== undefined && { name }) };
    if (this.#mode !== 'single') return this.#run(statement);
    if (++this.#statements > 1)
      throw new Error('A second statement has no part in a single one’s transaction.');
    return this.#commit(statement);
  }

  streamQuery = async function* (): AsyncGenerator<never> {
    throw new Error('Streaming is not offered: read page by page.');
  };

  async commit(): Promise<void> {
    if (this.#mode === 'single') return;
    const { command } = await this.#commit({ text: 'commit' });
    // A failed statement whose error somebody has caught: the server answers that it has rolled back.
    if (command !== 'COMMIT') throw new DatabaseError('The transaction had failed before its end.', '25P02');
  }

  /** Never throws: a transaction that cannot be rolled back is, once its connection is closed. */
  async rollback(): Promise<void> {
    if (this.#mode === 'single' || this.#lost !== undefined) return;
    try {
      await this.#run({ text: 'rollback' });
    } catch (error) {
      this.#lost ??= failureOf(error);
    }
  }

  release(): void {
    this.#client.off('error', this.#onError);
    this.#client.off('notice', this.#onNotice);
    this.#client.release(this.#lost !== undefined || this.#isOutdated);
  }

  async #run<R>(statement: QueryConfig): Promise<QueryResult<R> & { readonly command: string }> {
    if (this.#lost !== undefined) throw this.#lost;
    this.#warning = undefined;
    try {
      const { rows, rowCount, command } = await this.#client.query(statement);
      const changes = ['INSERT', 'UPDATE', 'DELETE', 'MERGE'].includes(command) ? rowCount : null;
      return { command, rows: rows as R[], ...(changes !== null && { numAffectedRows: BigInt(changes) }) };
    } catch (error) {
      // What a parser of ours refuses is no failure of the connection.
      if (error instanceof RangeError) throw error;
      const failure = failureOf(error);
      if (!leavesConnection(error)) this.#lost ??= failure;
      this.#isOutdated ||= isOutdated(error);
      throw failure;
    }
  }

  /** Runs what ends a transaction: the outcome is unknown when no plain answer comes back. */
  async #commit<R>(statement: QueryConfig): Promise<QueryResult<R> & { readonly command: string }> {
    if (this.#lost !== undefined) throw this.#lost;
    try {
      const result = await this.#run<R>(statement);
      if (this.#warning === undefined) return result;
    } catch (error) {
      if (this.#lost === undefined) throw error;
      throw unconfirmed((error as Error).message);
    }
    // The server has committed and nobody knows whether the standby has it; this connection did its duty.
    this.#lost = new DatabaseError('A warning ended the last transaction.', connectionLost);
    throw unconfirmed(this.#warning);
  }
}

/** Kysely over a pool of connections; each mode has a dialect of its own over the same pool. */
export class PooledDialect implements Dialect {
  readonly #pool: Pool;
  readonly #names: StatementNames;
  readonly #mode: Mode;

  constructor(pool: Pool, names: StatementNames, mode: Mode) {
    this.#pool = pool;
    this.#names = names;
    this.#mode = mode;
  }

  createDriver(): Driver {
    const own = (connection: DatabaseConnection) => connection as PooledConnection;
    return {
      init: async () => {},
      acquireConnection: async () => new PooledConnection(await this.#connect(), this.#mode, this.#names),
      beginTransaction: async (connection) => own(connection).begin(),
      commitTransaction: async (connection) => own(connection).commit(),
      rollbackTransaction: async (connection) => own(connection).rollback(),
      releaseConnection: async (connection) => own(connection).release(),
      destroy: async () => {},
    };
  }

  async #connect(): Promise<PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      // Every connection was in use for as long as anybody waits: nothing was asked of the database.
      if ((error as Error).message === queueTimeout)
        throw new DatabaseError('No connection is free.', '53300');
      throw failureOf(error);
    }
  }

  createQueryCompiler(): QueryCompiler {
    return new PostgresQueryCompiler();
  }

  createAdapter(): PostgresAdapter {
    return new PostgresAdapter();
  }

  // Kysely's own signature names its database type `any`.
  // oxlint-disable-next-line typescript/no-explicit-any
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return new PostgresIntrospector(db);
  }
}
