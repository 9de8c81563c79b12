import type { KeyObject } from 'node:crypto';
import type { Operation, RequestDocument } from '@trialkeep/contract';
import { openCompact, sealCompact } from '@trialkeep/crypto';
import type { CompactKey } from '@trialkeep/crypto';
import { findPerson, peopleWho } from '../access/index.ts';
import type { PersonRow } from '../access/index.ts';
import { canonicalBytes, sha256Hex } from '../platform/canonical.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Log } from '../platform/implementation.ts';
import * as store from './store.ts';
import type { ApprovalRow, VoteRow } from './store.ts';

const dayMs = 86_400_000;
/** Requests of one person that may wait at a time. */
const maxOpen = 100;

/** What a log's requests are kept under. */
export interface RequestKeys {
  readonly rowKey: KeyObject;
  readonly payloadKey: CompactKey;
}

/** A request with everything that was decided on it. */
export interface FoundApproval {
  readonly row: ApprovalRow;
  readonly votes: readonly VoteRow[];
}

/** Keeps a checked request until people have approved it. Refused where there are not enough of them. */
export async function keepRequest(
  tx: Tx,
  keys: RequestKeys,
  asked: { log: Log; operation: Operation; input: RequestDocument['input']; requester: string; time: number },
): Promise<{ id: string; hash: string }> {
  const { log, operation, input, requester, time } = asked;
  const { approval, signature } = operation;
  // An input with the components of a signature must never be kept.
  if (approval === undefined || approval.people < 1 || signature !== undefined) {
    throw new Error(`${operation.id} is not for people to approve.`);
  }
  const person = await findPerson(tx, keys.rowKey, log.id, requester);
  if (person === undefined || person.password === null) throw new OperationError('auth.revoked');
  const deciders = await peopleWho(tx, keys.rowKey, log.id, 'approvals:decide');
  if (deciders.filter(({ id }) => id !== requester).length < approval.people) {
    throw new OperationError('approval.too_few_people');
  }
  if ((await store.countOpen(tx, log.id, requester, time)) >= maxOpen) {
    throw new OperationError('approval.too_many_open');
  }
  const id = newId();
  const document = {
    approval: id,
    input,
    operation: operation.id,
    origin: log.origin,
    requestedAt: time,
    requester,
    v: 1,
  } satisfies RequestDocument;
  const plaintext = canonicalBytes(document);
  const hash = sha256Hex(plaintext);
  await store.insertApproval(tx, keys.rowKey, {
    id,
    log: log.id,
    operation: operation.id,
    request: sealCompact({ ...keys.payloadKey, context: requestContext(log, id), plaintext }),
    hash,
    requester,
    requester_password: person.password,
    needed: approval.people,
    state: 'pending',
    requested_at: time,
    expires_at: time + approval.withinDays * dayMs,
    failure: null,
  });
  return { id, hash };
}

export async function findApproval(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<FoundApproval | undefined> {
  const row = await store.findApproval(tx, rowKey, log, id);
  return row && { row, votes: await store.listVotes(tx, rowKey, [id]) };
}

/** The bytes whose hash people approve. Throws a CryptoError, or `server.data_altered`, where they are not what was kept. */
export function requestBytes(payloadKey: CompactKey, log: Log, row: ApprovalRow): Uint8Array {
  const context = requestContext(log, row.id);
  const bytes = openCompact({ ...payloadKey, context, ciphertext: row.request });
  if (sha256Hex(bytes) !== row.hash) throw new OperationError('server.data_altered');
  return bytes;
}

/** An approved request, ready to be carried out. */
export interface ApprovedRequest extends FoundApproval {
  readonly document: RequestDocument;
}

export function openRequest(payloadKey: CompactKey, log: Log, found: FoundApproval): ApprovedRequest {
  const bytes = requestBytes(payloadKey, log, found.row);
  return { ...found, document: JSON.parse(Buffer.from(bytes).toString('utf8')) as RequestDocument };
}

/** Moves a request on; throws where somebody else was faster, so that everything beside it is rolled back. */
export async function moveApproval(
  tx: Tx,
  rowKey: KeyObject,
  row: ApprovalRow,
  to: Pick<ApprovalRow, 'state' | 'failure'>,
): Promise<void> {
  if (!(await store.moveApproval(tx, rowKey, row, to))) throw new OperationError('approval.closed');
}

/** A person with what they sign in with now. */
export type Decider = Pick<PersonRow, 'id' | 'password'>;

/** How many people have approved who may decide now, never counting the requester. */
export function countedApprovals({ row, votes }: FoundApproval, deciders: readonly Decider[]): number {
  return votes.filter(
    (vote) =>
      vote.decision === 'approve' &&
      vote.person !== row.requester &&
      deciders.some((decider) => isDecisionOf(vote, decider)),
  ).length;
}

/** Whether the decision was made with what the person signs in with now, and not with what may have been stolen before. */
export function isDecisionOf(vote: VoteRow, { id, password }: Decider): boolean {
  return vote.person === id && vote.password === password;
}

function requestContext({ origin }: Log, approval: string): Record<string, string> {
  return { 'trialkeep:approval': approval, 'trialkeep:origin': origin };
}
