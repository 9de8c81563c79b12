import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely';
import { bindable } from '../bindable.ts';
import { DatabaseError } from '../database-error.ts';
import type { StatementAnswer, StatementRequest } from './writer-thread.ts';

/** SQLITE_ERROR: nothing more is known. */
const genericFailure = 1;

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
    this.#worker.on('error', (error: Error) =>
      this.#fail(new DatabaseError(error.message, genericFailure, error)),
    );
    this.#worker.on('exit', () =>
      this.#fail(new DatabaseError('The writer thread has ended.', genericFailure)),
    );
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
      resolve({ id, failure: { message: error.message, sqliteCode: genericFailure } });
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
