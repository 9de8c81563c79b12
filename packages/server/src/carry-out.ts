import type { OperationId } from '@trialkeep/contract';
import { errors, operations } from '@trialkeep/contract';
import type { Authenticator } from './access/index.ts';
import { grants, peopleWho } from './access/index.ts';
import { countedApprovals, findApproval, openRequest } from './approvals/index.ts';
import type { Ledger } from './audit/index.ts';
import { stale } from './audit/index.ts';
import type { Commits } from './commit.ts';
import { refuseLeaving } from './exit/index.ts';
import type { Hierarchy } from './keys/index.ts';
import type { Clock } from './platform/clock.ts';
import type { Database } from './platform/database.ts';
import { OperationError } from './platform/errors.ts';
import { StaleFacts } from './platform/facts.ts';
import type { FactsCache } from './platform/facts.ts';
import type { Apply, Context, Implementations } from './platform/implementation.ts';
import type { Job, JobHandler } from './platform/jobs/index.ts';
import { checkInput, newVisit } from './visit.ts';
import type { ApprovedVisit } from './visit.ts';

export interface CarryOutParts {
  readonly authenticator: Authenticator;
  readonly facts: FactsCache;
  readonly ledger: Ledger;
  readonly hierarchy: Hierarchy;
  readonly implementations: Implementations;
  readonly clock: Clock;
  readonly database: Database;
  readonly commits: Commits;
}

/** How often a request is authorised again because the facts moved on underneath it; then the job tries again later. */
const maxAttempts = 10;

/**
 * Carries out what people have approved: authorised as of now, with exactly the input that they approved, in one transaction with
 * the end of the request and of the job that asked for it. So it happens once, whichever nodes try and whenever they die.
 */
export function carryOutApproved(parts: CarryOutParts): JobHandler {
  return async ({ input, complete }) => {
    const { approval, log } = input;
    if (typeof approval !== 'string' || typeof log !== 'number')
      throw new TypeError('The job names no request.');
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      if ((await attemptOnce(parts, { approval, log }, complete)) !== stale) return;
      parts.facts.drop(log);
    }
    throw new OperationError('server.busy');
  };
}

async function attemptOnce(
  parts: CarryOutParts,
  asked: { approval: string; log: number },
  complete: Job['complete'],
): Promise<unknown> {
  try {
    const visit = await approvedVisit(parts, asked);
    if (visit === undefined) return await parts.database.write((tx) => complete(tx));
    return await carryOut(parts, visit, complete);
  } catch (error) {
    if (error instanceof StaleFacts) return stale;
    throw error;
  }
}

/** The approved request as a visit of the person who made it; undefined where nothing is left to carry out. */
async function approvedVisit(
  { ledger, hierarchy, facts: cache, authenticator, clock }: CarryOutParts,
  { approval, log: id }: { approval: string; log: number },
): Promise<ApprovedVisit | undefined> {
  const log = await ledger.open(id);
  const facts = await cache.of(id);
  const rowKey = await hierarchy.rowKey(log.tenant);
  const found = await facts.read((snapshot) => findApproval(snapshot, rowKey, id, approval));
  if (found === undefined || found.row.state !== 'approved') return undefined;
  const approved = openRequest(log.payloadKey, log, found);
  const { operation, input } = approved.document;
  const { requester: person, requester_password: password } = found.row;
  const caller = await authenticator.requester(log, facts, { person, password, approval });
  const asked = { operation: operation as OperationId, authorization: undefined, input };
  const request = { ...asked, source: 'approval', requestId: approval };
  // What is approved and not carried out in time is over.
  const validity = [{ from: 0, until: found.row.expires_at, refusal: 'approval.closed' as const }];
  const authenticated = { caller, validity, proof: undefined };
  const visit = newVisit(operations[asked.operation], request, authenticated, clock.now(), {
    approved,
    once: async (work) => work(),
  });
  return { ...visit, approved };
}

async function carryOut(
  parts: CarryOutParts,
  visit: ApprovedVisit,
  complete: Job['complete'],
): Promise<unknown> {
  const { context, request } = visit;
  const act = (parts.implementations as Readonly<Record<string, unknown>>)[request.operation] as (
    context: Context<OperationId>,
  ) => Promise<Apply<OperationId>>;
  try {
    checkInput(visit);
    // Prepared first, so that the entry says what it is about whatever comes of it.
    const apply = await act(context);
    await checkStillApproved(parts, visit);
    return await parts.commits.change(visit, apply, complete);
  } catch (error) {
    // What the server is to blame for, or something that is away, is tried again; what the request is to blame for is over.
    if (!(error instanceof OperationError) || isPassing(error.code)) throw error;
    return parts.commits.giveUp(visit, error, complete);
  }
}

function isPassing(code: OperationError['code']): boolean {
  return code.startsWith('server.') || errors[code].status === 503;
}

/** Whoever asked must still be allowed to, and those who approved must still be people who may decide. */
async function checkStillApproved(
  { hierarchy }: CarryOutParts,
  { context, operation, approved }: ApprovedVisit,
): Promise<void> {
  const { caller, facts } = context;
  if (!grants(caller, operation.permission)) throw new OperationError('access.denied');
  await refuseLeaving(hierarchy, operation, context);
  const rowKey = await hierarchy.rowKey(caller.log.tenant);
  const deciders = await facts.read((snapshot) =>
    peopleWho(snapshot, rowKey, caller.log.id, 'approvals:decide'),
  );
  if (countedApprovals(approved, deciders) < approved.row.needed) {
    throw new OperationError('approval.too_few_people');
  }
}
