import { encodeContext } from '@trialkeep/crypto';
import type { EncryptionContext, FieldType, FieldValue, IndexedType, RowId } from '@trialkeep/crypto';
import { sdkError } from '../errors.ts';
import { checkedColumns } from './description.ts';
import type { Column, TableDescription } from './description.ts';
import type { Fields } from './fields.ts';

export type Row = Readonly<Record<string, unknown>>;

/** By what an indexed column is found. */
export interface IndexMatch {
  readonly indexColumn: string;
  /** One for each live version; a row with the value has one of them. */
  readonly tokens: readonly Buffer[];
  /** While the column is being migrated: rows not sealed yet have the value here. */
  readonly plain: { readonly column: string; readonly value: unknown } | undefined;
}

interface Calling {
  readonly signal?: AbortSignal | undefined;
}

/** Groups of rows of one context are worked on at the same time, as far as the key source answers at the same time. */
const groupsAtOnce = 8;

/**
 * The table of a description, with what seals and opens its columns.
 *
 * @throws TrialkeepError `fields.declaration_invalid`, `fields.index_refused`
 */
export function fieldTable(fields: Fields, description: TableDescription): FieldTable {
  return new FieldTable(fields, description);
}

/**
 * A table some of whose columns are sealed: turns rows as the application has them into rows as the database has them, and back.
 */
export class FieldTable {
  readonly name: string;
  readonly rowId: string;
  /** What `context` reads. */
  readonly contextColumns: readonly string[];
  /** The row id and those, each once: what values are bound to. */
  readonly boundColumns: readonly string[];
  /** By name. */
  readonly columns: ReadonlyMap<string, Column>;
  readonly #fields: Fields;
  readonly #context: TableDescription['context'];
  readonly #meanings: ReadonlyMap<string, 'sealed' | 'kept' | 'bound'>;
  readonly #lowerNames: ReadonlySet<string>;

