import { canonicalBytes, sha256Hex } from '../platform/canonical.ts';
import type { WholeReview } from './parts.ts';
import type { CommentRow } from './store.ts';

/** The record that is signed, as bytes, and the hash of them (docs/formats/audit-review.md). */
export interface ReviewRecord {
  readonly bytes: Uint8Array;
  readonly hash: string;
}

/** The record of a review as it is now; undefined before it was concluded by somebody who was shown something. */
export function recordOf(origin: string, whole: WholeReview): ReviewRecord | undefined {
  const { row, definition, comments, readings } = whole;
  const reading = readings.find(({ person }) => person === row.reviewer);
  if (reading === undefined || row.outcome === null || row.conclusion_hash === null) return undefined;
  const { filter, ...planned } = definition;
  const bytes = canonicalBytes({
    conclusion: { hash: row.conclusion_hash, outcome: row.outcome },
    counts: {
      marked: entriesOf(comments, () => true),
      matched: row.matched,
      own: entriesOf(comments, ({ own }) => own === 1),
      presented: reading.presented,
      questioned: entriesOf(comments, ({ mark }) => mark === 'questioned'),
    },
    filter,
    marks: comments.map(({ author, entry, hash, id, position, mark, own, made_at }) => ({
      author,
      entry,
      hash,
      id,
      index: position,
      mark,
      own: own === 1,
      time: made_at,
    })),
    openedAt: row.opened_at,
    origin,
    plan: { ...planned, author: row.author, id: row.plan, version: row.plan_version },
    range: {
      checkpoint: row.checkpoint,
      first: Math.max(row.first, reading.first),
      from: row.from_size,
      root: row.root,
      to: row.to_size,
    },
    review: row.id,
    reviewer: row.reviewer,
    sample: { perMille: row.per_mille },
    v: 1,
  });
  return { bytes, hash: sha256Hex(bytes) };
}

function entriesOf(comments: readonly CommentRow[], has: (comment: CommentRow) => boolean): number {
  return new Set(comments.filter(has).map(({ position }) => position)).size;
}
