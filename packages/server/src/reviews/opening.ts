import { entryKinds } from '@trialkeep/contract';
import type { EntryKind } from '@trialkeep/contract';
import { changeOwn, countKinds, sealDraft } from '../audit/index.ts';
import type { Ledger, TransparencyLog } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { KeyObject } from 'node:crypto';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { FactsCache } from '../platform/facts.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { schedule } from '../platform/jobs/index.ts';
import type { JobHandler, NewJob } from '../platform/jobs/index.ts';
import { boundOf } from '../questions/index.ts';
import type { Bound } from '../questions/index.ts';
import { definitionOf } from './definition.ts';
import type { PlanDefinition } from './definition.ts';
import { activePlan } from './parts.ts';
import type { ReviewParts } from './parts.ts';
import { perMilleOf } from './sample.ts';
import * as store from './store.ts';
import type { PlanRow, ReviewRow, Unsealed } from './store.ts';
import { reviewView } from './views.ts';

export const dayMs = 86_400_000;

/** The tasks of the jobs that open reviews, and that notice the overdue ones. */
export const openReviewTask = 'reviews.open';
const overdueTask = 'reviews.overdue';

/** The opening of the next review of a plan; of each plan there is one. */
export function openJob({ id, log, due_at }: Pick<PlanRow, 'id' | 'log' | 'due_at'>): NewJob {
  const input = { plan: id, log, dueAt: due_at };
  return { name: `${openReviewTask}/${id}`, task: openReviewTask, input, dueAt: due_at };
}

export function overdueJob({ id, log, due_at }: Pick<ReviewRow, 'id' | 'log' | 'due_at'>): NewJob {
  return { name: `${overdueTask}/${id}`, task: overdueTask, input: { review: id, log }, dueAt: due_at };
}

/** What a review would cover, found out before the transaction that opens it. */
interface Prepared {
  readonly plan: PlanRow;
  readonly bound: Bound;
  readonly first: number;
  readonly matched: number;
}

/** Undefined where everything that a checkpoint covers is in the reviews of the plan already. */
async function prepare(
  parts: Pick<ReviewParts, 'database' | 'ledger'>,
  log: TransparencyLog,
  plan: PlanRow,
): Promise<Prepared | undefined> {
  const bound = await boundOf(parts, log);
  if (bound.size <= plan.covered) return undefined;
  const { filter } = definitionOf(plan);
  const first = Math.max(plan.covered, bound.first);
  const range = { first, end: bound.size };
  const counts = await countKinds((work) => parts.database.read(work), log.id, filter, range);
  const kinds: readonly EntryKind[] = filter.kinds ?? entryKinds;
  const matched = kinds.reduce((sum, kind) => sum + counts[kind], 0);
  return { plan, bound, first, matched };
}

/**
 * Opens the review in the transaction that moves the plan on, and in no other: whoever comes second finds the plan covered further. So
 * the ranges of a plan follow each other without gap or overlap, whichever nodes try.
 */
async function open(
  tx: Tx,
  rowKey: KeyObject,
  { plan: { id, log, covered, version }, bound, first, matched }: Prepared,
  at: {
    id: string;
    by: string | null;
    time: number;
    dueAt: (plan: PlanRow, definition: PlanDefinition) => number;
  },
): Promise<Unsealed<ReviewRow> | undefined> {
  const plan = await store.findPlan(tx, rowKey, log, id);
  if (plan?.state !== 'active' || plan.covered !== covered || plan.version !== version) return undefined;
  const definition = definitionOf(plan);
  const row: Unsealed<ReviewRow> = {
    id: at.id,
    log,
    plan: id,
    plan_version: version,
    author: plan.author,
    definition: plan.definition,
    from_size: covered,
    to_size: bound.size,
    first,
    root: bound.root,
    checkpoint: bound.checkpoint,
    matched,
    per_mille: perMilleOf(definition.risk, matched),
    opened_at: at.time,
    opened_by: at.by,
    due_at: at.time + definition.graceDays * dayMs,
    overdue_at: null,
    state: 'open',
    reviewer: null,
    outcome: null,
    conclusion: null,
    conclusion_hash: null,
    record: null,
    hash: null,
    signature: null,
    closed_at: null,
  };
  await store.insertReview(tx, rowKey, row);
  const moved = { ...plan, covered: bound.size, due_at: at.dueAt(plan, definition) };
  await store.updatePlan(tx, rowKey, moved);
  await schedule(tx, openJob(moved));
  await schedule(tx, overdueJob(row));
  return row;
}

/** The first date of the plan's rhythm that is still to come. */
export function nextDue(dueAt: number, intervalDays: number, time: number): number {
  const intervalMs = intervalDays * dayMs;
  return dueAt + Math.max(1, Math.ceil((time + 1 - dueAt) / intervalMs)) * intervalMs;
}

