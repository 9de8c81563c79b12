import type { Operations, Output } from '@trialkeep/contract';
import type { TransparencyLog } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import { definitionOf } from './definition.ts';
import type { WholeReview } from './parts.ts';
import { recordOf } from './record.ts';
import type { ReviewRow, Unsealed } from './store.ts';
import { openText } from './texts.ts';

export type ReviewView = Output<Operations['reviews.open']>;
type Shown = Output<Operations['reviews.show']>;

/** A review that nobody closed in time is overdue, whether or not the ledger says so yet. */
export function reviewView(row: Unsealed<ReviewRow>, time: number): ReviewView {
  const { name, risk } = definitionOf(row);
  return {
    id: row.id,
    plan: row.plan,
    planVersion: row.plan_version,
    name,
    risk,
    state: row.state === 'open' && time >= row.due_at ? 'overdue' : row.state,
    from: row.from_size,
    to: row.to_size,
    root: row.root,
    matched: row.matched,
    perMille: row.per_mille,
    openedAt: row.opened_at,
    openedBy: row.opened_by,
    dueAt: row.due_at,
    overdueAt: row.overdue_at,
    reviewer: row.reviewer,
    outcome: row.outcome,
    hash: row.hash,
    signature: row.signature,
    closedAt: row.closed_at,
  };
}

/** A review with the record that is, or was, signed. */
export async function shownView(
  hierarchy: Hierarchy,
  log: TransparencyLog,
  whole: WholeReview,
  time: number,
): Promise<Shown> {
  const { row } = whole;
  const made = row.record === null ? recordOf(log.origin, whole) : { bytes: row.record, hash: row.hash };
  return {
    review: reviewView(row, time),
    record: made === undefined ? null : Buffer.from(made.bytes).toString('utf8'),
    hash: made?.hash ?? null,
    conclusion: (await conclusionOf(hierarchy, log, row)) ?? null,
    readings: whole.readings.map(({ person, presented, below }) => ({
      person,
      presented,
      below,
      isComplete: below >= row.to_size,
    })),
  };
}

async function conclusionOf(
  hierarchy: Hierarchy,
  log: TransparencyLog,
  { id, conclusion, conclusion_hash: hash }: ReviewRow,
): Promise<string | undefined> {
  if (conclusion === null || hash === null) return undefined;
  return openText(hierarchy, log, { of: id, ciphertext: conclusion, hash });
}
