import type { TransparencyLog } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import type { Facts } from '../platform/facts.ts';
import { wholeReview } from './parts.ts';
import * as store from './store.ts';
import { openText } from './texts.ts';

/** A closed review, for the document that leaves for an inspector. */
export interface ClosedReview {
  /** Canonical JSON, as it was signed. */
  readonly record: string;
  /** Rationale, conclusion and comments, as far as they open. */
  readonly texts: string[];
  /** The places of the marked entries, ascending. */
  readonly places: number[];
  /** Milliseconds since 1970. */
  readonly openedAt: number;
  readonly closedAt: number;
}

/** @throws OperationError `review.unknown`, `review.not_closed` */
export async function closedReview(
  { hierarchy }: { readonly hierarchy: Hierarchy },
  log: TransparencyLog,
  asked: { readonly facts: Facts; readonly tenant: string | null; readonly review: string },
): Promise<ClosedReview> {
  const rowKey = await hierarchy.rowKey(asked.tenant);
  const found = await asked.facts.read(async (snapshot) => {
    const whole = await wholeReview(snapshot, rowKey, log.id, asked.review);
    return whole && { whole, plan: await store.findPlan(snapshot, rowKey, log.id, whole.row.plan) };
  });
  if (found === undefined) throw new OperationError('review.unknown', { field: '/review' });
  const { row, comments, definition } = found.whole;
  const { record, conclusion, conclusion_hash, closed_at } = row;
  if (record === null || conclusion === null || conclusion_hash === null || closed_at === null) {
    throw new OperationError('review.not_closed', { field: '/review' });
  }
  const stored = [
    { of: row.id, ciphertext: conclusion, hash: conclusion_hash },
    // Another rationale may have taken the place of the one that the review was opened under.
    ...(found.plan === undefined
      ? []
      : [{ of: row.plan, ciphertext: found.plan.rationale, hash: definition.rationale }]),
    ...comments.map(({ id, document, hash, subject }) => ({ of: id, ciphertext: document, hash, subject })),
  ];
  const texts: string[] = [];
  for (const each of stored) {
    const text = await openText(hierarchy, log, each);
    if (text !== undefined) texts.push(text);
  }
  return {
    record: Buffer.from(record).toString('utf8'),
    texts,
    places: [...new Set(comments.map(({ position }) => position))],
    openedAt: row.opened_at,
    closedAt: closed_at,
  };
}
