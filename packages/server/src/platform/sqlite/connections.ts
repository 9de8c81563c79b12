import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely';
import { DatabaseError } from '../database-error.ts';
import type { StatementAnswer, StatementRequest } from './writer-thread.ts';

/**
 * `node:sqlite` silently binds a Date or NaN as NULL, and does not read back an integer beyond 2⁵³ − 1: only these kinds may
 * pass.
 */
function bindable(parameters: readonly unknown[]): SQLInputValue[] {
  return parameters.map((value) => {
    if (value === null) return value;
    if (typeof value === 'number' || typeof value === 'bigint') {
      if (Number.isSafeInteger(Number(value))) return value;
      throw new RangeError('A number that is no integer, or beyond 2⁵³ − 1, cannot be bound to a statement.');
    }
    if (value instanceof Uint8Array) return value;
    if (typeof value === 'string' && value.isWellFormed() && !value.includes('\0')) return value;
    throw new TypeError(`A value of type ${typeof value} cannot be bound to a statement.`);
  });
}

async function* noStream(): AsyncGenerator<never> {
  throw new Error('Streaming is not offered: read page by page.');
}

/** The only writing connection, on a thread of its own. */
export class WriterConnection implements DatabaseConnection {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (answer: StatementAnswer) => void>();
  #lastId = 0;
  readonly #onDown: (error: DatabaseError) => void;
  #down: DatabaseError | undefined;
  #closing = false;

  /** @param onDown told once when the thread ends without having been asked to */
  constructor(file: string, onDown: (error: DatabaseError) => void) {
    this.#onDown = onDown;
    this.#worker = new Worker(new URL('./writer-thread.ts', import.meta.url), { workerData: { file } });
    this.#worker.on('message', (answer: StatementAnswer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    this.#worker.on('error', (error: Error) => this.#fail(new DatabaseError(error.message, 1, error)));
    this.#worker.on('exit', () => this.#fail(new DatabaseError('The writer thread has ended.', 1)));
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#down !== undefined) throw this.#down;
    const request: StatementRequest = {
      id: ++this.#lastId,
      sql: query.sql,
      parameters: bindable(query.parameters),
    };
    const answer = await new Promise<StatementAnswer>((resolve) => {
      this.#waiting.set(request.id, resolve);
      this.#worker.postMessage(request);
    });
    if ('failure' in answer) throw new DatabaseError(answer.failure.message, answer.failure.sqliteCode);
    return { rows: answer.rows as R[], numAffectedRows: BigInt(answer.changes) };
  }

  streamQuery = noStream;

  async close(): Promise<void> {
    if (this.#down !== undefined) return;
    this.#closing = true;
    const ended = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
    this.#worker.postMessage('close');
    await ended;
  }

  /** Callers in flight learn that the outcome is unknown, and discard their results. */
  #fail(error: DatabaseError): void {
    if (this.#down === undefined && !this.#closing) this.#onDown(error);
    this.#down ??= error;
    for (const [id, resolve] of this.#waiting) {
      resolve({ id, failure: { message: error.message, sqliteCode: error.sqliteCode } });
    }
    this.#waiting.clear();
  }
}

/** A read-only connection on the main thread: point reads are faster than a message to another thread. */
export class ReaderConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(file: string) {
    this.#database = new DatabaseSync(file, { readOnly: true, timeout: 1000 });
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    try {
      let statement = this.#statements.get(query.sql);
      if (statement === undefined) {
        if (this.#statements.size >= 300) this.#statements.clear();
        statement = this.#database.prepare(query.sql);
        this.#statements.set(query.sql, statement);
      }
      return { rows: statement.all(...bindable(query.parameters)) as R[] };
    } catch (error) {
      throw DatabaseError.from(error);
    }
  }

  streamQuery = noStream;

  async close(): Promise<void> {
    this.#database.close();
  }
}