  constructor(fields: Fields, description: TableDescription) {
    const columns = checkedColumns(description);
    this.#fields = fields;
    this.#context = (row) => description.context(row);
    this.name = description.table;
    this.rowId = description.rowId;
    this.contextColumns = description.contextColumns ?? [];
    this.boundColumns = [...new Set([this.rowId, ...this.contextColumns])];
    this.columns = new Map(columns.map((column) => [column.name, column]));
    const kept = columns.flatMap(({ index, plain }) => [index?.column ?? [], plain?.column ?? []].flat());
    this.#meanings = new Map([
      ...this.boundColumns.map((name) => [name, 'bound'] as const),
      ...columns.map(({ name }) => [name, 'sealed'] as const),
      ...kept.map((name) => [name, 'kept'] as const),
    ]);
    this.#lowerNames = new Set([...this.#meanings.keys()].map((name) => name.toLowerCase()));
  }

  /**
   * Rows as the database has them: of the sealed columns that a row has, the value sealed, its token, and null where it was in clear; other
   * columns as they are. A row can be a part of one, but has its id and the columns of its context. What is `undefined` counts as not there.
   *
   * @throws TrialkeepError `fields.value_invalid`, `fields.row_invalid`; as `Fields`
   */
  async seal(rows: readonly Row[], options?: Calling): Promise<Record<string, unknown>[]> {
    const written = rows.map((row): Record<string, unknown> => ({ ...row }));
    for (const row of written) this.#refuseKeptColumns(row);
    const cells = [...this.columns.values()]
      .filter(({ plain }) => plain?.writes !== 'plain')
      .flatMap((column) => this.#cells(written, column));
    for (const column of this.columns.values()) {
      const holders = written.filter((row) => row[column.name] !== undefined);
      const values = holders.map((row) => row[column.name] as FieldValue | null);
      await this.#writeTokens(column, holders, values, options);
      if (column.plain?.writes === 'plain') {
        for (const [i, row] of holders.entries())
          row[column.plain.column] = plainOf(column, values[i] ?? null);
        for (const row of holders) row[column.name] = null;
      } else if (column.plain !== undefined) {
        for (const row of holders) row[column.plain.column] = null;
      }
    }
    await this.#byContext(cells, options, async (context, group) => {
      const items = group.map(({ column: { field, type, padTo }, rowId, content }) => {
        return { field, type, padTo, rowId, value: content as FieldValue };
      });
      const sealed = await this.#fields.sealMany(context, items, options);
      for (const [i, { row, column }] of group.entries()) row[column.name] = sealed[i];
    });
    return written;
  }

  /**
   * Rows as the application has them: sealed columns opened, columns of tokens and of what is in clear left out, others as they are. A row
   * that has a sealed column has its id, the columns of its context, and the column in clear while there is one.
   *
   * @throws TrialkeepError `fields.damaged`, `fields.not_sealed`, `fields.type_mismatch`, `fields.row_invalid`; as `Fields`
   */
  async open<T extends object = Record<string, unknown>>(
    rows: readonly object[],
    options?: Calling,
  ): Promise<T[]> {
    const read = rows.map((row): Record<string, unknown> => ({ ...row }));
    const cells = [...this.columns.values()].flatMap((column) => {
      const inClear = read.filter((row) => this.#isInClear(row, column));
      for (const row of inClear) row[column.name] = undefined;
      const sealed = this.#cells(read, column);
      for (const row of inClear) row[column.name] = valueOf(column, row[column.plain?.column ?? '']);
      return sealed;
    });
    await this.#byContext(cells, options, async (context, group) => {
      const items = group.map(({ column: { field, type }, rowId, content }) => {
        return { field, type, rowId, sealed: content as Uint8Array };
      });
      const values = await this.#fields.openMany(context, items, options);
      for (const [i, { row, column }] of group.entries()) row[column.name] = values[i];
    });
    for (const { index, plain } of this.columns.values()) {
      for (const row of read) {
        if (index !== undefined) delete row[index.column];
        if (plain !== undefined) delete row[plain.column];
      }
    }
    return read as T[];
  }

  /**
   * By what rows with one of these values in an indexed column are found.
   *
   * @throws TrialkeepError `fields.query_unsupported` where the column has no index; `fields.value_invalid`; as `Fields`
   */
  async match(
    columnName: string,
    values: readonly FieldValue<IndexedType>[],
    options?: Calling,
  ): Promise<IndexMatch[]> {
    const column = this.#indexed(columnName);
    const { index, plain } = column;
    const tokens = await this.#fields.indexTokens(index, values, options);
    return values.map((value, i) => ({
      indexColumn: index.column,
      tokens: tokens[i] ?? [],
      plain: plain && { column: plain.column, value: plainOf(column, value) },
    }));
  }

  /**
   * The tokens of values in the version of the index that is written.
   *
   * @throws as `match`
   */
  async tokens(
    columnName: string,
    values: readonly FieldValue<IndexedType>[],
    options?: Calling,
  ): Promise<Buffer[]> {
    const { index } = this.#indexed(columnName);
    const tokens = await this.#fields.indexTokens({ ...index, versions: [index.writes] }, values, options);
    return tokens.map(([token = Buffer.alloc(0)]) => token);
  }

  /**
   * What a name says to the description: a sealed column, one that is kept for one (of tokens, or of what is still in clear), what values
   * are bound to, or nothing.
   *
   * @throws TrialkeepError `fields.row_invalid` for such a name in other letters, which SQLite takes for the same
   */
  meaningOf(name: string): 'sealed' | 'kept' | 'bound' | undefined {
    const meaning = this.#meanings.get(name);
    if (meaning === undefined && this.#lowerNames.has(name.toLowerCase())) {
      throw sdkError('fields.row_invalid', { detail: `${name} is declared in other letters` });
    }
    return meaning;
  }

  #indexed(columnName: string): Column & { readonly index: NonNullable<Column['index']> } {
    const column = this.columns.get(columnName);
    if (column?.index === undefined) {
      throw sdkError('fields.query_unsupported', { detail: `${columnName} has no blind index` });
    }
    return { ...column, index: column.index };
  }

  /**
   * What the values of a row are bound to.
   *
   * @throws TrialkeepError `fields.row_invalid` where a column of the context is missing
   */
  contextOf(row: Row): EncryptionContext {
    const read = Object.fromEntries(
      this.contextColumns.map((column) => [column, this.#required(row, column)]),
    );
    return this.#context(Object.freeze(read));
  }

  #required(row: Row, column: string): unknown {
    const value = row[column];
    if (value === undefined || value === null) {
      throw sdkError('fields.row_invalid', { detail: `${this.name} without ${column}` });
    }
    return value;
  }

  #refuseKeptColumns(row: Row): void {
    for (const name of Object.keys(row)) {
      if (row[name] !== undefined && this.meaningOf(name) === 'kept') {
        throw sdkError('fields.row_invalid', {
          detail: `${this.name}.${name} is written by the description`,
        });
      }
    }
  }

  async #writeTokens(
    column: Column,
    holders: readonly Record<string, unknown>[],
    values: readonly (FieldValue | null)[],
    options?: Calling,
  ): Promise<void> {
    const { index } = column;
    if (index === undefined) return;
    for (const row of holders) row[index.column] = null;
    if (column.plain?.writes === 'plain') return;
    const present = holders.filter((_, i) => values[i] !== null);
    const contents = values.filter((value) => value !== null) as FieldValue<IndexedType>[];
    const tokens = await this.tokens(column.name, contents, options);
    for (const [i, row] of present.entries()) row[index.column] = tokens[i];
  }

  #isInClear(row: Row, { name, plain }: Column): boolean {
    if (plain === undefined || row[name] === undefined) return false;
    if (row[plain.column] === undefined) {
      throw sdkError('fields.row_invalid', { detail: `${this.name}.${name} without ${plain.column}` });
    }
    return row[plain.column] !== null;
  }

  /** The cells of a column that hold something, each with what names its row. */
  #cells(rows: readonly Record<string, unknown>[], column: Column): Cell[] {
    return rows
      .filter((row) => row[column.name] !== undefined && row[column.name] !== null)
      .map((row) => ({
        row,
        column,
        rowId: this.#required(row, this.rowId) as RowId,
        content: row[column.name],
      }));
  }

  async #byContext(
    cells: readonly Cell[],
    options: Calling | undefined,
    work: (context: EncryptionContext, group: readonly Cell[]) => Promise<void>,
  ): Promise<void> {
    const contexts = new Map<Row, string>();
    const groups = new Map<string, { readonly context: EncryptionContext; readonly cells: Cell[] }>();
    for (const cell of cells) {
      const known = contexts.get(cell.row);
      const context = known === undefined ? this.contextOf(cell.row) : undefined;
      const id = known ?? encodeContext(context ?? {}).toString('latin1');
      contexts.set(cell.row, id);
      const group = groups.get(id);
      if (group === undefined) groups.set(id, { context: context ?? {}, cells: [cell] });
      else group.cells.push(cell);
    }
    const waiting = groups.values();
    const workers = Array.from({ length: Math.min(groupsAtOnce, groups.size) }, async () => {
      for (const { context, cells } of waiting) {
        options?.signal?.throwIfAborted();
        await work(context, cells);
      }
    });
    await Promise.all(workers);
  }
}

