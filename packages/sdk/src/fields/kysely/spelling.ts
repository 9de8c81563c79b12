import { ColumnNode, RawNode, ReferenceNode, ReturningNode, SelectionNode, sql, ValueNode } from 'kysely';
import type { InsertQueryNode, OperationNode } from 'kysely';
import { exactText, failingUnless, spelling, spellingsOf } from '../spelling.ts';
import type { SqlDatabase } from '../sql.ts';
import type { FieldTable, Row } from '../table.ts';

type Dialect = SqlDatabase['dialect'];

/** A column of the result that is there for the database to compare, and not given to anybody. */
export const comparedColumn = 'trialkeep_spelling';

/** That these columns have these values letter by letter, as far as they are text or numbers. */
export function exactConditions(dialect: Dialect, bound: Row): OperationNode[] {
  const [before, behind] = exactText(dialect);
  return Object.entries(bound).flatMap(([column, value]) => {
    const text = spelling(value);
    if (text === undefined) return [];
    const reference = ReferenceNode.create(ColumnNode.create(column));
    return [RawNode.create([before, `${behind} = `, ''], [reference, ValueNode.create(text)])];
  });
}

/** The insertion, which fails where the database spells what values are bound to otherwise than these rows do. */
export function comparedInsert(
  node: InsertQueryNode,
  table: FieldTable,
  rows: readonly Row[],
  dialect: Dialect,
): InsertQueryNode {
  const spellings = spellingsOf(table, rows);
  if (spellings === undefined) return node;
  const [before, behind] = exactText(dialect).map((text) => sql.raw(text));
  const [start, end] = failingUnless(dialect).map((text) => sql.raw(text));
  const stored = sql.join(spellings.columns.map((column) => sql`${before}${sql.ref(column)}${behind}`));
  const given = sql.join(spellings.rows.map((texts) => sql`(${sql.join(texts)})`));
  const compared = sql`${start}(${stored}) in (values ${given})${end}`.as(comparedColumn);
  const selections = [
    ...(node.returning?.selections ?? []),
    SelectionNode.create(compared.toOperationNode()),
  ];
  return { ...node, returning: ReturningNode.create(selections) };
}
