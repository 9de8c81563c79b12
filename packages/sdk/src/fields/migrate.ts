import { encodeFieldValue } from '@trialkeep/crypto';
import type { FieldValue } from '@trialkeep/crypto';
import { sdkError, TrialkeepError } from '../errors.ts';
import type { Column, PlainDescription } from './description.ts';
import { InexactJson, requireExactJson } from './exact-json.ts';
import { forEach, workThrough } from './passes.ts';
import type { PassOptions, PassResult } from './passes.ts';
import { identifier, joinSql, run, sql } from './sql.ts';
import type { Sql, SqlDatabase, SqlValue } from './sql.ts';
import { plainOf, valueOf } from './table.ts';
import type { FieldTable, Row } from './table.ts';

type MigratedColumn = Column & { readonly plain: PlainDescription };

/**
 * Seals what a table holds in clear, for all columns of its description that have a `plain` column: while applications go on writing, in
 * batches, without transactions. A value goes three steps, each one statement that takes effect only while the row is as it was read:
 *
 * 1. sealed beside the clear value, where nothing is sealed yet;
 * 2. read back, opened, and compared with the clear value as it is by then;
 * 3. the clear value becomes null, where both are what was compared, and the database too finds them equal.
 *
 * Killed between any two of them, the next run goes on: until the third step the clear value is there, and counts. What somebody writes
 * between is theirs, and stays.
 *
 * @returns how many rows had their last clear value sealed
 * @throws TrialkeepError `fields.migration_mismatch` where a clear value cannot be sealed exactly; `fields.declaration_invalid` where a
 * column is still written in clear; the detail names the row; as `FieldTable`
 */
export async function migrateToSealed(
  database: SqlDatabase,
  table: FieldTable,
  options: PassOptions = {},
): Promise<PassResult> {
  const columns = [...table.columns.values()].filter(
    (column) => column.plain !== undefined,
  ) as MigratedColumn[];
  if (columns.length === 0 || columns.some(({ plain }) => plain.writes !== 'sealed')) {
    throw sdkError('fields.declaration_invalid', {
      detail: "a plain column with writes: 'sealed' is needed",
    });
  }
  const migration = new Migration(database, table, columns, options.signal);
  return workThrough(migration, options);
}

/** A value in clear, with what is sealed beside it. */
interface ClearCell {
  readonly row: Row;
  readonly column: MigratedColumn;
  readonly value: FieldValue;
  readonly sealed: Uint8Array | null;
  /** What the database compares to tell whether it is still this value. */
  readonly fingerprint: SqlValue;
}

class Migration {
  readonly #database: SqlDatabase;
  readonly #table: FieldTable;
  readonly #columns: readonly MigratedColumn[];
  readonly #signal: AbortSignal | undefined;
  readonly #name: Sql;
  readonly #id: Sql;
  readonly #waiting: Sql;

  constructor(
    database: SqlDatabase,
    table: FieldTable,
    columns: readonly MigratedColumn[],
    signal: AbortSignal | undefined,
  ) {
    this.#database = database;
    this.#table = table;
    this.#columns = columns;
    this.#signal = signal;
    this.#name = identifier(table.name);
    this.#id = identifier(table.rowId);
    const inClear = columns.map(({ plain }) => sql`${identifier(plain.column)} is not null`);
    this.#waiting = sql`(${joinSql(inClear, ' or ')})`;
  }

