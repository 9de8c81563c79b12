import type { KeyObject } from 'node:crypto';
import type { OperationId, Operations, Output } from '@trialkeep/contract';
import { findPerson, peopleWho } from '../access/index.ts';
import type { Ledger } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import { cursorBehind, placeOfCursor } from '../platform/cursor.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Apply, Caller, Context, Implementations } from '../platform/implementation.ts';
import { ensure, schedule } from '../platform/jobs/index.ts';
import { moveApproval, countedApprovals, findApproval, isDecisionOf, requestBytes } from './approvals.ts';
import type { Decider, FoundApproval } from './approvals.ts';
import * as store from './store.ts';

export type ApprovalOperationId = Extract<OperationId, `approvals.${string}`>;
type ApprovalView = Output<Operations['approvals.show']>['approval'];

/** The job that carries out what has been approved; its input is `{ approval, log }`. */
export const executionTask = 'approvals.execute';

const approvalsPerPage = 100;

export interface ApprovalParts {
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  /** Has due jobs looked for at once. */
  wake(): void;
}

/** Binds the operations on requests for approval to their behaviour. */
export function approvalImplementations(parts: ApprovalParts): Implementations<ApprovalOperationId> {
  return {
    'approvals.list': (context) => list(parts, context),
    'approvals.show': (context) => show(parts, context),
    'approvals.approve': (context) => decide(parts, context, 'approve'),
    'approvals.deny': (context) => decide(parts, context, 'deny'),
    'approvals.cancel': (context) => cancel(parts, context),
  };
}

async function list({ hierarchy }: ApprovalParts, { input, caller, facts, now }: Context<'approvals.list'>) {
  const rowKey = await hierarchy.rowKey(caller.log.tenant);
  const filter = { state: input.state, time: now, after: placeOfCursor(input.cursor) };
  const { rows, votes } = await facts.read(async (snapshot) => {
    const rows = await store.pageOfApprovals(snapshot, rowKey, caller.log.id, filter, approvalsPerPage);
    const ids = rows.map(({ id }) => id);
    return { rows, votes: await store.listVotes(snapshot, rowKey, ids) };
  });
  return {
    approvals: rows.map((row) =>
      view({ row, votes: votes.filter(({ approval }) => approval === row.id) }, now),
    ),
    next: cursorBehind(rows, approvalsPerPage, ({ requested_at, id }) => ({ time: requested_at, id })),
  };
}

async function show(parts: ApprovalParts, context: Context<'approvals.show'>) {
  const { found } = await read(parts, context);
  const { payloadKey } = parts.ledger.log(context.caller.log.id);
  const document = Buffer.from(requestBytes(payloadKey, context.caller.log, found.row)).toString('utf8');
  return { approval: view(found, context.now), document };
}

/** One person's decision: checked before a signature is asked for, and again in the transaction that holds it. */
async function decide(
  parts: ApprovalParts,
  context: Context<'approvals.approve' | 'approvals.deny'>,
  decision: 'approve' | 'deny',
): Promise<Apply<'approvals.approve'>> {
  const { caller, input, now, record, signature } = context;
  const { found, rowKey } = await read(parts, context);
  record.hash = found.row.hash;
  const decider = await context.facts.read((snapshot) => deciderOf(snapshot, rowKey, caller));
  checkDecision(found, decider, input.hash, now);
  return async (tx, time) => {
    const present = await findApproval(tx, rowKey, caller.log.id, input.approval);
    if (present === undefined || signature === undefined) throw new OperationError('approval.unknown');
    const person = await deciderOf(tx, rowKey, caller);
    checkDecision(present, person, input.hash, time);
    const { id, password } = person;
    const vote = { approval: present.row.id, person: id, decision, voted_at: time, signature, password };
    await store.insertVote(tx, rowKey, vote);
    const decided = await findApproval(tx, rowKey, caller.log.id, input.approval);
    if (decided === undefined) throw new OperationError('approval.unknown');
    const state = await stateAfter(tx, rowKey, caller.log.id, decided);
    if (state !== decided.row.state)
      await store.moveApproval(tx, rowKey, decided.row, { state, failure: null });
    if (state === 'approved') await enqueue(parts, context, tx, time);
    record.state = state;
    return view({ ...decided, row: { ...decided.row, state } }, time);
  };
}

