import type { OperationId } from '@trialkeep/contract';
import { cursorBehind, placeOfCursor } from '../platform/cursor.ts';
import type { Context, Implementations } from '../platform/implementation.ts';
import { close, conclude } from './closing.ts';
import { comment, listComments } from './comments.ts';
import { openByHand } from './opening.ts';
import { namedReview, rowKeyOf } from './parts.ts';
import type { ReviewParts } from './parts.ts';
import { changePlan, endPlan, listPlans, plan } from './plans.ts';
import { present } from './reading.ts';
import * as store from './store.ts';
import { reviewView, shownView } from './views.ts';

export type ReviewOperationId = Extract<OperationId, `reviews.${string}`>;

const reviewsPerPage = 100;

/** Binds the operations on audit-trail reviews to their behaviour. */
export function reviewImplementations(parts: ReviewParts): Implementations<ReviewOperationId> {
  return {
    'reviews.plan': (context) => plan(parts, context),
    'reviews.change-plan': (context) => changePlan(parts, context),
    'reviews.end-plan': (context) => endPlan(parts, context),
    'reviews.plans': (context) => listPlans(parts, context),
    'reviews.open': (context) => openByHand(parts, context),
    'reviews.list': (context) => list(parts, context),
    'reviews.show': (context) => show(parts, context),
    'reviews.entries': (context) => present(parts, context),
    'reviews.comment': (context) => comment(parts, context),
    'reviews.comments': (context) => listComments(parts, context),
    'reviews.conclude': (context) => conclude(parts, context),
    'reviews.close': (context) => close(parts, context),
  };
}

async function list(parts: ReviewParts, context: Context<'reviews.list'>) {
  const { input, caller, facts, now } = context;
  const rowKey = await rowKeyOf(parts, context);
  const { state, plan: of } = input;
  const listing = { state, plan: of, time: now, after: placeOfCursor(input.cursor) };
  const rows = await facts.read((snapshot) =>
    store.pageOfReviews(snapshot, rowKey, caller.log.id, listing, reviewsPerPage),
  );
  return {
    reviews: rows.map((row) => reviewView(row, now)),
    next: cursorBehind(rows, reviewsPerPage, ({ opened_at, id }) => ({ time: opened_at, id })),
  };
}

async function show(parts: ReviewParts, context: Context<'reviews.show'>) {
  const { whole } = await namedReview(parts, context);
  return shownView(parts.hierarchy, parts.ledger.log(context.caller.log.id), whole, context.now);
}