  async count(): Promise<number> {
    const statement = sql`select count(*) as waiting from ${this.#name} where ${this.#waiting}`;
    const { rows } = await run(this.#database, statement);
    return Number(rows[0]?.['waiting']);
  }

  idOf(row: Row): SqlValue {
    return row[this.#table.rowId] as SqlValue;
  }

  async read(after: SqlValue | undefined, limit: number): Promise<readonly Row[]> {
    const beyond = after === undefined ? sql`` : sql` and ${this.#id} > ${after}`;
    return this.#select(sql`${this.#waiting}${beyond} order by ${this.#id} limit ${limit}`);
  }

  async handle(rows: readonly Row[]): Promise<number> {
    await this.#sealClear(rows);
    const ids = rows.map((row) => sql`${this.idOf(row)}`);
    const written = await this.#select(sql`${this.#id} in (${joinSql(ids, ', ')}) and ${this.#waiting}`);
    return rows.length - (await this.#verifyAndClear(written));
  }

  /** Step 1. */
  async #sealClear(rows: readonly Row[]): Promise<void> {
    const cells = rows.flatMap((row) => this.#clearCells(row)).filter(({ sealed }) => sealed === null);
    const sealed = await this.#each(cells, async (some) => {
      return this.#table.seal(
        some.map(({ row, column, value }) => ({ ...this.#bound(row), [column.name]: value })),
        { signal: this.#signal },
      );
    });
    await forEach([...cells.entries()], async ([i, { row, column }]) => {
      const { index, name, plain } = column;
      const assignments = [name, ...(index === undefined ? [] : [index.column])].map((column) => {
        return sql`${identifier(column)} = ${sealed[i]?.[column] as SqlValue}`;
      });
      await run(
        this.#database,
        sql`update ${this.#name} set ${joinSql(assignments, ', ')} where ${this.#id} = ${this.idOf(row)}
          and ${identifier(name)} is null and ${identifier(plain.column)} is not null`,
      );
    });
  }

  /** Steps 2 and 3; answers how many rows still have a value in clear. */
  async #verifyAndClear(rows: readonly Row[]): Promise<number> {
    const cells = rows.flatMap((row) => this.#clearCells(row));
    const pairs = cells.filter(({ sealed }) => sealed !== null);
    const opened = await this.#each(pairs, async (some) => {
      const read = some.map(({ row, column, sealed }) => {
        return { ...this.#bound(row), [column.name]: sealed, [column.plain.column]: null };
      });
      return this.#table.open(read, { signal: this.#signal });
    });
    const left = new Set<Row>(cells.filter(({ sealed }) => sealed === null).map(({ row }) => row));
    await forEach([...pairs.entries()], async ([i, cell]) => {
      const value = opened[i]?.[cell.column.name] as FieldValue;
      const isCleared = isSameValue(cell, value) ? await this.#clear(cell, value) : await this.#unseal(cell);
      if (!isCleared) left.add(cell.row);
    });
    return left.size;
  }

  async #clear(cell: ClearCell, value: FieldValue): Promise<boolean> {
    const { row, column, sealed, fingerprint } = cell;
    const plain = identifier(column.plain.column);
    const { changed } = await run(
      this.#database,
      sql`update ${this.#name} set ${plain} = null where ${this.#id} = ${this.idOf(row)}
        and ${identifier(column.name)} = ${sealed} and ${this.#fingerprintOf(column)} = ${fingerprint}
        and ${this.#equals(column, value)}`,
    );
    if (changed > 0) return true;
    const [again] = await this.#select(sql`${this.#id} = ${this.idOf(row)}`);
    const now = again === undefined ? [] : this.#clearCells(again).filter((each) => each.column === column);
    const isUnchanged = now.some((each) => {
      return isSame(each.fingerprint, fingerprint) && isSame(each.sealed, sealed);
    });
    if (isUnchanged) throw this.#mismatch(cell, 'the database does not find them equal');
    return false;
  }

  /** What was sealed is of a value that somebody has changed in clear since: it is sealed anew in the next pass. */
  async #unseal({ row, column: { name, plain, index }, sealed }: ClearCell): Promise<false> {
    const assignments = [name, ...(index === undefined ? [] : [index.column])].map((column) => {
      return sql`${identifier(column)} = null`;
    });
    await run(
      this.#database,
      sql`update ${this.#name} set ${joinSql(assignments, ', ')} where ${this.#id} = ${this.idOf(row)}
        and ${identifier(name)} = ${sealed} and ${identifier(plain.column)} is not null`,
    );
    return false;
  }

  async #select(condition: Sql): Promise<readonly Row[]> {
    const names = [this.#table.rowId, ...this.#table.contextColumns];
    const columns = [
      ...new Set(names.concat(this.#columns.flatMap(({ name, plain }) => [name, plain.column]))),
    ].map(identifier);
    const fingerprints = this.#columns.map((column, i) => {
      return sql`${this.#fingerprintOf(column)} as ${identifier(fingerprintName(i))}`;
    });
    const selected = joinSql([...columns, ...fingerprints], ', ');
    const { rows } = await run(this.#database, sql`select ${selected} from ${this.#name} where ${condition}`);
    return rows;
  }

  /** Text tells values apart that a driver gives as one, such as times by their microseconds. */
  #fingerprintOf({ plain }: MigratedColumn): Sql {
    const column = identifier(plain.column);
    return this.#database.dialect === 'postgres' ? sql`${column}::text` : column;
  }

  /** What was opened is what lies in clear, by the database's own rules: nothing was lost on the way to here and back. */
  #equals(column: MigratedColumn, value: FieldValue): Sql {
    const plain = identifier(column.plain.column);
    const bound = plainOf(column, value) as SqlValue;
    if (column.type !== 'json') return sql`${plain} = ${bound}`;
    return this.#database.dialect === 'postgres'
      ? sql`${plain}::jsonb = ${bound}::jsonb`
      : sql`json_valid(${plain})`;
  }

