import { entriesAt, parseEntry } from '../audit/index.ts';
import { OperationError } from '../platform/errors.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { remove } from '../platform/jobs/index.ts';
import { overdueJob } from './opening.ts';
import { openReviewOf, stillOpen } from './parts.ts';
import type { ReviewParts, WholeReview } from './parts.ts';
import { assertIndexed, readingOf, samplePage } from './reading.ts';
import { recordOf } from './record.ts';
import * as store from './store.ts';
import type { ReviewRow } from './store.ts';
import { sealText } from './texts.ts';
import { reviewView, shownView } from './views.ts';

/** Looking at reviews is the work itself: its entries need no mark. */
const lookingOperations: ReadonlySet<string> = new Set([
  'reviews.comments',
  'reviews.entries',
  'reviews.list',
  'reviews.plans',
  'reviews.show',
]);
const placesPerLook = 500;

/** Says what came of a review; the record that follows is what can be signed. */
export async function conclude(
  parts: ReviewParts,
  context: Context<'reviews.conclude'>,
): Promise<Apply<'reviews.conclude'>> {
  const { caller, input, record, now } = context;
  const { whole, rowKey } = await openReviewOf(parts, context);
  const log = parts.ledger.log(caller.log.id);
  const written = sealText(log.payloadKey, log.origin, { of: whole.row.id, text: input.conclusion });
  const concluded = {
    reviewer: caller.actor,
    outcome: input.outcome,
    conclusion: written.ciphertext,
    conclusion_hash: written.hash,
  } as const;
  await assertReviewed(parts, { ...whole, row: { ...whole.row, ...concluded } }, caller.actor);
  // Made here, because nothing but the transaction may be awaited inside it; the comments are read again there.
  const shown = await shownView(parts.hierarchy, log, { ...whole, row: { ...whole.row, ...concluded } }, now);
  return async (tx, time) => {
    const present = await stillOpen(tx, rowKey, whole.row);
    const row: ReviewRow = { ...present.row, ...concluded };
    const asConcluded = { ...present, row };
    assertAgrees(asConcluded);
    await store.updateReview(tx, rowKey, row);
    const made = recordOf(log.origin, asConcluded);
    if (made === undefined) throw new OperationError('review.unread');
    record.hash = made.hash;
    const text = Buffer.from(made.bytes).toString('utf8');
    return { ...shown, review: reviewView(row, time), record: text, hash: made.hash };
  };
}

/** Signs the record, and nothing but the one whose hash the reviewer has seen. */
export async function close(
  parts: ReviewParts,
  context: Context<'reviews.close'>,
): Promise<Apply<'reviews.close'>> {
  const { caller, input, record, signature } = context;
  const { whole, rowKey } = await openReviewOf(parts, context);
  const log = parts.ledger.log(caller.log.id);
  const { hash } = signable(log.origin, whole, caller.actor, input.hash);
  await assertReviewed(parts, whole, caller.actor);
  record.hash = hash;
  return async (tx, time) => {
    const present = await stillOpen(tx, rowKey, whole.row);
    const { bytes } = signable(log.origin, present, caller.actor, hash);
    if (signature === undefined) throw new Error('The operation carries a signature.');
    const row: ReviewRow = {
      ...present.row,
      state: 'closed',
      record: bytes,
      hash,
      signature,
      closed_at: time,
    };
    await store.updateReview(tx, rowKey, row);
    await remove(tx, overdueJob(row).name);
    record.size = row.to_size;
    record.state = 'closed';
    return reviewView(row, time);
  };
}

/** @throws OperationError `review.not_concluded`, `review.changed` */
function signable(origin: string, whole: WholeReview, person: string, hash: string) {
  const made = whole.row.reviewer === person ? recordOf(origin, whole) : undefined;
  if (made === undefined) throw new OperationError('review.not_concluded');
  if (made.hash !== hash) throw new OperationError('review.changed', { field: '/hash' });
  return made;
}

/** @throws OperationError `review.contradicts` */
function assertAgrees({ row, comments }: WholeReview): void {
  if (row.outcome === 'no-findings' && comments.some(({ mark }) => mark === 'questioned')) {
    throw new OperationError('review.contradicts');
  }
}

/** Everything that has to hold before a person can stand for a review: docs/formats/audit-review.md. */
async function assertReviewed(parts: ReviewParts, whole: WholeReview, person: string): Promise<void> {
  const { row, readings } = whole;
  if (row.author === person || row.opened_by === person) throw new OperationError('review.own_plan');
  const reading = readingOf(row, readings, person);
  if (reading.below < row.to_size || !readings.some((each) => each.person === person)) {
    throw new OperationError('review.unread');
  }
  assertAgrees(whole);
  await assertIndependent(parts, whole, person, reading.first);
}

/** Refuses while an entry of the sample is of the person's own doing and bears no mark that counts. */
async function assertIndependent(
  parts: ReviewParts,
  { row, definition: { filter, risk }, comments }: WholeReview,
  person: string,
  first: number,
): Promise<void> {
  if (filter.actor !== undefined && filter.actor !== person) return;
  const log = parts.ledger.log(row.log);
  await assertIndexed(parts, log, row);
  const marked = new Set(
    comments
      .filter(({ author, own }) => author !== person || (own === 1 && risk !== 'high'))
      .map(({ position }) => position),
  );
  const ofPerson = { ...filter, actor: person };
  for (let start: number | null = Math.max(first, row.first); start !== null;) {
    const page: Awaited<ReturnType<typeof samplePage>> = await samplePage(parts.database, row, ofPerson, {
      start,
      limit: placesPerLook,
    });
    const places = page.places.filter((place) => !marked.has(place));
    const entries = await parts.database.read((snapshot) => entriesAt(snapshot, row.log, places));
    const missing = entries.find(({ bytes }) => !lookingOperations.has(parseEntry(bytes).operation));
    if (missing !== undefined) {
      throw new OperationError('review.own_entry', { detail: `The first is at place ${missing.position}.` });
    }
    start = page.next;
  }
}
