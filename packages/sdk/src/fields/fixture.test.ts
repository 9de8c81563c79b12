/** What the tests of fields share: real keys without a server, that can be counted and refused, and databases. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue } from 'node:sqlite';
import { errors } from '@trialkeep/contract';
import type { ErrorCode } from '@trialkeep/contract';
import { generateKey, rawAes } from '@trialkeep/crypto';
import { PostgresDialect, SqliteDialect } from 'kysely';
import type { Dialect, SqliteDatabase } from 'kysely';
import pg from 'pg';
import { postgresCluster, postgresMissing } from '../../../../tools/postgres-cluster.ts';
import { sdkError, sdkErrors, TrialkeepError } from '../errors.ts';
import type { SdkErrorCode } from '../errors.ts';
import { recipientKeys } from '../seal/recipient-keys.ts';
import type { KeySource } from '../seal/keys.ts';
import { fieldKeyTable, pgDatabase, sqliteDatabase } from './index.ts';
import type { SqlDatabase, TableDescription } from './index.ts';

/** One tenant's source of keys, made here, with the recorded requests for them. */
export class TestKeys implements KeySource {
  readonly sealingContexts: object[] = [];
  readonly openingContexts: object[] = [];
  /** Answers every request of that kind with this error while it is set. */
  sealingRefusal: ErrorCode | SdkErrorCode | undefined;
  openingRefusal: ErrorCode | SdkErrorCode | undefined;
  readonly #source: KeySource;

  constructor(key = generateKey('AES_256')) {
    const own = rawAes({ namespace: 'test', name: 'own', key });
    this.#source = recipientKeys({ recipients: [own], identities: [own] });
  }

  async sealingKey(...request: Parameters<KeySource['sealingKey']>): ReturnType<KeySource['sealingKey']> {
    this.sealingContexts.push(request[0]);
    if (this.sealingRefusal !== undefined) throw refusal(this.sealingRefusal);
    return this.#source.sealingKey(...request);
  }

  async openingKey(...request: Parameters<KeySource['openingKey']>): ReturnType<KeySource['openingKey']> {
    this.openingContexts.push(request[0].context);
    if (this.openingRefusal !== undefined) throw refusal(this.openingRefusal);
    return this.#source.openingKey(...request);
  }

  refuse(code: ErrorCode | SdkErrorCode | undefined): void {
    this.sealingRefusal = code;
    this.openingRefusal = code;
  }
}

function refusal(code: ErrorCode | SdkErrorCode): TrialkeepError {
  if (Object.hasOwn(sdkErrors, code)) return sdkError(code as SdkErrorCode);
  return new TrialkeepError(code, errors[code as ErrorCode], { status: errors[code as ErrorCode].status });
}

/** For `assert.rejects` and `assert.throws`. */
export function withCode(...codes: readonly (SdkErrorCode | ErrorCode)[]): (error: unknown) => true {
  return (error) => {
    if (!(error instanceof TrialkeepError)) throw error;
    assert.ok(codes.includes(error.code), `${error.code} (${error.message}) is not ${codes.join(' or ')}`);
    return true;
  };
}

