import { sdkError } from '../errors.ts';
import type { TrialkeepError } from '../errors.ts';
import type { SqlDatabase } from './sql.ts';
import type { FieldTable, Row } from './table.ts';

/**
 * That the database has a row's id and context letter by letter as the values of the row are bound to them. It may not: a column of
 * type uuid writes lower case, one of integers drops zeros in front, and a collation or `citext` finds what is spelt otherwise.
 */

type Dialect = SqlDatabase['dialect'];

/** The collations that compare bytes. */
const bytewise: Readonly<Record<Dialect, string>> = { postgres: 'C', sqlite: 'binary' };

/** SQL in front of a column and behind it: its text, compared by bytes. */
export function exactText(dialect: Dialect): readonly [string, string] {
  return ['cast(', ` as text) collate "${bytewise[dialect]}"`];
}

/** The text that the database has for a value; undefined where it has the value exactly or not at all: bytes, booleans, moments, null. */
export function spelling(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'bigint' ? value.toString() : undefined;
}

/** What the rows of an insertion are bound to, as text: columns, and for each row its values in them. */
export interface Spellings {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Undefined where nothing is to be compared. */
export function spellingsOf(table: FieldTable, rows: readonly Row[]): Spellings | undefined {
  const columns = table.boundColumns.filter((name) => rows.every((row) => spelling(row[name]) !== undefined));
  if (columns.length === 0 || rows.length === 0) return undefined;
  return { columns, rows: rows.map((row) => columns.map((name) => spelling(row[name]) ?? '')) };
}

const otherwise = 'trialkeep: the row id or context is spelt otherwise by the database';

/** SQL around a condition on a row that was inserted: where it does not hold, the whole statement fails, and nothing is inserted. */
export function failingUnless(dialect: Dialect): readonly [string, string] {
  // What is read as an integer, or as a path, is no such thing.
  return dialect === 'postgres'
    ? ['cast(case when ', ` then '0' else '${otherwise}' end as integer)`]
    : [`json_extract('0', case when `, ` then '$' else '${otherwise}' end)`];
}

/** What it means that a statement failed. */
export function spellingFailure(error: unknown, table: string): TrialkeepError | undefined {
  if (!(error instanceof Error && error.message.includes(otherwise))) return undefined;
  const detail = `the database of ${table} spells the row id or the context otherwise: give them as it does`;
  return sdkError('fields.row_invalid', { detail, cause: error });
}
