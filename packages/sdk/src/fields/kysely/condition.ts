import {
  AndNode,
  BinaryOperationNode,
  OperatorNode,
  OrNode,
  ParensNode,
  PrimitiveValueListNode,
  ReferenceNode,
  ColumnNode,
  ValueListNode,
  ValueNode,
} from 'kysely';
import type { OperationNode } from 'kysely';
import type { FieldValue, IndexedType } from '@trialkeep/crypto';
import { unsupported } from './scope.ts';
import type { Declared, Scope } from './scope.ts';

/**
 * The condition as the database can test it: equality with a value becomes equality with its tokens. Everything else that is said
 * of a sealed column, but whether it is null, is refused.
 *
 * @throws TrialkeepError `fields.query_unsupported`; as `FieldTable.match`
 */
export async function sealedCondition(node: OperationNode, scope: Scope): Promise<OperationNode> {
  if (AndNode.is(node)) {
    return AndNode.create(await sealedCondition(node.left, scope), await sealedCondition(node.right, scope));
  }
  if (OrNode.is(node)) {
    return OrNode.create(await sealedCondition(node.left, scope), await sealedCondition(node.right, scope));
  }
  if (ParensNode.is(node)) return ParensNode.create(await sealedCondition(node.node, scope));
  if (BinaryOperationNode.is(node) && ReferenceNode.is(node.leftOperand)) {
    const declared = scope.resolve(node.leftOperand);
    if (declared?.kind === 'sealed') return compared(node, node.leftOperand, declared);
  }
  scope.refuseIn(node);
  return node;
}

async function compared(
  { operator, rightOperand }: BinaryOperationNode,
  reference: ReferenceNode,
  { source, column }: Declared,
): Promise<OperationNode> {
  const comparison = OperatorNode.is(operator) ? operator.operator : '';
  const values = valuesOf(rightOperand);
  if ((comparison === 'is' || comparison === 'is not') && values?.length === 1 && values[0] === null) {
    return comparedWithNull(comparison, reference, column.plain?.column);
  }
  if (!['=', '==', 'in'].includes(comparison) || values === undefined) {
    throw unsupported(`${column.name} ${comparison}`);
  }
  if (values.some((value) => value === null)) throw unsupported(`${column.name} ${comparison} null`);
  const matches = await source.table.match(column.name, values as FieldValue<IndexedType>[]);
  const tokens = matches.flatMap((match) => match.tokens);
  const byToken = isIn(sibling(reference, column.index?.column ?? ''), tokens);
  const inClear = matches.map(({ plain }) => plain).filter((plain) => plain !== undefined);
  const [first] = inClear;
  if (first === undefined) return byToken;
  const byValue = isIn(
    sibling(reference, first.column),
    inClear.map(({ value }) => value),
  );
  return ParensNode.create(OrNode.create(byToken, byValue));
}

/** Null is null in both columns while there are two. */
function comparedWithNull(
  comparison: 'is' | 'is not',
  reference: ReferenceNode,
  plainColumn: string | undefined,
): OperationNode {
  const test = (of: ReferenceNode) =>
    BinaryOperationNode.create(of, OperatorNode.create(comparison), ValueNode.createImmediate(null));
  if (plainColumn === undefined) return test(reference);
  const [sealed, plain] = [test(reference), test(sibling(reference, plainColumn))];
  return ParensNode.create(
    comparison === 'is' ? AndNode.create(sealed, plain) : OrNode.create(sealed, plain),
  );
}

function isIn(reference: ReferenceNode, values: readonly unknown[]): OperationNode {
  return BinaryOperationNode.create(
    reference,
    OperatorNode.create('in'),
    PrimitiveValueListNode.create(values),
  );
}

/** Another column of the same table. */
function sibling({ table }: ReferenceNode, column: string): ReferenceNode {
  return ReferenceNode.create(ColumnNode.create(column), table);
}

/** The values that something is compared with; undefined where they are no plain values. */
function valuesOf(node: OperationNode): readonly unknown[] | undefined {
  if (ValueNode.is(node)) return [node.value];
  if (PrimitiveValueListNode.is(node)) return node.values;
  if (ValueListNode.is(node) && node.values.every(ValueNode.is)) return node.values.map(({ value }) => value);
  return undefined;
}

/** The columns that a condition holds to one value each, as far as all of it must be true. */
export function pinnedColumns(
  node: OperationNode | undefined,
  scope: Scope,
  pinned = new Map<string, unknown>(),
) {
  if (node === undefined) return pinned;
  if (ParensNode.is(node)) return pinnedColumns(node.node, scope, pinned);
  if (AndNode.is(node)) {
    pinnedColumns(node.left, scope, pinned);
    return pinnedColumns(node.right, scope, pinned);
  }
  if (!BinaryOperationNode.is(node) || !ReferenceNode.is(node.leftOperand)) return pinned;
  const { operator, leftOperand, rightOperand } = node;
  const isEquality = OperatorNode.is(operator) && ['=', '=='].includes(operator.operator);
  const place = scope.place(leftOperand);
  if (isEquality && ValueNode.is(rightOperand) && place !== undefined) {
    pinned.set(place.column, rightOperand.value);
  }
  return pinned;
}
