import { CompiledQuery, PostgresAdapter, SqliteAdapter } from 'kysely';
import type {
  ControlConnectionProvider,
  DatabaseConnection,
  DatabaseIntrospector,
  Dialect,
  DialectAdapter,
  Driver,
  Kysely,
  QueryCompiler,
  QueryResult,
  TransactionSettings,
} from 'kysely';
import { sdkError } from '../../errors.ts';
import { spellingFailure } from '../spelling.ts';
import { sqliteValue } from '../sql.ts';
import type { SqlAnswer, SqlDatabase, SqlValue } from '../sql.ts';
import type { FieldTable } from '../table.ts';
import { planQuery } from './plan.ts';
import type { QueryPlan } from './plan.ts';
import { DeclaredTables } from './scope.ts';
import { comparedColumn } from './spelling.ts';

/**
 * A Kysely dialect that seals and opens the columns of declared tables on their way to and from the database: inserts and updates are
 * given plain values, selections give them back, and `where` takes `=`, `in` and null tests of sealed columns. What cannot be done on sealed values fails with
 * `fields.query_unsupported`, before anything is sent.
 *
 * A function given to Kysely as `log` sees queries before they are sealed: their parameters are plaintext.
 *
 * @param inner the dialect of the database: PostgreSQL or SQLite
 * @throws TrialkeepError `fields.declaration_invalid` for another, or without a table
 */
export function sealedDialect(inner: Dialect, tables: readonly FieldTable[]): Dialect {
  if (tables.length === 0) throw sdkError('fields.declaration_invalid', { detail: 'no table' });
  const name = dialectOf(inner.createAdapter());
  return new SealedDialect(inner, new DeclaredTables(tables, name));
}

class SealedDialect implements Dialect {
  readonly #inner: Dialect;
  readonly #tables: DeclaredTables;

  constructor(inner: Dialect, tables: DeclaredTables) {
    this.#inner = inner;
    this.#tables = tables;
  }

  createDriver(): Driver {
    const compiler = this.#inner.createQueryCompiler();
    return new SealedDriver(this.#inner.createDriver(), (connection) => {
      return new SealedConnection(connection, compiler, this.#tables);
    });
  }

  createQueryCompiler(): QueryCompiler {
    return this.#inner.createQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return this.#inner.createAdapter();
  }

  // Kysely's own signature names its database type `any`.
  // oxlint-disable-next-line typescript/no-explicit-any
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return this.#inner.createIntrospector(db);
  }
}

/** The inner driver, which never sees the connections that are handed out. */
class SealedDriver implements Driver {
  readonly #inner: Driver;
  readonly #seal: (connection: DatabaseConnection) => SealedConnection;
  readonly #sealed = new WeakMap<DatabaseConnection, SealedConnection>();
  declare readonly savepoint?: NonNullable<Driver['savepoint']>;
  declare readonly rollbackToSavepoint?: NonNullable<Driver['rollbackToSavepoint']>;
  declare readonly releaseSavepoint?: NonNullable<Driver['releaseSavepoint']>;

  constructor(inner: Driver, seal: (connection: DatabaseConnection) => SealedConnection) {
    this.#inner = inner;
    this.#seal = seal;
    // Kysely asks whether a driver has these.
    for (const name of ['savepoint', 'rollbackToSavepoint', 'releaseSavepoint'] as const) {
      const method = inner[name];
      if (method === undefined) continue;
      this[name as 'savepoint'] = async (connection, ...rest) =>
        method.call(inner, innerOf(connection), ...rest);
    }
  }

  async init(...options: Parameters<Driver['init']>): Promise<void> {
    return this.#inner.init(...options);
  }

  async acquireConnection(...options: Parameters<Driver['acquireConnection']>): Promise<DatabaseConnection> {
    const connection = await this.#inner.acquireConnection(...options);
    const sealed = this.#sealed.get(connection) ?? this.#seal(connection);
    this.#sealed.set(connection, sealed);
    return sealed;
  }

  async beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    return this.#inner.beginTransaction(innerOf(connection), settings);
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    return this.#inner.commitTransaction(innerOf(connection));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    return this.#inner.rollbackTransaction(innerOf(connection));
  }

  async releaseConnection(...[connection, options]: Parameters<Driver['releaseConnection']>): Promise<void> {
    return this.#inner.releaseConnection(innerOf(connection), options);
  }

  async destroy(...options: Parameters<Driver['destroy']>): Promise<void> {
    return this.#inner.destroy(...options);
  }
}

function innerOf(connection: DatabaseConnection): DatabaseConnection {
  return connection instanceof SealedConnection ? connection.inner : connection;
}