/** The person who decides, with what they sign in with now. */
async function deciderOf(
  tx: Tx,
  rowKey: KeyObject,
  { log, actor }: Caller,
): Promise<{ id: string; password: string }> {
  const person = await findPerson(tx, rowKey, log.id, actor);
  if (person === undefined || person.password === null) throw new OperationError('auth.revoked');
  return { id: person.id, password: person.password };
}

/** Refuses a decision on one's own request, on one that is not open any more, a second one, and one on another document. */
function checkDecision({ row, votes }: FoundApproval, person: Decider, hash: string, time: number): void {
  if (row.requester === person.id) throw new OperationError('approval.own');
  if (stateAt(row, time) !== 'pending') throw new OperationError('approval.closed');
  if (votes.some((vote) => isDecisionOf(vote, person))) throw new OperationError('approval.decided');
  if (row.hash !== hash) throw new OperationError('approval.changed', { field: '/hash' });
}

/** One denial ends a request; only approvals of people who may still decide count. */
async function stateAfter(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  { row, votes }: FoundApproval,
): Promise<'pending' | 'approved' | 'denied'> {
  if (votes.some(({ decision }) => decision === 'deny')) return 'denied';
  const deciders = await peopleWho(tx, rowKey, log, 'approvals:decide');
  return countedApprovals({ row, votes }, deciders) >= row.needed ? 'approved' : 'pending';
}

/** At start: everything that is approved has its job, whatever was done to the jobs. */
export async function recoverApproved(database: Database): Promise<void> {
  await database.write(async (tx) => {
    for (const { id, log } of await store.withoutJob(tx, `${executionTask}/`)) {
      await ensure(tx, { ...executionJob(id, log), dueAt: 0 });
    }
  });
}

function executionJob(approval: string, log: number) {
  return { name: `${executionTask}/${approval}`, task: executionTask, input: { approval, log } };
}

async function enqueue({ wake }: ApprovalParts, context: Context<OperationId>, tx: Tx, time: number) {
  const { approval } = context.input as { approval: string };
  await schedule(tx, { ...executionJob(approval, context.caller.log.id), dueAt: time });
  context.afterCommit.push(async () => wake());
}

async function cancel(
  parts: ApprovalParts,
  context: Context<'approvals.cancel'>,
): Promise<Apply<'approvals.cancel'>> {
  const { caller, input, record } = context;
  const { found, rowKey } = await read(parts, context);
  record.hash = found.row.hash;
  if (found.row.requester !== caller.actor) throw new OperationError('approval.foreign');
  return async (tx, time) => {
    const present = await findApproval(tx, rowKey, caller.log.id, input.approval);
    if (present === undefined) throw new OperationError('approval.unknown');
    // What is approved already may still be waiting for its turn.
    if (!['pending', 'approved'].includes(stateAt(present.row, time)))
      throw new OperationError('approval.closed');
    await moveApproval(tx, rowKey, present.row, { state: 'cancelled', failure: null });
    record.state = 'cancelled';
    return view({ ...present, row: { ...present.row, state: 'cancelled' } }, time);
  };
}

async function read({ hierarchy }: ApprovalParts, context: Context<OperationId>) {
  const { caller, facts, record } = context;
  const { approval } = context.input as { approval: string };
  record.approval = approval;
  const rowKey = await hierarchy.rowKey(caller.log.tenant);
  const found = await facts.get(`approval ${approval}`, (snapshot) =>
    findApproval(snapshot, rowKey, caller.log.id, approval),
  );
  if (found === undefined) throw new OperationError('approval.unknown', { field: '/approval' });
  return { found, rowKey };
}

/** A request that was not decided on, or not carried out, in time is over without anybody doing anything. */
function stateAt(row: store.ApprovalRow, time: number): ApprovalView['state'] {
  const isOpen = row.state === 'pending' || row.state === 'approved';
  return isOpen && time >= row.expires_at ? 'expired' : row.state;
}

function view({ row, votes }: FoundApproval, time: number): ApprovalView {
  return {
    id: row.id,
    operation: row.operation,
    hash: row.hash,
    requester: row.requester,
    state: stateAt(row, time),
    needed: row.needed,
    votes: votes.map(({ person, decision, voted_at, signature }) => ({
      person,
      decision,
      votedAt: voted_at,
      signature,
    })),
    requestedAt: row.requested_at,
    expiresAt: row.expires_at,
    failure: row.failure,
  };
}
