import { entriesAt, isMet, parseEntry, payloadKey, positionOf } from '../audit/index.ts';
import type { TransparencyLog } from '../audit/index.ts';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { namedReview, openReviewOf, stillOpen } from './parts.ts';
import type { ReviewParts, WholeReview } from './parts.ts';
import * as store from './store.ts';
import { openText, sealText } from './texts.ts';

/** Marks of one review. */
export const maxMarks = 500;
const commentsPerPage = 100;

/** Says something about entries of a review: the same about each, and each with a text that is sealed for itself. */
export async function comment(
  parts: ReviewParts,
  context: Context<'reviews.comment'>,
): Promise<Apply<'reviews.comment'>> {
  const { caller, input, payload } = context;
  const { whole, rowKey } = await openReviewOf(parts, context);
  const { mark, followUp, own = false } = input;
  if ((mark === 'questioned') !== (followUp !== undefined)) {
    throw new OperationError('review.follow_up', { field: '/followUp' });
  }
  const log = parts.ledger.log(caller.log.id);
  await log.integrate();
  const rows: store.Unsealed<store.CommentRow>[] = [];
  for (const [i, entry] of input.entries.entries()) {
    const field = `/entries/${i}`;
    const found = await entryOfReview(parts.database, log, whole, entry);
    if (found === undefined) throw new OperationError('review.entry_foreign', { field });
    const isOwn = found.actor === caller.actor;
    if (isOwn && !own) throw new OperationError('review.own_entry', { field });
    if (own && !isOwn) throw new OperationError('request.invalid', { field: '/own' });
    const id = newId();
    const key = await payloadKey(parts.hierarchy, log, found.subject);
    const { ciphertext, hash } = sealText(key, log.origin, { of: id, text: input.comment, followUp });
    rows.push({
      id,
      log: log.id,
      review: whole.row.id,
      position: found.position,
      entry,
      subject: found.subject ?? null,
      author: caller.actor,
      mark,
      own: isOwn ? 1 : 0,
      document: ciphertext,
      hash,
      made_at: 0,
    });
  }
  const comments = rows.map(({ id, position, entry, hash }) => ({ id, index: position, entry, hash }));
  payload['comments'] = comments;
  return async (tx, time) => {
    const present = await stillOpen(tx, rowKey, whole.row);
    if (present.comments.length + rows.length > maxMarks) throw new OperationError('review.too_many');
    for (const row of rows) await store.insertComment(tx, rowKey, { ...row, made_at: time });
    return { comments };
  };
}

/** The entry with that id, where the review is about it: in its range, and meeting its filter. */
async function entryOfReview(
  database: Database,
  log: TransparencyLog,
  { row, definition }: WholeReview,
  entry: string,
) {
  return database.read(async (snapshot) => {
    const position = await positionOf(snapshot, log.id, entry);
    if (position === undefined || position < row.first || position >= row.to_size) return undefined;
    const [found] = await entriesAt(snapshot, log.id, [position]);
    const parsed = found && parseEntry(found.bytes);
    if (parsed === undefined || !isMet(definition.filter, parsed)) return undefined;
    return { position, actor: parsed.actor, subject: parsed.subject };
  });
}

export async function listComments(parts: ReviewParts, context: Context<'reviews.comments'>) {
  const { caller, input } = context;
  const { whole } = await namedReview(parts, context);
  const log = parts.ledger.log(caller.log.id);
  const start = input.cursor === undefined ? 0 : placeOf(input.cursor);
  const rows = whole.comments.slice(start, start + commentsPerPage);
  const comments = [];
  for (const row of rows) {
    const { id: of, document: ciphertext, hash, subject } = row;
    const document = await openText(parts.hierarchy, log, { of, ciphertext, hash, subject });
    comments.push({
      id: row.id,
      index: row.position,
      entry: row.entry,
      author: row.author,
      mark: row.mark,
      own: row.own === 1,
      hash,
      document: document ?? null,
      madeAt: row.made_at,
    });
  }
  const end = start + rows.length;
  return { comments, next: end < whole.comments.length ? String(end) : null };
}

/** A cursor is how many comments come before the page. */
function placeOf(cursor: string): number {
  const place = /^\d{1,6}$/.test(cursor) ? Number(cursor) : NaN;
  if (String(place) !== cursor) throw new OperationError('request.invalid', { field: '/cursor' });
  return place;
}
