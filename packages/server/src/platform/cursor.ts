import { sql } from 'kysely';
import type { RawBuilder, SqlBool } from 'kysely';
import { OperationError } from './errors.ts';

/** Where a row stands in a list that is in the order of a time (ms), and of ids where times are the same. */
export interface Place {
  readonly time: number;
  readonly id: string;
}

/**
 * Where a page begins: behind the place that the cursor names, or, without one, at the start of the list. A cursor is the time in
 * base 36, and the id.
 *
 * @throws OperationError `request.invalid` for what is no such cursor
 */
export function placeOfCursor(cursor: string | undefined): Place {
  if (cursor === undefined) return { time: -1, id: '' };
  const [, text, id] = /^([0-9a-z]{1,11})_([0-9a-f-]{36})$/.exec(cursor) ?? [];
  const time = text === undefined ? NaN : parseInt(text, 36);
  if (id === undefined || !Number.isSafeInteger(time) || time.toString(36) !== text) {
    throw new OperationError('request.invalid', { field: '/cursor' });
  }
  return { time, id };
}

/** Holds for the rows behind a place, where the column has their times and `id` their ids. */
export function isBehind(timeColumn: string, { time, id }: Place): RawBuilder<SqlBool> {
  return sql<SqlBool>`(${sql.ref(timeColumn)}, id) > (${time}, ${id})`;
}

/** The cursor of the page that follows one of these rows; null behind one that is not full. */
export function cursorBehind<Row>(
  rows: readonly Row[],
  perPage: number,
  placeOf: (row: Row) => Place,
): string | null {
  const last = rows.at(-1);
  if (last === undefined || rows.length < perPage) return null;
  const { time, id } = placeOf(last);
  return `${time.toString(36)}_${id}`;
}
