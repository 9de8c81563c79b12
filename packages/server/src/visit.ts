import type { ErrorCode, Operation, OperationId, Role } from '@trialkeep/contract';
import { isDoor, operations } from '@trialkeep/contract';
import type { CompactKey } from '@trialkeep/crypto';
import { Compile } from 'typebox/compile';
import { grantingRole } from './access/index.ts';
import type { Authenticated } from './access/index.ts';
import { sealDraft } from './audit/index.ts';
import type { Draft, Outcome, SealedDraft } from './audit/index.ts';
import type { ApprovedRequest } from './approvals/index.ts';
import { OperationError, maxFieldLength } from './platform/errors.ts';
import { newId } from './platform/ids.ts';
import { isPerson } from './platform/implementation.ts';
import type { Context, Proof, Protocol, Recorded, RecordedItem } from './platform/implementation.ts';
import type { Authorization } from './platform/signed-request.ts';
import { illFormedText } from './platform/text.ts';

/** One request, as it came in. */
export interface Request {
  readonly operation: OperationId;
  readonly authorization: Authorization;
  /** All inputs by name, not yet checked. */
  readonly input: unknown;
  /** The address that it came from. */
  readonly source: string;
  readonly requestId: string;
  /** Trialkeep's own where left out. */
  readonly protocol?: Protocol;
}

/** A request on its way: what it asks for, and what has been found out so far. */
export interface Visit {
  readonly operation: Operation;
  readonly request: Request;
  readonly context: Context<OperationId>;
  /** What people have approved, where that is being carried out. */
  readonly approved: ApprovedRequest | undefined;
  /** Only inputs of the right form go on the record. */
  inputChecked: boolean;
  /** What the person has shown with the request; spent in the transaction of the change. */
  proof: Proof | undefined;
  /** The id under which the request was kept until people approve it. */
  kept: string | undefined;
  /** Its place in the batch that it is one item of. */
  readonly item: number | undefined;
}

/** A visit that carries out what people have approved. */
export interface ApprovedVisit extends Visit {
  readonly approved: ApprovedRequest;
}

/** Refusals for which the caller was allowed, and the thing could not be done. */
const failures: ReadonlySet<string> = new Set([
  'ciphertext.invalid',
  'key.module_gone',
  'key.module_unreachable',
  'server.internal',
]);

const validators = new Map(
  Object.values(operations).map((operation) => [operation.id as string, Compile(operation.input)] as const),
);

export function newVisit(
  operation: Operation,
  request: Request,
  { caller, validity, proof }: Pick<Authenticated, 'caller' | 'validity' | 'proof'>,
  now: number,
  parts: { approved?: ApprovedRequest; once: Context<OperationId>['once']; item?: number },
): Visit {
  const { approved, once, item } = parts;
  const context: Context<OperationId> = {
    input: request.input as Context<OperationId>['input'],
    caller,
    protocol: request.protocol ?? 'trialkeep',
    facts: caller.facts,
    now,
    record: approved === undefined ? {} : { approval: approved.row.id, hash: approved.row.hash },
    payload: {},
    items: [],
    validity: [...validity],
    once,
    signature: operation.signature && newId(),
    payloadUnder: 'subject',
    afterCommit: [],
  };
  return { operation, request, context, approved, inputChecked: false, proof, kept: undefined, item };
}

/** Whether the input has the form that the operation takes. */
export function isValid(operation: Operation, input: unknown): boolean {
  return validators.get(operation.id)?.Check(input) === true && illFormedText(input) === undefined;
}

/** Refuses an input that has not the form of the operation, and says where. */
export function checkInput(visit: Visit): void {
  const validator = validators.get(visit.operation.id);
  const { input } = visit.request;
  if (validator === undefined) throw new Error(`Operation ${visit.operation.id} has no validator.`);
  if (!validator.Check(input)) {
    const [problem] = validator.Errors(input);
    // The name of an unknown field is whatever the caller made up: its payload has to hold it.
    const field = (problem?.instancePath || '/').slice(0, maxFieldLength);
    const unknown = problem?.keyword === 'boolean';
    const sentence = unknown ? 'is not a field of this operation' : (problem?.message ?? 'is not valid');
    throw new OperationError('request.invalid', { field, detail: `${field}: ${sentence}.` });
  }
  const field = illFormedText(input);
  if (field !== undefined) {
    throw new OperationError('request.invalid', { field, detail: `${field}: is not well-formed Unicode.` });
  }
  visit.inputChecked = true;
}

/** The first window that a time lies outside of, as the refusal that it means. */
export function outsideOf({ validity }: Context<OperationId>, time: number): ErrorCode | undefined {
  return validity.find(({ from, until }) => time < from || time >= until)?.refusal;
}

/** The entry with its payload: the inputs that the contract lists, old values, and where the request came from. */
export function sealEntry(visit: Visit, refusal: OperationError | undefined, key: CompactKey): SealedDraft {
  const { operation, request, context, inputChecked } = visit;
  const input = inputChecked ? (request.input as Record<string, unknown>) : {};
  const payload = {
    ...context.payload,
    input: Object.fromEntries(operation.recorded.map((name) => [name, input[name]])),
    ...whence(visit),
    items: operation.batchOf === undefined ? undefined : (input['items'] as object[] | undefined)?.length,
    field: refusal?.field,
  };
  return sealDraft(draftOf(visit, refusal, context.record), context.caller.log.origin, payload, key);
}

/** The entry of one of several things that a change did, with a payload of its own. */
export function sealItem(visit: Visit, { record, payload }: RecordedItem, key: CompactKey): SealedDraft {
  const { origin } = visit.context.caller.log;
  return sealDraft(draftOf(visit, undefined, record), origin, { ...payload, ...whence(visit) }, key);
}

function draftOf(visit: Visit, refusal: OperationError | undefined, recorded: Recorded): Draft {
  const role = roleOf(visit);
  return {
    // A batch is many of another operation: whoever asks for those finds all of them.
    operation: visit.operation.batchOf ?? visit.operation.id,
    actor: visit.context.caller.actor,
    outcome: outcomeOf(visit, refusal),
    recorded,
    ...(role !== undefined && { role }),
    ...(refusal !== undefined && { code: refusal.code }),
  };
}

/** What the payload of every entry says of its request. */
function whence({ request, context: { caller }, item }: Visit): object {
  const { requestId, source, protocol } = request;
  return { requestId, source, protocol, item, via: isPerson(caller) ? caller.means : undefined };
}

/** The role that the caller acted in; where none of theirs suffices, the one they came in. Doors take no role. */
function roleOf({ operation: { permission }, context: { caller } }: Visit): Role | undefined {
  if (isDoor(permission)) return undefined;
  return grantingRole(caller, permission) ?? caller.roles[0];
}

function outcomeOf({ kept }: Visit, refusal: OperationError | undefined): Outcome {
  if (refusal !== undefined) return failures.has(refusal.code) ? 'failed' : 'refused';
  return kept === undefined ? 'success' : 'requested';
}
