import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import { sha256Hex } from '../platform/canonical.ts';
import { isBehind } from '../platform/cursor.ts';
import type { Place } from '../platform/cursor.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type PlanRow = Selectable<Tables['review_plan']>;
export type ReviewRow = Selectable<Tables['review']>;
export type CommentRow = Selectable<Tables['review_comment']>;
export type ReadingRow = Selectable<Tables['review_reading']>;
export type Unsealed<Row> = Omit<Row, 'seal'>;

/** What a reviewer reads first: the rows are of one log, and their seals are checked. */
type Fields = (string | number | null)[];

const hashed = (bytes: Uint8Array | null): string | null => bytes && sha256Hex(bytes);

function planFields(row: Unsealed<PlanRow>): Fields {
  const { id, log, name, definition, rationale, author, state, version, covered, due_at, created_at } = row;
  const said = [hashed(definition), hashed(rationale)];
  return [id, log, name, ...said, author, state, version, covered, due_at, created_at];
}

function reviewFields(row: Unsealed<ReviewRow>): Fields {
  const { id, log, plan, plan_version, author, from_size, to_size, first, root, checkpoint } = row;
  const { matched, per_mille, opened_at, opened_by, due_at, overdue_at, state, reviewer, outcome } = row;
  const opened = [id, log, plan, plan_version, author, hashed(row.definition), from_size, to_size, first];
  const range = [root, checkpoint, matched, per_mille, opened_at, opened_by, due_at, overdue_at];
  const concluded = [state, reviewer, outcome, hashed(row.conclusion), row.conclusion_hash];
  return [...opened, ...range, ...concluded, hashed(row.record), row.hash, row.signature, row.closed_at];
}

function commentFields(row: Unsealed<CommentRow>): Fields {
  const { id, log, review, position, entry, subject, author, mark, own, document, hash, made_at } = row;
  return [id, log, review, position, entry, subject, author, mark, own, hashed(document), hash, made_at];
}

function readingFields({ review, person, below, presented, first }: Unsealed<ReadingRow>): Fields {
  return [review, person, below, presented, first];
}

export async function insertPlan(tx: Tx, rowKey: KeyObject, row: Unsealed<PlanRow>): Promise<void> {
  const seal = sealRow(rowKey, 'review_plan', planFields(row));
  await tx
    .insertInto('review_plan')
    .values({ ...row, seal })
    .execute();
}

/** Writes a plan that was read in this transaction. */
export async function updatePlan(tx: Tx, rowKey: KeyObject, row: Unsealed<PlanRow>): Promise<void> {
  const seal = sealRow(rowKey, 'review_plan', planFields(row));
  await tx
    .updateTable('review_plan')
    .set({ ...row, seal })
    .where('id', '=', row.id)
    .execute();
}

/** Every plan of the log, in the order of their making. */
export async function listPlans(tx: Tx, rowKey: KeyObject, log: number): Promise<PlanRow[]> {
  const rows = await tx
    .selectFrom('review_plan')
    .selectAll()
    .where('log', '=', log)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  for (const row of rows) checkRow(rowKey, 'review_plan', planFields(row), row.seal);
  return rows;
}

export async function findPlan(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<PlanRow | undefined> {
  const row = await tx
    .selectFrom('review_plan')
    .selectAll()
    .where('log', '=', log)
    .where('id', '=', id)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'review_plan', planFields(row), row.seal);
  return row;
}

/** The number of committed entries, with those of this transaction. */
export async function headSize(tx: Tx, log: number): Promise<number> {
  const row = await tx.selectFrom('head').select('size').where('log', '=', log).executeTakeFirstOrThrow();
  return row.size;
}

export async function insertReview(tx: Tx, rowKey: KeyObject, row: Unsealed<ReviewRow>): Promise<void> {
  const seal = sealRow(rowKey, 'review', reviewFields(row));
  await tx
    .insertInto('review')
    .values({ ...row, seal })
    .execute();
}

/** Writes a review that was read in this transaction. */
export async function updateReview(tx: Tx, rowKey: KeyObject, row: Unsealed<ReviewRow>): Promise<void> {
  const seal = sealRow(rowKey, 'review', reviewFields(row));
  await tx
    .updateTable('review')
    .set({ ...row, seal })
    .where('id', '=', row.id)
    .execute();
}