/** A database of its own for one test, with a key table and an empty diary. */
export interface TestDatabase {
  readonly database: SqlDatabase;
  /** Where another process finds it. */
  readonly location: string;
  /** Runs statements as they are. */
  execute(text: string): Promise<void>;
  /** Rows as they lie there. */
  rows(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** A dialect of Kysely on a connection of its own. */
  dialect(): Dialect;
  close(): Promise<void>;
}

/** The databases that each test of SQL is run on, with the reason why one is not there. */
export const databases = [
  { name: 'SQLite', skip: false, open: openSqlite },
  { name: 'PostgreSQL', skip: postgresMissing, open: openPostgres },
] as const;

async function openSqlite(): Promise<TestDatabase> {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-fields-'));
  const path = join(folder, 'test.sqlite');
  const connections: DatabaseSync[] = [];
  const connect = () => {
    const connection = new DatabaseSync(path);
    connection.exec('pragma journal_mode = wal; pragma synchronous = off');
    connections.push(connection);
    return connection;
  };
  const own = connect();
  own.exec(`${fieldKeyTable('sqlite')}; ${createDiary('blob', 'integer', 'strict')}`);
  return {
    database: sqliteDatabase(own),
    location: path,
    execute: async (text) => own.exec(text),
    rows: async (text) => own.prepare(text).all(),
    dialect: () => new SqliteDialect({ database: betterSqlite(connect()) }),
    async close() {
      for (const connection of connections) if (connection.isOpen) connection.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** As SQLite of the list, for tests that need many: in memory, with a key table alone. */
export function inMemory(): Omit<TestDatabase, 'dialect'> {
  const own = new DatabaseSync(':memory:');
  own.exec(fieldKeyTable('sqlite'));
  return {
    database: sqliteDatabase(own),
    location: '',
    execute: async (text) => own.exec(text),
    rows: async (text) => own.prepare(text).all(),
    close: async () => own.close(),
  };
}

/** A connection of node:sqlite as Kysely's dialect wants one. */
export function betterSqlite(connection: DatabaseSync): SqliteDatabase {
  return {
    close: () => connection.close(),
    prepare(text) {
      const statement = connection.prepare(text);
      const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => statement.all(...values(parameters)),
        run: (parameters) => statement.run(...values(parameters)),
        iterate: (parameters) => statement.iterate(...values(parameters)),
      };
    },
  };
}

async function openPostgres(): Promise<TestDatabase> {
  const cluster = await postgresCluster();
  const connectionString = cluster.url(cluster.newDatabase());
  const pools: pg.Pool[] = [];
  const connect = () => {
    const pool = new pg.Pool({ connectionString, max: 4 });
    pools.push(pool);
    return pool;
  };
  const own = connect();
  await own.query(`${fieldKeyTable('postgres')}; ${createDiary('bytea', 'bigint', '')}`);
  return {
    database: pgDatabase(own),
    location: connectionString,
    execute: async (text) => void (await own.query(text)),
    rows: async (text) => (await own.query<Record<string, unknown>>(text)).rows,
    dialect: () => new PostgresDialect({ pool: connect() }),
    close: async () => {
      for (const pool of pools) if (!pool.ended) await pool.end();
    },
  };
}

/** Runs `work` on a database that is closed afterwards. */
export async function onDatabase(
  { open }: (typeof databases)[number],
  work: (test: TestDatabase) => Promise<void>,
): Promise<void> {
  const test = await open();
  try {
    await work(test);
  } finally {
    await test.close();
  }
}

/** A patient diary, with a column of every type. */
export const diary = {
  table: 'diary',
  rowId: 'id',
  contextColumns: ['study', 'subject'],
  context: (row) => ({ study: String(row['study']), subject: String(row['subject']) }),
  columns: {
    name: { type: 'text', index: { column: 'name_index', distinctValues: 50_000, form: 'caseless' } },
    entry: { type: 'text', padTo: 64 },
    weight_kg: { type: 'number' },
    seen_at: { type: 'date' },
    answers: { type: 'json' },
    scan: { type: 'bytes' },
    pregnant: { type: 'boolean' },
  },
} as const satisfies TableDescription;

const createDiary = (bytes: string, integer: string, options: string) => `create table diary (
  id text primary key, study text not null, subject text not null, site ${integer},
  name ${bytes}, name_index ${bytes}, entry ${bytes}, weight_kg ${bytes}, seen_at ${bytes}, answers ${bytes},
  scan ${bytes}, pregnant ${bytes}
) ${options}`;

export type DiaryRow = Readonly<{
  id: string;
  study: string;
  subject: string;
  /** Drivers give what is 64 bits wide as a number, or as text. */
  site: number | string | null;
  name: string | null;
  entry: string | null;
  weight_kg: number | null;
  seen_at: Date | null;
  answers: unknown;
  scan: Uint8Array | null;
  pregnant: boolean | null;
}>;

let rows = 0;

export function diaryRow(change: Partial<DiaryRow> = {}): DiaryRow {
  rows += 1;
  return {
    id: `row-${rows}`,
    study: 'TK-1',
    subject: 'a1',
    site: null,
    name: 'Ada Lovelace',
    entry: 'Headache since the morning',
    weight_kg: 61.5,
    seen_at: new Date('2026-03-29T01:30:00.123Z'),
    answers: { pain: [1, 2], note: 'ü' },
    scan: Buffer.from('c0ffee', 'hex'),
    pregnant: false,
    ...change,
  };
}
