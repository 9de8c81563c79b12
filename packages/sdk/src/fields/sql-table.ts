import { sdkError } from '../errors.ts';
import { exactText, failingUnless, spelling, spellingFailure, spellingsOf } from './spelling.ts';
import { identifier, joinSql, run, Sql, sql } from './sql.ts';
import type { SqlDatabase, SqlValue } from './sql.ts';
import type { FieldTable, Row } from './table.ts';

/** What `find` takes beside its conditions. */
export interface FindOptions {
  /** A column that is not sealed; a `-` in front sorts downwards. */
  readonly orderBy?: string;
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** A table with sealed columns in a database that is spoken to in SQL: `pg` or `node:sqlite`, without a query builder. */
export interface SqlTable<T extends object> {
  /**
   * Inserts rows that have the same columns, in one statement for as many as fit. A statement fails, with `fields.row_invalid` and
   * nothing inserted by it, where the database spells a row id or a column of the context otherwise than it was given.
   */
  insert(rows: readonly T[]): Promise<void>;
  /**
   * Changes columns of one row. `key` has the row id and the columns of the context, and any further columns that must have a certain
   * value for the change to be made. Row id and context are compared letter by letter, by no collation and no type of the database.
   *
   * @returns whether there was such a row
   */
  update(key: Partial<T>, changes: Partial<T>): Promise<boolean>;
  /** The rows whose columns have these values (null for none), opened; of sealed columns the indexed ones can be named. */
  find(conditions: Partial<T>, options?: FindOptions): Promise<T[]>;
  /** Rows of a query of the application's own, opened, as `FieldTable.open`. */
  open(rows: readonly object[]): Promise<T[]>;
}

/** Bound parameters of one statement; SQLite takes 32,766, PostgreSQL 65,535. */
const maximumParameters = 30_000;
/** SQLite compares the spelling of each row with that of every other in the statement. */
const maximumRows = 1000;

/**
 * @throws, from its functions, TrialkeepError `fields.query_unsupported` for what cannot be done on sealed values, and as `FieldTable`
 */
export function sqlTable<T extends object = Record<string, unknown>>(
  database: SqlDatabase,
  table: FieldTable,
): SqlTable<T> {
  const name = identifier(table.name);
  return {
    async insert(rows) {
      const sealed = await table.seal(rows as readonly Row[]);
      const columns = commonColumns(sealed);
      const names = joinSql(columns.map(identifier), ', ');
      const parametersPerRow = Math.max(1, columns.length) + table.boundColumns.length;
      const rowsAtOnce = Math.max(1, Math.min(maximumRows, Math.floor(maximumParameters / parametersPerRow)));
      for (let start = 0; start < sealed.length; start += rowsAtOnce) {
        const some = sealed.slice(start, start + rowsAtOnce);
        const values = some.map((row) => {
          return sql`(${joinSql(
            columns.map((column) => sql`${row[column] as SqlValue}`),
            ', ',
          )})`;
        });
        const returning = checkedSpelling(database, table, some);
        const statement = sql`insert into ${name} (${names}) values ${joinSql(values, ', ')}${returning}`;
        await run(database, statement).catch((error: unknown) => {
          throw spellingFailure(error, table.name) ?? error;
        });
      }
    },
    async update(key, changes) {
      const names = table.boundColumns;
      for (const column of names) {
        if (Object.hasOwn(changes, column)) {
          throw sdkError('fields.query_unsupported', {
            detail: `${column} is what the row's values are bound to`,
          });
        }
        if ((key as Row)[column] === undefined) {
          throw sdkError('fields.row_invalid', { detail: `${table.name} without ${column}` });
        }
      }
      const bound = Object.fromEntries(names.map((column) => [column, (key as Row)[column]]));
      const [sealed = {}] = await table.seal([{ ...changes, ...bound }]);
      const assignments = Object.entries(sealed)
        .filter(([column, value]) => !names.includes(column) && value !== undefined)
        .map(([column, value]) => sql`${identifier(column)} = ${value as SqlValue}`);
      if (assignments.length === 0) throw sdkError('fields.row_invalid', { detail: 'nothing is changed' });
      const exact = names.flatMap((column) => {
        const text = spelling(bound[column]);
        return text === undefined ? [] : [sql`${textOf(database, column)} = ${text}`];
      });
      const where = joinSql([await conditionsOf(table, key), ...exact], ' and ');
      const { changed } = await run(
        database,
        sql`update ${name} set ${joinSql(assignments, ', ')} where ${where}`,
      );
      return changed > 0;
    },
    async find(conditions, { orderBy, limit, signal } = {}) {
      const where = await conditionsOf(table, conditions);
      const order = orderBy === undefined ? sql`` : sql` order by ${orderOf(table, orderBy)}`;
      const bound = limit === undefined ? sql`` : sql` limit ${limit}`;
      const { rows } = await run(database, sql`select * from ${name} where ${where}${order}${bound}`);
      return table.open<T>(rows, { signal });
    },
    open: async (rows) => table.open<T>(rows),
  };
}

/** The columns of rows that go into one statement. @throws TrialkeepError `fields.row_invalid` where they differ */
function commonColumns(rows: readonly Row[]): string[] {
  const columns = Object.keys(rows[0] ?? {});
  for (const row of rows) {
    const isSame =
      Object.keys(row).length === columns.length && columns.every((column) => row[column] !== undefined);
    if (!isSame) throw sdkError('fields.row_invalid', { detail: 'rows of one insert have the same columns' });
  }
  return columns;
}

function textOf({ dialect }: SqlDatabase, column: string): Sql {
  return new Sql(exactText(dialect), [identifier(column)]);
}

/** What lets an insertion fail whose rows the database has under other ids or contexts than their values are bound to. */
function checkedSpelling(database: SqlDatabase, table: FieldTable, rows: readonly Row[]): Sql {
  const spellings = spellingsOf(table, rows);
  if (spellings === undefined) return sql``;
  const stored = joinSql(
    spellings.columns.map((column) => textOf(database, column)),
    ', ',
  );
  const texts = (row: readonly string[]): Sql =>
    joinSql(
      row.map((text) => sql`${text}`),
      ', ',
    );
  const given = joinSql(
    spellings.rows.map((row) => sql`(${texts(row)})`),
    ', ',
  );
  return sql` returning ${new Sql(failingUnless(database.dialect), [sql`(${stored}) in (values ${given})`])}`;
}

async function conditionsOf(table: FieldTable, conditions: Row): Promise<Sql> {
  const pieces: Sql[] = [sql`1 = 1`];
  for (const [name, value] of Object.entries(conditions)) {
    if (value === undefined) continue;
    const column = table.columns.get(name);
    refuseKept(table, name);
    if (value === null) {
      const plain = column?.plain;
      const isNull = sql`${identifier(name)} is null`;
      pieces.push(plain === undefined ? isNull : sql`${isNull} and ${identifier(plain.column)} is null`);
    } else if (column === undefined) {
      pieces.push(sql`${identifier(name)} = ${value as SqlValue}`);
    } else {
      const [match] = await table.match(name, [value as never]);
      const tokens = joinSql(
        (match?.tokens ?? []).map((token) => sql`${token}`),
        ', ',
      );
      const isMatch = sql`${identifier(match?.indexColumn ?? '')} in (${tokens})`;
      const plain = match?.plain;
      pieces.push(
        plain === undefined
          ? isMatch
          : sql`(${isMatch} or ${identifier(plain.column)} = ${plain.value as SqlValue})`,
      );
    }
  }
  return joinSql(pieces, ' and ');
}

function orderOf(table: FieldTable, orderBy: string): Sql {
  const column = orderBy.replace(/^-/, '');
  refuseKept(table, column);
  if (table.columns.has(column)) {
    throw sdkError('fields.query_unsupported', { detail: `${column} is sealed, and has no order` });
  }
  return orderBy === column ? identifier(column) : sql`${identifier(column)} desc`;
}

/** What the application reads or compares in these columns is not the value. */
function refuseKept(table: FieldTable, name: string): void {
  if (table.meaningOf(name) === 'kept') {
    throw sdkError('fields.query_unsupported', { detail: `${name} is kept by the description` });
  }
}
