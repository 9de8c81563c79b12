import {
  AndNode,
  DeleteQueryNode,
  InsertQueryNode,
  ParensNode,
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
  /** The table whose insertion is compared (`comparedInsert`). */
  readonly comparesFor?: string;
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
  if (rest.with !== undefined || rest.setOperations !== undefined) throw unsupported('with and union');
  const scope = new Scope(tables, from?.froms ?? [], joins);
  const result = new ResultPlan(selections, scope);
  scope.setSealedNames(result.sealedNames);
  scope.refuseIn([...frontModifiers, ...Object.values(rest).flat()]);
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
  const sealed = await sealedInsert(node, table, scope);
  const isCompared = sealed.returning !== node.returning;
  return { node: sealed, result, ...(isCompared && { comparesFor: table.name }) };
}

async function planUpdate(node: UpdateQueryNode, tables: DeclaredTables): Promise<QueryPlan> {
  const { table: target, from, joins = [], where, updates: _, returning, ...rest } = node;
  if (target === undefined || rest.with !== undefined) throw unsupported('with');
  const scope = new Scope(tables, [target, ...(from?.froms ?? [])], joins);
  scope.refuseIn(Object.values(rest).flat());
  const result = new ResultPlan(returning?.selections ?? [], scope);
  const [{ table } = { table: undefined }] = scope.sources;
  if (table === undefined) scope.refuseIn(node.updates ?? []);
  const { updates, exact } =
    table === undefined
      ? { updates: node.updates ?? [], exact: [] }
      : await sealedUpdates(node, table, scope);
  return { node: { ...node, updates, ...(await sealedWhere(where, scope, exact)) }, result };
}

async function planDelete(node: DeleteQueryNode, tables: DeclaredTables): Promise<QueryPlan> {
  const { from, using, joins = [], where, returning, ...rest } = node;
  if (rest.with !== undefined) throw unsupported('with');
  const scope = new Scope(tables, [...from.froms, ...(using?.tables ?? [])], joins);
  scope.refuseIn(Object.values(rest).flat());
  const result = new ResultPlan(returning?.selections ?? [], scope);
  return { node: { ...node, ...(await sealedWhere(where, scope)) }, result };
}

/** @param further what must hold beside it */
async function sealedWhere(
  where: WhereNode | undefined,
  scope: Scope,
  further: readonly OperationNode[] = [],
): Promise<{ where?: WhereNode }> {
  if (where === undefined) return {};
  const condition = await sealedCondition(where.where, scope);
  if (further.length === 0) return { where: WhereNode.create(condition) };
  const all = further.reduce((left, right) => AndNode.create(left, right), ParensNode.create(condition));
  return { where: WhereNode.create(all) };
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