class SealedConnection implements DatabaseConnection {
  readonly inner: DatabaseConnection;
  readonly #compiler: QueryCompiler;
  readonly #tables: DeclaredTables;
  declare readonly cancelQuery?: NonNullable<DatabaseConnection['cancelQuery']>;
  declare readonly collectSessionInfo?: NonNullable<DatabaseConnection['collectSessionInfo']>;
  declare readonly killSession?: NonNullable<DatabaseConnection['killSession']>;

  constructor(inner: DatabaseConnection, compiler: QueryCompiler, tables: DeclaredTables) {
    this.inner = inner;
    this.#compiler = compiler;
    this.#tables = tables;
    const { cancelQuery, collectSessionInfo, killSession } = inner;
    const controlled = (method: typeof cancelQuery) => (provide: ControlConnectionProvider) =>
      method?.call(inner, provide) ?? Promise.resolve();
    if (cancelQuery !== undefined) this.cancelQuery = controlled(cancelQuery);
    if (killSession !== undefined) this.killSession = controlled(killSession);
    if (collectSessionInfo !== undefined)
      this.collectSessionInfo = async () => collectSessionInfo.call(inner);
  }

  async executeQuery<R>(
    ...[compiled, options]: Parameters<DatabaseConnection['executeQuery']>
  ): Promise<QueryResult<R>> {
    const plan = await planQuery(compiled.query, this.#tables);
    if (plan === undefined) return this.inner.executeQuery<R>(compiled, options);
    const sealed = this.#compiler.compileQuery(plan.node, compiled.queryId);
    const answer = await this.inner.executeQuery<R>(sealed, options).catch((error: unknown) => {
      throw meaningOf(error, plan);
    });
    return openAnswer(answer, plan);
  }

  async *streamQuery<R>(
    ...[compiled, chunkSize, options]: Parameters<DatabaseConnection['streamQuery']>
  ): AsyncIterableIterator<QueryResult<R>> {
    const plan = await planQuery(compiled.query, this.#tables);
    const sealed = plan && this.#compiler.compileQuery(plan.node, compiled.queryId);
    try {
      for await (const answer of this.inner.streamQuery<R>(sealed ?? compiled, chunkSize, options)) {
        yield plan === undefined ? answer : await openAnswer(answer, plan);
      }
    } catch (error) {
      throw plan === undefined ? error : meaningOf(error, plan);
    }
  }
}

/** The answer as the query asked for it: a column that was added to compare is not among its columns. */
async function openAnswer<R>(
  answer: QueryResult<R>,
  { result, comparesFor }: QueryPlan,
): Promise<QueryResult<R>> {
  if (comparesFor === undefined) return { ...answer, rows: await result.open(answer.rows) };
  const { [comparedColumn]: _, ...first } = (answer.rows[0] ?? {}) as Record<string, unknown>;
  // SQLite counts no rows where there is something to return.
  const numAffectedRows = answer.numAffectedRows ?? BigInt(answer.rows.length);
  if (Object.keys(first).length === 0) return { ...answer, numAffectedRows, rows: [] };
  const rows = answer.rows.map((row) => {
    const { [comparedColumn]: _, ...own } = row as Record<string, unknown>;
    return own as R;
  });
  return { ...answer, numAffectedRows, rows: await result.open(rows) };
}

function meaningOf(error: unknown, { comparesFor }: QueryPlan): unknown {
  return (comparesFor !== undefined && spellingFailure(error, comparesFor)) || error;
}

/**
 * A database that Kysely is set up for, as the key table and migrations take it: one without `sealedDialect`. On SQLite give the
 * key store a Kysely of its own, since Kysely has one connection there and a transaction holds it.
 *
 * @throws TrialkeepError `fields.declaration_invalid` for other databases than PostgreSQL and SQLite
 */
// What tables there are is of no consequence here.
// oxlint-disable-next-line typescript/no-explicit-any
export function kyselyDatabase(db: Kysely<any>): SqlDatabase {
  const dialect = dialectOf(db.getExecutor().adapter);
  const isSqlite = dialect === 'sqlite';
  return {
    dialect,
    async query(text, parameters): Promise<SqlAnswer> {
      const values: SqlValue[] = isSqlite ? parameters.map(sqliteValue) : [...parameters];
      const { rows, numAffectedRows } = await db.executeQuery(CompiledQuery.raw(text, values));
      return { rows: rows as SqlAnswer['rows'], changed: Number(numAffectedRows ?? 0) };
    },
    inTransaction: () => db.isTransaction,
  };
}

function dialectOf(adapter: DialectAdapter): SqlDatabase['dialect'] {
  if (adapter instanceof SqliteAdapter) return 'sqlite';
  if (adapter instanceof PostgresAdapter) return 'postgres';
  throw sdkError('fields.declaration_invalid', { detail: 'a dialect other than PostgreSQL and SQLite' });
}