  #clearCells(row: Row): ClearCell[] {
    return this.#columns.flatMap((column, i) => {
      const fingerprint = row[fingerprintName(i)] as SqlValue;
      if (fingerprint === null) return [];
      const cell = { row, column, sealed: row[column.name] as Uint8Array | null, fingerprint };
      let value: FieldValue | null;
      try {
        if (column.type === 'json' && column.plain.fromPlain === undefined) requireExactJson(fingerprint);
        value = valueOf(column, row[column.plain.column]);
      } catch (error) {
        const why = error instanceof InexactJson ? error.message : 'it cannot be read';
        throw this.#mismatch(cell, why, error);
      }
      // Such as a null within a column of JSON, which would be no value once it is sealed.
      if (value === null) throw this.#mismatch(cell, 'it is a null of its type');
      return [{ ...cell, value }];
    });
  }

  #bound(row: Row): Record<string, unknown> {
    const names = [this.#table.rowId, ...this.#table.contextColumns];
    return Object.fromEntries(names.map((name) => [name, row[name]]));
  }

  /** Works on all cells at once; where that fails, one by one, so that the error can name the row. */
  async #each<T>(
    cells: readonly ClearCell[],
    work: (some: readonly ClearCell[]) => Promise<T[]>,
  ): Promise<T[]> {
    try {
      return await work(cells);
    } catch (error) {
      if (!(error instanceof TrialkeepError && error.code.startsWith('fields.'))) throw error;
      for (const cell of cells) {
        await work([cell]).catch((cause: unknown) => {
          throw this.#mismatch(cell, (cause as Error).message, cause);
        });
      }
      throw error;
    }
  }

  #mismatch(
    { row, column }: Pick<ClearCell, 'row' | 'column'>,
    why: string,
    cause?: unknown,
  ): TrialkeepError {
    const id = this.idOf(row);
    const named = id instanceof Uint8Array ? Buffer.from(id).toString('hex') : String(id);
    const detail = `${this.#table.name}.${column.plain.column} of row ${named}: ${why}`;
    return sdkError('fields.migration_mismatch', { detail, cause });
  }
}

function fingerprintName(position: number): string {
  return `trialkeep_text_${position}`;
}

function isSameValue({ column: { type }, value }: ClearCell, opened: FieldValue): boolean {
  return isSame(encodeFieldValue(type, value), encodeFieldValue(type, opened));
}

function isSame(one: SqlValue, other: SqlValue): boolean {
  if (one instanceof Uint8Array && other instanceof Uint8Array) return Buffer.compare(one, other) === 0;
  return one === other;
}
