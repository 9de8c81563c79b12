import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type ApprovalRow = Selectable<Tables['approval']>;
export type VoteRow = Selectable<Tables['approval_vote']>;
type Unsealed<Row> = Omit<Row, 'seal'>;

function approvalFields(row: Unsealed<ApprovalRow>): (string | number | null)[] {
  const { id, log, operation, hash, requester, needed, state, requested_at, expires_at, failure } = row;
  return [id, log, operation, hash, requester, needed, state, requested_at, expires_at, failure];
}

function voteFields({
  approval,
  person,
  decision,
  voted_at,
  signature,
}: Unsealed<VoteRow>): (string | number)[] {
  return [approval, person, decision, voted_at, signature];
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

export async function listApprovals(tx: Tx, rowKey: KeyObject, log: number): Promise<ApprovalRow[]> {
  const rows = await tx
    .selectFrom('approval')
    .selectAll()
    .where('log', '=', log)
    .orderBy('requested_at')
    .orderBy('id')
    .execute();
  for (const row of rows) checkRow(rowKey, 'approval', approvalFields(row), row.seal);
  return rows;
}

export async function insertVote(tx: Tx, rowKey: KeyObject, row: Unsealed<VoteRow>): Promise<void> {
  const seal = sealRow(rowKey, 'approval_vote', voteFields(row));
  await tx
    .insertInto('approval_vote')
    .values({ ...row, seal })
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
