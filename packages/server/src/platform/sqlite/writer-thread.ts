import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

/**
 * Holds the only writing connection of a database file, so that a flush to disk never holds up the event loop that answers
 * requests. Takes one statement at a time, in the order in which they arrive.
 */
export interface StatementRequest {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly SQLInputValue[];
}
export type StatementAnswer =
  | { readonly id: number; readonly rows: Record<string, unknown>[]; readonly changes: number }
  | { readonly id: number; readonly failure: { readonly message: string; readonly sqliteCode: number } };

const maxCachedStatements = 600;
const port = parentPort;
if (port === null) throw new Error('The writer runs as a worker thread.');
const database = new DatabaseSync((workerData as { file: string }).file, { timeout: 0 });
database.exec(
  'pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma secure_delete = on',
);
const statements = new Map<string, StatementSync>();

function prepared(sql: string): StatementSync {
  const known = statements.get(sql);
  if (known !== undefined) return known;
  if (statements.size >= maxCachedStatements) statements.clear();
  const statement = database.prepare(sql);
  statements.set(sql, statement);
  return statement;
}

function execute({ id, sql, parameters }: StatementRequest): StatementAnswer {
  try {
    // SQLite has rolled back by itself where COMMIT failed, as on a full disk.
    if (sql === 'rollback' && !database.isTransaction) return { id, rows: [], changes: 0 };
    const statement = prepared(sql);
    if (statement.columns().length > 0) {
      const rows = statement.all(...parameters) as Record<string, unknown>[];
      return { id, rows, changes: rows.length };
    }
    return { id, rows: [], changes: Number(statement.run(...parameters).changes) };
  } catch (error) {
    const sqliteCode = (error as { errcode?: number }).errcode ?? 1;
    return { id, failure: { message: (error as Error).message, sqliteCode } };
  }
}

port.on('message', (request: StatementRequest | 'close') => {
  if (request === 'close') {
    database.close();
    port.close();
    return;
  }
  port.postMessage(execute(request));
});
