import type { KeyObject } from 'node:crypto';
import type { Operation } from '@trialkeep/contract';
import { openCompact, sealCompact } from '@trialkeep/crypto';
import type { CompactKey } from '@trialkeep/crypto';
import { peopleWho } from '../access/index.ts';
import { canonicalBytes, sha256Hex } from '../platform/canonical.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Log } from '../platform/implementation.ts';
import * as store from './store.ts';
import type { ApprovalRow, VoteRow } from './store.ts';

const dayMs = 86_400_000;

/** What a log's requests are kept under. */
export interface RequestKeys {
  readonly rowKey: KeyObject;
  readonly payloadKey: CompactKey;
}

/** The request document of docs/formats/signature.md, read back. */
export interface RequestDocument {
  readonly approval: string;
  readonly input: object;
  readonly operation: string;
  readonly origin: string;
  readonly requestedAt: number;
  readonly requester: string;
  readonly v: 1;
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
  asked: { log: Log; operation: Operation; input: object; requester: string; time: number },
): Promise<{ id: string; hash: string }> {
  const { log, operation, input, requester, time } = asked;
  const { approval } = operation;
  if (approval === undefined || approval.people < 1) throw new Error(`${operation.id} needs no approval.`);
  const deciders = await peopleWho(tx, keys.rowKey, log.id, 'approvals:decide');
  if (deciders.filter(({ id }) => id !== requester).length < approval.people) {
    throw new OperationError('approval.too_few_people');
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

/**
 * Ends an approved request, in the transaction of what it did; throws where another node has ended it, so that all of that is
 * rolled back.
 */
export async function closeApproval(
  tx: Tx,
  rowKey: KeyObject,
  row: ApprovalRow,
  to: Pick<ApprovalRow, 'state' | 'failure'>,
): Promise<void> {
  if (!(await store.moveApproval(tx, rowKey, row, to))) throw new OperationError('approval.closed');
}

/** How many people have approved who may decide now, never counting the requester. */
export function countedApprovals(
  { row, votes }: FoundApproval,
  deciders: readonly { readonly id: string }[],
): number {
  return votes.filter(
    ({ person, decision }) =>
      decision === 'approve' && person !== row.requester && deciders.some(({ id }) => id === person),
  ).length;
}

function requestContext({ origin }: Log, approval: string): Record<string, string> {
  return { 'trialkeep:approval': approval, 'trialkeep:origin': origin };
}