export async function findReview(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<ReviewRow | undefined> {
  const row = await tx
    .selectFrom('review')
    .selectAll()
    .where('log', '=', log)
    .where('id', '=', id)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'review', reviewFields(row), row.seal);
  return row;
}

/**
 * Every review of the log in the state that its row says, to be held against the ledger. Seals are not looked at: an altered review is
 * refused when somebody reads it, and keeps nobody from using keys.
 */
export async function listReviewStates(
  tx: Tx,
  log: number,
): Promise<{ id: string; state: 'open' | 'overdue' | 'closed' }[]> {
  const rows = await tx
    .selectFrom('review')
    .select(['id', 'state', 'overdue_at'])
    .where('log', '=', log)
    .execute();
  return rows.map(({ id, state, overdue_at }) => ({
    id,
    state: state === 'open' && overdue_at !== null ? 'overdue' : state,
  }));
}

/** The signed record as it lies there, whatever became of it: its hash says whether it is the one that was signed. */
export async function recordBytes(tx: Tx, log: number, id: string): Promise<Uint8Array | undefined> {
  const row = await tx
    .selectFrom('review')
    .select('record')
    .where('log', '=', log)
    .where('id', '=', id)
    .executeTakeFirst();
  return row?.record ?? undefined;
}

/** What a list of reviews is asked for. */
export interface ReviewListing {
  readonly state: 'open' | 'overdue' | 'closed' | undefined;
  readonly plan: string | undefined;
  readonly time: number;
  readonly after: Place;
}

/** A page of a log's reviews in the order of opening. */
export async function pageOfReviews(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  { state, plan, time, after }: ReviewListing,
  limit: number,
): Promise<ReviewRow[]> {
  let query = tx
    .selectFrom('review')
    .selectAll()
    .where('log', '=', log)
    .where(isBehind('opened_at', after))
    .orderBy('opened_at')
    .orderBy('id')
    .limit(limit);
  if (plan !== undefined) query = query.where('plan', '=', plan);
  if (state !== undefined) query = query.where('state', '=', state === 'closed' ? 'closed' : 'open');
  if (state === 'open') query = query.where('due_at', '>', time);
  if (state === 'overdue') query = query.where('due_at', '<=', time);
  const rows = await query.execute();
  for (const row of rows) checkRow(rowKey, 'review', reviewFields(row), row.seal);
  return rows;
}

export async function insertComment(tx: Tx, rowKey: KeyObject, row: Unsealed<CommentRow>): Promise<void> {
  const seal = sealRow(rowKey, 'review_comment', commentFields(row));
  await tx
    .insertInto('review_comment')
    .values({ ...row, seal })
    .execute();
}

/** Every mark of a review, in the order of the record. */
export async function listComments(tx: Tx, rowKey: KeyObject, review: string): Promise<CommentRow[]> {
  const rows = await tx
    .selectFrom('review_comment')
    .selectAll()
    .where('review', '=', review)
    .orderBy('position')
    .orderBy('made_at')
    .orderBy('id')
    .execute();
  for (const row of rows) checkRow(rowKey, 'review_comment', commentFields(row), row.seal);
  return rows;
}

export async function saveReading(tx: Tx, rowKey: KeyObject, row: Unsealed<ReadingRow>): Promise<void> {
  const sealed = { ...row, seal: sealRow(rowKey, 'review_reading', readingFields(row)) };
  await tx
    .insertInto('review_reading')
    .values(sealed)
    .onConflict((conflict) => conflict.columns(['review', 'person']).doUpdateSet(sealed))
    .execute();
}

/** How far each person has come with a review. */
export async function listReadings(tx: Tx, rowKey: KeyObject, review: string): Promise<ReadingRow[]> {
  const rows = await tx
    .selectFrom('review_reading')
    .selectAll()
    .where('review', '=', review)
    .orderBy('person')
    .execute();
  for (const row of rows) checkRow(rowKey, 'review_reading', readingFields(row), row.seal);
  return rows;
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'review_plan', identity: ['id'], owner: 'log', forms: [planFields] },
  { table: 'review', identity: ['id'], owner: 'log', forms: [reviewFields] },
  { table: 'review_comment', identity: ['id'], owner: 'log', forms: [commentFields] },
  {
    table: 'review_reading',
    identity: ['review', 'person'],
    owner: { column: 'review', table: 'review' },
    forms: [readingFields],
  },
];