interface Cell {
  readonly row: Record<string, unknown>;
  readonly column: Column;
  readonly rowId: RowId;
  /** The value to seal, or the sealed bytes. */
  readonly content: unknown;
}

type Conversion = (value: unknown) => unknown;

/** How a value stands in a column in clear. */
export function plainOf({ type, plain }: Column, value: FieldValue | null): unknown {
  if (value === null) return null;
  const convert = plain?.toPlain as Conversion | undefined;
  if (convert !== undefined) return convert(value);
  return type === 'json' ? JSON.stringify(value) : value;
}

/** The value of what a driver gave for a column in clear. */
export function valueOf({ type, plain }: Column, stored: unknown): FieldValue | null {
  const convert = plain?.fromPlain as Conversion | undefined;
  if (convert !== undefined) return convert(stored) as FieldValue | null;
  const read = plainReaders[type];
  return (read === undefined ? stored : read(stored)) as FieldValue | null;
}

const plainReaders: Partial<Record<FieldType, Conversion>> = {
  json: (stored) => (typeof stored === 'string' ? (JSON.parse(stored) as unknown) : stored),
  date: (stored) => (typeof stored === 'string' || typeof stored === 'number' ? new Date(stored) : stored),
  // Drivers give decimals as text, and SQLite has no booleans.
  number: (stored) => (typeof stored === 'string' ? Number(stored) : stored),
  bytes: (stored) =>
    stored instanceof Uint8Array ? Buffer.from(stored.buffer, stored.byteOffset, stored.length) : stored,
  boolean: (stored) => (stored === 0 || stored === 1 ? stored === 1 : stored),
};