function saidOf(row: Unsealed<ReviewRow>): object {
  const { from_size, to_size, first, matched, per_mille, root, due_at } = row;
  return { from: from_size, to: to_size, first, matched, perMille: per_mille, root, dueAt: due_at };
}

/** Opens the next review by hand; the rhythm of the plan stays. */
export async function openByHand(
  parts: ReviewParts,
  context: Context<'reviews.open'>,
): Promise<Apply<'reviews.open'>> {
  const { caller, record, payload } = context;
  const log = parts.ledger.log(caller.log.id);
  const { plan, rowKey } = await activePlan(parts, context);
  const prepared = await prepare(parts, log, plan);
  if (prepared === undefined) throw new OperationError('review.nothing_new');
  const id = newId();
  record.review = id;
  record.size = prepared.bound.size;
  return async (tx, time) => {
    const row = await open(tx, rowKey, prepared, {
      id,
      by: caller.actor,
      time,
      dueAt: ({ due_at }) => due_at,
    });
    if (row === undefined) throw new OperationError('review.nothing_new');
    record.state = 'open';
    Object.assign(payload, saidOf(row));
    return reviewView(row, time);
  };
}

export interface HandlerParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
}

/** What opens reviews when they are due, and says which are overdue. */
export function reviewHandlers(parts: HandlerParts): Readonly<Record<string, JobHandler>> {
  return { [openReviewTask]: openReviewHandler(parts), [overdueTask]: overdueHandler(parts) };
}

/** Opens reviews when they are due. A job that means another date of its plan gives way to the one that the plan says. */
function openReviewHandler(parts: HandlerParts): JobHandler {
  return async (job) => {
    const { plan: id, log: logId, dueAt } = job.input;
    if (typeof id !== 'string' || typeof logId !== 'number') throw new TypeError('The job names no plan.');
    const log = await parts.ledger.open(logId);
    const rowKey = await parts.hierarchy.rowKey(log.tenant);
    const plan = await parts.database.read((snapshot) => store.findPlan(snapshot, rowKey, log.id, id));
    if (plan?.state !== 'active' || plan.due_at !== dueAt) {
      await parts.database.write(async (tx) => {
        const present = await store.findPlan(tx, rowKey, log.id, id);
        await job.complete(tx);
        if (present?.state === 'active') await schedule(tx, openJob(present));
      });
      return;
    }
    const prepared = await prepare(parts, log, plan);
    // Every plan has entries of its own behind its last review: the index is on its way to them.
    if (prepared === undefined) throw new OperationError('question.indexing');
    await changeOwn(parts.ledger, parts.facts, log.id, async (tx, time) => {
      await job.complete(tx);
      const at = {
        id: newId(),
        by: null,
        time,
        dueAt: ({ due_at }: PlanRow, { intervalDays }: PlanDefinition) => nextDue(due_at, intervalDays, time),
      };
      const row = await open(tx, rowKey, prepared, at);
      if (row === undefined) throw new Error(`Plan ${id} has changed since its review was prepared.`);
      const recorded = { plan: id, review: row.id, size: row.to_size, state: 'open', reason: 'policy' };
      const draft = { operation: openReviewTask, outcome: 'success', recorded } as const;
      return { result: undefined, draft: sealDraft(draft, log.origin, saidOf(row), log.payloadKey) };
    });
  };
}

/** Says once, in the ledger, that a review was not closed in time. */
function overdueHandler(parts: HandlerParts): JobHandler {
  return async (job) => {
    const { review: id, log: logId } = job.input;
    if (typeof id !== 'string' || typeof logId !== 'number') throw new TypeError('The job names no review.');
    const log = await parts.ledger.open(logId);
    const rowKey = await parts.hierarchy.rowKey(log.tenant);
    const known = await parts.database.read((snapshot) => store.findReview(snapshot, rowKey, log.id, id));
    if (known?.state !== 'open' || known.overdue_at !== null) {
      await parts.database.write((tx) => job.complete(tx));
      return;
    }
    await changeOwn(parts.ledger, parts.facts, log.id, async (tx, time) => {
      await job.complete(tx);
      const row = await store.findReview(tx, rowKey, log.id, id);
      if (row?.state !== 'open' || row.overdue_at !== null) {
        throw new Error(`Review ${id} has changed since it was found overdue.`);
      }
      await store.updateReview(tx, rowKey, { ...row, overdue_at: time });
      const recorded = { plan: row.plan, review: id, size: row.to_size, state: 'overdue' };
      const draft = { operation: overdueTask, outcome: 'success', recorded } as const;
      const payload = { openedAt: row.opened_at, dueAt: row.due_at };
      return { result: undefined, draft: sealDraft(draft, log.origin, payload, log.payloadKey) };
    });
  };
}
