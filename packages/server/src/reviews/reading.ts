import { kindOfEntry } from '@trialkeep/contract';
import { entriesAt, findPlaces, parseEntry, progress } from '../audit/index.ts';
import type { TransparencyLog } from '../audit/index.ts';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import type { ReviewFilter } from '@trialkeep/contract';
import { openReviewOf, stillOpen } from './parts.ts';
import type { ReviewParts } from './parts.ts';
import { sampler } from './sample.ts';
import * as store from './store.ts';
import type { ReadingRow, ReviewRow, Unsealed } from './store.ts';

const defaultLimit = 100;
/** Matched places that are looked at together. */
const placesPerLook = 4000;

/** How far a person has come; at first, nowhere. */
export function readingOf(
  { id, first }: Pick<ReviewRow, 'id' | 'first'>,
  readings: readonly ReadingRow[],
  person: string,
): Unsealed<ReadingRow> {
  const known = readings.find((reading) => reading.person === person);
  return known ?? { review: id, person, below: first, presented: 0, first };
}

/**
 * Shows a page of the entries that have to be reviewed, and keeps that in the transaction of its entry: what was shown counts from
 * the first page on, without a leap.
 */
export async function present(
  parts: ReviewParts,
  context: Context<'reviews.entries'>,
): Promise<Apply<'reviews.entries'>> {
  const { caller, input, record } = context;
  const { whole, rowKey } = await openReviewOf(parts, context);
  const { row, definition, comments } = whole;
  const { limit = defaultLimit, from = row.from_size } = input;
  if (from > readingOf(row, whole.readings, caller.actor).below) {
    throw new OperationError('review.out_of_order', { field: '/from' });
  }
  const log = parts.ledger.log(caller.log.id);
  const archived = await assertIndexed(parts, log, row);
  record.size = row.to_size;
  const start = Math.max(from, row.first, archived);
  const { places, next } = await samplePage(parts.database, row, definition.filter, { start, limit });
  const found = await parts.database.read((snapshot) => entriesAt(snapshot, log.id, places));
  const entries = found.map(({ position, bytes }) => {
    const entry = parseEntry(bytes);
    return {
      index: position,
      kind: kindOfEntry(entry),
      entry: Buffer.from(bytes).toString('utf8'),
      own: entry.actor === caller.actor,
      marks: comments.filter((comment) => comment.position === position).length,
    };
  });
  return async (tx) => {
    const { row: present, readings } = await stillOpen(tx, rowKey, row);
    const before = readingOf(present, readings, caller.actor);
    const reading = {
      ...before,
      below: Math.max(before.below, next ?? row.to_size),
      presented: before.presented + places.filter((place) => place >= before.below).length,
      // What was archived before the person came to it was not shown.
      first: archived > before.below ? archived : before.first,
    };
    await store.saveReading(tx, rowKey, reading);
    return { entries, next, presented: reading.presented };
  };
}

/**
 * Brings the index to the end of the review where it can.
 *
 * @returns the first place of the log that is not archived
 * @throws OperationError `question.indexing`
 */
export async function assertIndexed(
  { database }: Pick<ReviewParts, 'database'>,
  log: TransparencyLog,
  { to_size }: Pick<ReviewRow, 'to_size'>,
): Promise<number> {
  await log.integrate();
  const { size, first } = await database.read((snapshot) => progress(snapshot, log.id));
  if (size < to_size) throw new OperationError('question.indexing');
  return first;
}

/** The first `limit` places of the sample from `start` on, and where the next page begins; null where there is none. */
export async function samplePage(
  database: Database,
  row: Pick<ReviewRow, 'id' | 'log' | 'root' | 'per_mille' | 'to_size'>,
  filter: ReviewFilter,
  { start, limit }: { readonly start: number; readonly limit: number },
): Promise<{ places: number[]; next: number | null }> {
  const isDrawn = sampler({ root: row.root, review: row.id, perMille: row.per_mille });
  const places: number[] = [];
  for (let first = start; first < row.to_size;) {
    const range = { first, end: row.to_size };
    const matched = await findPlaces((work) => database.read(work), row.log, filter, range, placesPerLook);
    for (const place of matched) {
      if (!isDrawn(place)) continue;
      if (places.length === limit) return { places, next: (places.at(-1) ?? start) + 1 };
      places.push(place);
    }
    if (matched.length < placesPerLook) break;
    first = (matched.at(-1) ?? first) + 1;
  }
  return { places, next: null };
}
