import type { KeyObject } from 'node:crypto';
import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import { isBehind } from '../platform/cursor.ts';
import type { Place } from '../platform/cursor.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type ApprovalRow = Selectable<Tables['approval']>;
export type VoteRow = Selectable<Tables['approval_vote']>;
type Unsealed<Row> = Omit<Row, 'seal'>;

/** The states that end by themselves when the time is over. */
const expiring = ['pending', 'approved'] as const;

function approvalFields(row: Unsealed<ApprovalRow>): (string | number | null)[] {
  const { id, log, operation, hash, requester, requester_password, needed } = row;
  const { state, requested_at, expires_at, failure } = row;
  const asked = [id, log, operation, hash, requester, requester_password, needed];
  return [...asked, state, requested_at, expires_at, failure];
}

function voteFields(row: Unsealed<VoteRow>): (string | number)[] {
  return [row.approval, row.person, row.decision, row.voted_at, row.signature, row.password];
}

export async function insertApproval(tx: Tx, rowKey: KeyObject, row: Unsealed<ApprovalRow>): Promise<void> {
  const seal = sealRow(rowKey, 'approval', approvalFields(row));
  await tx
    .insertInto('approval')
    .values({ ...row, seal })
    .execute();
}

/** Moves a request on from the state that it was read in; false where somebody else was faster. */
export async function moveApproval(
  tx: Tx,
  rowKey: KeyObject,
  row: ApprovalRow,
  to: Pick<ApprovalRow, 'state' | 'failure'>,
): Promise<boolean> {
  const moved = await tx
    .updateTable('approval')
    .set({ ...to, seal: sealRow(rowKey, 'approval', approvalFields({ ...row, ...to })) })
    .where('id', '=', row.id)
    .where('state', '=', row.state)
    .returning('id')
    .executeTakeFirst();
  return moved !== undefined;
}

/** A request of the log, its seal checked. */
export async function findApproval(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<ApprovalRow | undefined> {
  const row = await tx
    .selectFrom('approval')
    .selectAll()
    .where('id', '=', id)
    .where('log', '=', log)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'approval', approvalFields(row), row.seal);
  return row;
}

/** Every request of the log. */
export async function listApprovals(tx: Tx, rowKey: KeyObject, log: number): Promise<ApprovalRow[]> {
  const rows = await tx.selectFrom('approval').selectAll().where('log', '=', log).execute();
  return checkedApprovals(rowKey, rows);
}

/** What a list of requests is asked for. */
export interface ApprovalFilter {
  readonly state: ApprovalRow['state'] | 'expired' | undefined;
  readonly time: number;
  /** The place of the last request of the page before. */
  readonly after: Place;
}

/** A page of a log's requests in the order of asking. Those that nobody ended in time are expired, whatever their rows say. */
export async function pageOfApprovals(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  { state, time, after }: ApprovalFilter,
  limit: number,
): Promise<ApprovalRow[]> {
  let query = tx
    .selectFrom('approval')
    .selectAll()
    .where('log', '=', log)
    .where(isBehind('requested_at', after))
    .orderBy('requested_at')
    .orderBy('id')
    .limit(limit);
  if (state === 'expired') query = query.where('state', 'in', expiring).where('expires_at', '<=', time);
  else if (state !== undefined) query = query.where('state', '=', state);
  if (state === 'pending' || state === 'approved') query = query.where('expires_at', '>', time);
  return checkedApprovals(rowKey, await query.execute());
}

/** Requests of one person that still wait. */
export async function countOpen(tx: Tx, log: number, requester: string, time: number): Promise<number> {
  const row = await tx
    .selectFrom('approval')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('log', '=', log)
    .where('requester', '=', requester)
    .where('state', 'in', expiring)
    .where('expires_at', '>', time)
    .executeTakeFirstOrThrow();
  return row.count;
}

/** Approved requests that nothing will carry out, because they have lost their job. */
export async function withoutJob(tx: Tx, jobPrefix: string): Promise<{ id: string; log: number }[]> {
  return tx
    .selectFrom('approval')
    .leftJoin('job', (join) => join.on('job.name', '=', sql<string>`${sql.lit(jobPrefix)} || approval.id`))
    .select(['approval.id', 'approval.log'])
    .where('approval.state', '=', 'approved')
    .where('job.name', 'is', null)
    .execute();
}

function checkedApprovals(rowKey: KeyObject, rows: ApprovalRow[]): ApprovalRow[] {
  for (const row of rows) checkRow(rowKey, 'approval', approvalFields(row), row.seal);
  return rows;
}

/** Writes a decision, in the place of one that does not count any more. */
export async function insertVote(tx: Tx, rowKey: KeyObject, row: Unsealed<VoteRow>): Promise<void> {
  const seal = sealRow(rowKey, 'approval_vote', voteFields(row));
  await tx
    .insertInto('approval_vote')
    .values({ ...row, seal })
    .onConflict((conflict) => conflict.columns(['approval', 'person']).doUpdateSet({ ...row, seal }))
    .execute();
}

/** Who has decided on these requests, in the order of deciding, the seals checked. */
export async function listVotes(tx: Tx, rowKey: KeyObject, approvals: readonly string[]): Promise<VoteRow[]> {
  if (approvals.length === 0) return [];
  const rows = await tx
    .selectFrom('approval_vote')
    .selectAll()
    .where('approval', 'in', [...approvals])
    .orderBy('voted_at')
    .orderBy('person')
    .execute();
  for (const row of rows) checkRow(rowKey, 'approval_vote', voteFields(row), row.seal);
  return rows;
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'approval', identity: ['id'], owner: 'log', forms: [approvalFields] },
  {
    table: 'approval_vote',
    identity: ['approval', 'person'],
    owner: { column: 'approval', table: 'approval' },
    forms: [voteFields],
  },
];
