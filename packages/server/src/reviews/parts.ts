import type { KeyObject } from 'node:crypto';
import type { OperationId } from '@trialkeep/contract';
import type { Ledger } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Context } from '../platform/implementation.ts';
import { definitionOf, isReviewer } from './definition.ts';
import type { PlanDefinition } from './definition.ts';
import * as store from './store.ts';
import type { CommentRow, PlanRow, ReadingRow, ReviewRow } from './store.ts';

/** What the operations on reviews need. */
export interface ReviewParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  /** Has due jobs looked for at once. */
  wake(): void;
}

/** A review with everything that belongs to it. */
export interface WholeReview {
  readonly row: ReviewRow;
  readonly definition: PlanDefinition;
  readonly comments: readonly CommentRow[];
  readonly readings: readonly ReadingRow[];
}

export function rowKeyOf({ hierarchy }: ReviewParts, { caller }: Context<OperationId>): Promise<KeyObject> {
  return hierarchy.rowKey(caller.log.tenant);
}

export async function wholeReview(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<WholeReview | undefined> {
  const row = await store.findReview(tx, rowKey, log, id);
  if (row === undefined) return undefined;
  const comments = await store.listComments(tx, rowKey, id);
  const readings = await store.listReadings(tx, rowKey, id);
  return { row, definition: definitionOf(row), comments, readings };
}

/** The review that a request names, said on its record. @throws OperationError `review.unknown` */
export async function namedReview(
  parts: ReviewParts,
  context: Context<OperationId>,
): Promise<{ whole: WholeReview; rowKey: KeyObject }> {
  const { caller, facts, record } = context;
  const { review } = context.input as { review: string };
  record.review = review;
  const rowKey = await rowKeyOf(parts, context);
  const whole = await facts.read((snapshot) => wholeReview(snapshot, rowKey, caller.log.id, review));
  if (whole === undefined) throw new OperationError('review.unknown', { field: '/review' });
  record.plan = whole.row.plan;
  return { whole, rowKey };
}

/** As {@link namedReview}, for somebody who works on it. @throws OperationError `review.closed`, `review.not_reviewer` */
export async function openReviewOf(
  parts: ReviewParts,
  context: Context<OperationId>,
): Promise<{ whole: WholeReview; rowKey: KeyObject }> {
  const found = await namedReview(parts, context);
  if (found.whole.row.state !== 'open') throw new OperationError('review.closed', { field: '/review' });
  if (!isReviewer(found.whole.definition, context.caller)) throw new OperationError('review.not_reviewer');
  return found;
}

/** The review again, inside the transaction that changes it; changes of one log come one after another. */
export async function stillOpen(
  tx: Tx,
  rowKey: KeyObject,
  { log, id }: Pick<ReviewRow, 'log' | 'id'>,
): Promise<WholeReview> {
  const whole = await wholeReview(tx, rowKey, log, id);
  if (whole?.row.state !== 'open') throw new OperationError('review.closed', { field: '/review' });
  return whole;
}

/** The plan that a request names, said on its record. @throws OperationError `review.plan_unknown`, `review.plan_ended` */
export async function activePlan(
  parts: ReviewParts,
  context: Context<OperationId>,
): Promise<{ plan: PlanRow; rowKey: KeyObject }> {
  const { caller, facts, record } = context;
  const { plan: id } = context.input as { plan: string };
  record.plan = id;
  const rowKey = await rowKeyOf(parts, context);
  const plan = await facts.read((snapshot) => store.findPlan(snapshot, rowKey, caller.log.id, id));
  return { plan: assertActive(plan), rowKey };
}

/** @throws OperationError `review.plan_unknown`, `review.plan_ended` */
export function assertActive(plan: PlanRow | undefined): PlanRow {
  if (plan === undefined) throw new OperationError('review.plan_unknown', { field: '/plan' });
  if (plan.state !== 'active') throw new OperationError('review.plan_ended', { field: '/plan' });
  return plan;
}
