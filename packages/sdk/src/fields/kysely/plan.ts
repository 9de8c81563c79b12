import {
  DeleteQueryNode,
  InsertQueryNode,
  SelectModifierNode,
  SelectQueryNode,
  UpdateQueryNode,
  WhereNode,
} from 'kysely';
import type { OperationNode, RootOperationNode } from 'kysely';
import { sealedCondition } from './condition.ts';
import { ResultPlan } from './result.ts';
import { DeclaredTables, Scope, unsupported } from './scope.ts';
import { sealedInsert, sealedUpdates } from './write.ts';

/** A query as it is sent, and what becomes of its rows. */
export interface QueryPlan {
  readonly node: RootOperationNode;
  readonly result: ResultPlan;
}

/** Statements about tables themselves, in which no value of a column stands unless a condition or a query does. */
const definitions: ReadonlySet<string> = new Set([
  'CreateTableNode',
  'AlterTableNode',
  'DropTableNode',
  'CreateIndexNode',
  'DropIndexNode',
]);

/**
 * How a query is done on sealed columns; undefined for one that has nothing to do with any.
 *
 * @throws TrialkeepError `fields.query_unsupported` for everything that is not understood; as `FieldTable`
 */
export async function planQuery(
  node: RootOperationNode,
  tables: DeclaredTables,
): Promise<QueryPlan | undefined> {
  if (!tables.areNamedIn(node)) return undefined;
  if (SelectQueryNode.is(node)) return planSelect(node, tables);
  if (InsertQueryNode.is(node)) return planInsert(node, tables);
  if (UpdateQueryNode.is(node)) return planUpdate(node, tables);
  if (DeleteQueryNode.is(node)) return planDelete(node, tables);
  if (definitions.has(node.kind) && !saysValues(node)) return undefined;
  throw unsupported(node.kind === 'RawNode' ? 'SQL of your own' : node.kind);
}

async function planSelect(node: SelectQueryNode, tables: DeclaredTables): Promise<QueryPlan> {
  const { from, joins = [], where, selections = [], frontModifiers = [], ...rest } = node;
  const scope = new Scope(tables, [...(from?.froms ?? []), ...joins.map(({ table }) => table)]);
  if (rest.with !== undefined || rest.setOperations !== undefined) throw unsupported('with and union');
  scope.refuseIn([...joins.map(({ on }) => on), ...Object.values(rest).flat()]);
  const result = new ResultPlan(selections, scope);
  const isDistinct = frontModifiers.some(
    (each) => SelectModifierNode.is(each) && each.modifier === 'Distinct',
  );
  if (result.givesSealed && isDistinct) throw unsupported('distinct: sealed values are all different');
  return { node: { ...node, ...(await sealedWhere(where, scope)) }, result };
}

async function planInsert(node: InsertQueryNode, tables: DeclaredTables): Promise<QueryPlan> {
  const scope = new Scope(tables, node.into === undefined ? [] : [node.into]);
  if (node.with !== undefined) throw unsupported('with');
  const [{ table } = { table: undefined }] = scope.sources;
  if (table === undefined) throw unsupported('a table with sealed columns within another query');
  const result = new ResultPlan(node.returning?.selections ?? [], scope);
  return { node: await sealedInsert(node, table, scope), result };
}

async function planUpdate(node: UpdateQueryNode, tables: DeclaredTables): Promise<QueryPlan> {
  const { table: target, from, joins = [], where, updates: _, returning, ...rest } = node;
  if (target === undefined || rest.with !== undefined) throw unsupported('with');
  const others = [...(from?.froms ?? []), ...joins.map(({ table }) => table)];
  const scope = new Scope(tables, [target, ...others]);
  scope.refuseIn([...joins.map(({ on }) => on), ...Object.values(rest).flat()]);
  const result = new ResultPlan(returning?.selections ?? [], scope);
  const [{ table } = { table: undefined }] = scope.sources;
  if (table === undefined) scope.refuseIn(node.updates ?? []);
  const updates = table === undefined ? (node.updates ?? []) : await sealedUpdates(node, table, scope);
  return { node: { ...node, updates, ...(await sealedWhere(where, scope)) }, result };
}

async function planDelete(node: DeleteQueryNode, tables: DeclaredTables): Promise<QueryPlan> {
  const { from, using, joins = [], where, returning, ...rest } = node;
  if (rest.with !== undefined) throw unsupported('with');
  const others = [...(using?.tables ?? []), ...joins.map(({ table }) => table)];
  const scope = new Scope(tables, [...from.froms, ...others]);
  scope.refuseIn([...joins.map(({ on }) => on), ...Object.values(rest).flat()]);
  const result = new ResultPlan(returning?.selections ?? [], scope);
  return { node: { ...node, ...(await sealedWhere(where, scope)) }, result };
}

async function sealedWhere(where: WhereNode | undefined, scope: Scope): Promise<{ where?: WhereNode }> {
  return where === undefined ? {} : { where: WhereNode.create(await sealedCondition(where.where, scope)) };
}

/** Whether a definition holds a query or a condition, such as that of a view or of a partial index. */
function saysValues(node: OperationNode): boolean {
  const kinds = new Set(['SelectQueryNode', 'WhereNode', 'RawNode', 'BinaryOperationNode']);
  const search = (each: OperationNode): boolean =>
    kinds.has(each.kind) ||
    Object.values(each)
      .flat()
      .some((child) => isNode(child) && search(child));
  return search(node);
}

function isNode(value: unknown): value is OperationNode {
  return typeof value === 'object' && value !== null && 'kind' in value;
}
