import {
  ColumnNode,
  ColumnUpdateNode,
  DefaultInsertValueNode,
  PrimitiveValueListNode,
  ReferenceNode,
  SelectAllNode,
  ValueListNode,
  ValueNode,
  ValuesNode,
} from 'kysely';
import type { InsertQueryNode, OperationNode, UpdateQueryNode } from 'kysely';
import { sdkError } from '../../errors.ts';
import type { FieldTable, Row } from '../table.ts';
import { pinnedColumns } from './condition.ts';
import { comparedInsert, exactConditions } from './spelling.ts';
import { unsupported } from './scope.ts';
import type { Scope } from './scope.ts';

/**
 * The insertion with sealed values and their tokens.
 *
 * @throws TrialkeepError `fields.query_unsupported` for values that are not given plainly; as `FieldTable.seal`
 */
export async function sealedInsert(
  node: InsertQueryNode,
  table: FieldTable,
  scope: Scope,
): Promise<InsertQueryNode> {
  const { columns = [], values, onConflict, onDuplicateKey, top, output, endModifiers, explain } = node;
  if (values !== undefined && !ValuesNode.is(values)) throw unsupported('rows of another query');
  scope.refuseIn([onConflict, onDuplicateKey, top, output, endModifiers, explain]);
  for (const update of [...(onConflict?.updates ?? []), ...(onDuplicateKey?.updates ?? [])]) {
    const name = updatedColumn(update);
    if (table.meaningOf(name) !== undefined) throw unsupported(`${name} does not change`);
  }
  if (values === undefined) return node;
  if (columns.length === 0) {
    if (values.values.some((item) => item.values.length > 0)) throw unsupported('values without columns');
    return node;
  }
  const names = columns.map(({ column }) => column.name);
  const concerned = new Set(names.filter((name) => table.meaningOf(name) !== undefined));
  const given = values.values.map((item) => rowNodes(names, item));
  for (const row of given) {
    for (const [name, cell] of row) {
      if (concerned.has(name) && !ValueNode.is(cell) && !DefaultInsertValueNode.is(cell)) {
        throw unsupported(`${name} from an expression`);
      }
      scope.refuseIn(ValueNode.is(cell) ? undefined : cell);
    }
  }
  const plain = given.map((row) => plainValues(row, concerned));
  const sealed = await table.seal(plain);
  const added = new Set(sealed.flatMap((row) => Object.keys(row).filter((name) => row[name] !== undefined)));
  for (const name of added) concerned.add(name);
  const written = [...new Set([...names, ...added])];
  const sent: InsertQueryNode = {
    ...node,
    columns: written.map((name) => ColumnNode.create(name)),
    values: ValuesNode.create(
      given.map((row, i) =>
        ValueListNode.create(written.map((name) => cellOf(name, row, sealed[i] ?? {}, concerned))),
      ),
    ),
  };
  return comparedInsert(sent, table, plain, scope.dialect);
}

function rowNodes(
  names: readonly string[],
  item: ValueListNode | PrimitiveValueListNode,
): Map<string, OperationNode> {
  const cells = PrimitiveValueListNode.is(item)
    ? item.values.map((value) => ValueNode.create(value))
    : item.values;
  return new Map(names.map((name, i) => [name, cells[i] ?? DefaultInsertValueNode.create()]));
}

function plainValues(row: ReadonlyMap<string, OperationNode>, concerned: ReadonlySet<string>): Row {
  const values = [...row].filter(([name, cell]) => concerned.has(name) && ValueNode.is(cell));
  return Object.fromEntries(values.map(([name, cell]) => [name, (cell as ValueNode).value]));
}

function cellOf(
  name: string,
  row: ReadonlyMap<string, OperationNode>,
  sealed: Row,
  concerned: ReadonlySet<string>,
): OperationNode {
  const value = concerned.has(name) ? sealed[name] : undefined;
  if (value !== undefined) return ValueNode.create(value);
  return row.get(name) ?? DefaultInsertValueNode.create();
}

export interface SealedUpdates {
  readonly updates: readonly ColumnUpdateNode[];
  /** What must hold beside the condition: that the row has its id and context in the letters that the values are bound to. */
  readonly exact: readonly OperationNode[];
}

/**
 * The update with sealed values and their tokens. Where it sets a sealed column it must be of one row, whose id and context its condition
 * says: a value is bound to them.
 *
 * @throws TrialkeepError `fields.query_unsupported`, `fields.row_invalid`; as `FieldTable.seal`
 */
export async function sealedUpdates(
  node: UpdateQueryNode,
  table: FieldTable,
  scope: Scope,
): Promise<SealedUpdates> {
  const others: ColumnUpdateNode[] = [];
  const changes: Record<string, unknown> = {};
  for (const update of node.updates ?? []) {
    const name = updatedColumn(update);
    const meaning = table.meaningOf(name);
    if (meaning === undefined) {
      scope.refuseIn(update.value);
      others.push(update);
    } else if (meaning === 'sealed' && ValueNode.is(update.value)) {
      changes[name] = update.value.value;
    } else {
      throw unsupported(meaning === 'sealed' ? `${name} from an expression` : `${name} does not change`);
    }
  }
  if (Object.keys(changes).length === 0) return { updates: others, exact: [] };
  if (scope.sources.length > 1) throw unsupported('sealed columns from several tables');
  const pinned = pinnedColumns(node.where?.where, scope);
  const bound: Record<string, unknown> = {};
  for (const column of table.boundColumns) {
    if (!pinned.has(column)) {
      const detail = `the condition must say ${column} = a value, which sealed values are bound to`;
      throw sdkError('fields.row_invalid', { detail });
    }
    bound[column] = pinned.get(column);
  }
  const [sealed = {}] = await table.seal([{ ...changes, ...bound }]);
  const own = Object.entries(sealed).filter(([name]) => !Object.hasOwn(bound, name));
  const sealing = own.map(([name, value]) => {
    return ColumnUpdateNode.create(ColumnNode.create(name), ValueNode.create(value));
  });
  return { updates: [...others, ...sealing], exact: exactConditions(scope.dialect, bound) };
}

function updatedColumn({ column }: ColumnUpdateNode): string {
  if (ColumnNode.is(column)) return column.column.name;
  if (ReferenceNode.is(column) && !SelectAllNode.is(column.column)) return column.column.column.name;
  throw unsupported('a column that is not named plainly');
}
