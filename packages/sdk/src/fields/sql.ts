import type { DatabaseSync } from 'node:sqlite';
import { sdkError } from '../errors.ts';

/** What a statement binds. A boolean is 0 or 1 on SQLite, which has none. */
export type SqlValue = string | number | bigint | boolean | Date | Uint8Array | null;

export interface SqlAnswer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** Rows that were inserted, updated or deleted. */
  readonly changed: number;
}

/** A database of the application's, as far as this package speaks to it: one statement at a time, each committed by itself. */
export interface SqlDatabase {
  readonly dialect: 'postgres' | 'sqlite';
  query(text: string, parameters: readonly SqlValue[]): Promise<SqlAnswer>;
  /** Whether what is written now takes effect only with a transaction that somebody else may yet roll back. */
  inTransaction?(): boolean;
}

/** A `Pool` of the package `pg`, as far as it is used. A single client is refused: it could be within a transaction. */
export interface PgPool {
  readonly totalCount: number;
  query(
    text: string,
    values: unknown[],
  ): Promise<{ readonly rows: readonly unknown[]; readonly rowCount: number | null }>;
}

/** @throws TrialkeepError `fields.declaration_invalid` for anything but a pool */
export function pgDatabase(pool: PgPool): SqlDatabase {
  if (typeof pool.totalCount !== 'number') {
    throw sdkError('fields.declaration_invalid', { detail: 'a pg.Pool is needed, not a client' });
  }
  return {
    dialect: 'postgres',
    async query(text, parameters) {
      const { rows, rowCount } = await pool.query(text, [...parameters]);
      return { rows: rows as SqlAnswer['rows'], changed: rowCount ?? 0 };
    },
  };
}

/** A connection of `node:sqlite`. Give the key store one of its own where the application holds transactions open on its own. */
export function sqliteDatabase(database: DatabaseSync): SqlDatabase {
  return {
    dialect: 'sqlite',
    async query(text, parameters) {
      const statement = database.prepare(text);
      const values = parameters.map(sqliteValue);
      if (statement.columns().length > 0) {
        return { rows: statement.all(...values), changed: 0 };
      }
      return { rows: [], changed: Number(statement.run(...values).changes) };
    },
    inTransaction: () => database.isTransaction,
  };
}

/** `node:sqlite` would bind a date as NULL, without a word. */
export function sqliteValue(value: SqlValue): string | number | bigint | Uint8Array | null {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (value instanceof Date) {
    throw sdkError('fields.value_invalid', { detail: 'SQLite has no dates: say how they are converted' });
  }
  return value;
}

/** A piece of a statement: text, with values and further pieces between. */
export class Sql {
  readonly #texts: readonly string[];
  readonly #parts: readonly (SqlValue | Sql)[];

  constructor(texts: readonly string[], parts: readonly (SqlValue | Sql)[]) {
    this.#texts = texts;
    this.#parts = parts;
  }

  /** The whole as one dialect writes it. */
  compile(dialect: SqlDatabase['dialect']): { text: string; parameters: SqlValue[] } {
    const parameters: SqlValue[] = [];
    return { text: this.#write(dialect, parameters), parameters };
  }

  #write(dialect: SqlDatabase['dialect'], parameters: SqlValue[]): string {
    let text = this.#texts[0] ?? '';
    for (const [i, part] of this.#parts.entries()) {
      if (part instanceof Sql) {
        text += part.#write(dialect, parameters);
      } else {
        parameters.push(part);
        text += dialect === 'postgres' ? `$${parameters.length}` : '?';
      }
      text += this.#texts[i + 1] ?? '';
    }
    return text;
  }
}

/** A statement, or a piece of one, whose values are bound and never written into its text. */
export function sql(texts: TemplateStringsArray, ...parts: readonly (SqlValue | Sql)[]): Sql {
  return new Sql(texts, parts);
}

export function joinSql(pieces: readonly Sql[], separator: string): Sql {
  const between = pieces.map((_, i) => (i === 0 || i === pieces.length ? '' : separator));
  return new Sql([...between, ''], pieces);
}

const namePattern = /^[A-Za-z_][A-Za-z0-9_$]{0,62}$/;

/** A name of a column, or of a table with or without its schema, that needs no escape between quotation marks. */
export function isName(name: unknown): name is string {
  return (
    typeof name === 'string' &&
    name.split('.').length <= 2 &&
    name.split('.').every((part) => namePattern.test(part))
  );
}

/** @throws TrialkeepError `fields.declaration_invalid` */
export function identifier(name: string): Sql {
  if (!isName(name))
    throw sdkError('fields.declaration_invalid', { detail: 'a name of letters, digits and _ is needed' });
  return new Sql(
    [
      name
        .split('.')
        .map((part) => `"${part}"`)
        .join('.'),
    ],
    [],
  );
}

export async function run(database: SqlDatabase, statement: Sql): Promise<SqlAnswer> {
  const { text, parameters } = statement.compile(database.dialect);
  return database.query(text, parameters);
}
