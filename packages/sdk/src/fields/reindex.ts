import { indexTokenRange } from '@trialkeep/crypto';
import type { FieldValue, IndexedType } from '@trialkeep/crypto';
import { sdkError } from '../errors.ts';
import { forEach, workThrough } from './passes.ts';
import type { PassOptions, PassResult, PendingWork } from './passes.ts';
import { identifier, joinSql, run, sql } from './sql.ts';
import type { SqlDatabase, SqlValue } from './sql.ts';
import type { FieldTable, Row } from './table.ts';

/**
 * Gives each sealed value of a column its token in the version that is written, while applications go on writing: after a new version
 * was declared beside the old one, or an index for a column that had none. Can be stopped and taken up again at any time; a row that is written
 * meanwhile keeps what its writer gave it.
 *
 * @throws TrialkeepError `fields.query_unsupported` for a column without an index; as `FieldTable`
 */
export async function reindex(
  database: SqlDatabase,
  table: FieldTable,
  columnName: string,
  options: PassOptions = {},
): Promise<PassResult> {
  const column = table.columns.get(columnName);
  if (column?.index === undefined) {
    throw sdkError('fields.query_unsupported', { detail: `${columnName} has no blind index` });
  }
  const { signal } = options;
  const [name, id] = [identifier(table.name), identifier(table.rowId)];
  const [sealed, token] = [identifier(columnName), identifier(column.index.column)];
  const { from, below } = indexTokenRange(column.index.writes);
  const isSealed = column.plain && sql` and ${identifier(column.plain.column)} is null`;
  const waiting = sql`${sealed} is not null${isSealed ?? sql``}
    and (${token} is null or ${token} < ${from} or ${token} >= ${below})`;
  const read = [table.rowId, ...table.contextColumns, columnName];
  const work: PendingWork = {
    async count() {
      const { rows } = await run(database, sql`select count(*) as waiting from ${name} where ${waiting}`);
      return Number(rows[0]?.['waiting']);
    },
    async read(after, limit) {
      const beyond = after === undefined ? sql`` : sql` and ${id} > ${after}`;
      const selected = joinSql([...new Set(read)].map(identifier), ', ');
      const { rows } = await run(
        database,
        sql`select ${selected} from ${name} where ${waiting}${beyond} order by ${id} limit ${limit}`,
      );
      return rows;
    },
    idOf: (row) => row[table.rowId] as SqlValue,
    async handle(rows) {
      const inClear = column.plain === undefined ? {} : { [column.plain.column]: null };
      const opened = await table.open<Row>(
        rows.map((row) => ({ ...row, ...inClear })),
        { signal },
      );
      const values = opened.map((row) => row[columnName] as FieldValue<IndexedType>);
      const tokens = await table.tokens(columnName, values, { signal });
      await forEach([...rows.entries()], async ([i, row]) => {
        await run(
          database,
          sql`update ${name} set ${token} = ${tokens[i] ?? null}
            where ${id} = ${row[table.rowId] as SqlValue} and ${sealed} = ${row[columnName] as SqlValue}`,
        );
      });
      return rows.length;
    },
  };
  return workThrough(work, options);
}
