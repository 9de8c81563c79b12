import type { ErrorCode, Operation, OperationId, Operations, Output } from '@trialkeep/contract';
import { operations } from '@trialkeep/contract';
import type { CompactKey } from '@trialkeep/crypto';
import { Compile } from 'typebox/compile';
import type { Authenticated, Authenticator } from './access/index.ts';
import { grants } from './access/index.ts';
import type { Ledger, SealedDraft, UnauthenticatedCounter } from './audit/index.ts';
import { payloadKey, sealDraft, stale, storageError } from './audit/index.ts';
import type { Hierarchy } from './keys/index.ts';
import type { Clock } from './platform/clock.ts';
import { OperationError, maxFieldLength } from './platform/errors.ts';
import { StaleFacts } from './platform/facts.ts';
import type { FactsCache } from './platform/facts.ts';
import type { Apply, Context, Implementations } from './platform/implementation.ts';
import { illFormedText } from './platform/text.ts';
import type { SpaceReserve } from './platform/reserve.ts';
import { Turns } from './platform/turns.ts';

/** One request, as it came in. */
export interface Request {
  readonly operation: OperationId;
  readonly authorization: string | undefined;
  /** All inputs by name, not yet checked. */
  readonly input: unknown;
  /** The address that it came from. */
  readonly source: string;
  readonly requestId: string;
}

/** What the gate tells the server's own log. */
export interface GateNotes {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface GateParts {
  readonly authenticator: Authenticator;
  readonly facts: FactsCache;
  readonly ledger: Ledger;
  readonly hierarchy: Hierarchy;
  readonly unauthenticated: UnauthenticatedCounter;
  readonly implementations: Implementations;
  readonly clock: Clock;
  readonly notes: GateNotes;
  /** Why nothing may be used; empty when the server is ready. */
  readonly recovery: readonly string[];
  readonly reserve: SpaceReserve;
}

/** A request on its way: what it asks for, and what has been found out so far. */
interface Visit {
  readonly operation: Operation;
  readonly request: Request;
  readonly context: Context<OperationId>;
  /** Only inputs of the right form go on the record. */
  inputChecked: boolean;
}

/** How often a request is authorised again because the facts moved on underneath it. */
const maxAttempts = 10;
/** Changes of one credential that may wait for their turn. */
const maxWaitingChanges = 200;
/** Refusals for which the caller was allowed, and the thing could not be done. */
const failures: ReadonlySet<string> = new Set(['ciphertext.invalid', 'server.internal']);

const validators = new Map(
  Object.values(operations).map((operation) => [operation.id as string, Compile(operation.input)] as const),
);

/**
 * The one way in (design section 4): authenticate, authorise, act with the result kept back, flush, release. Nothing is
 * answered before its entry is durable; a refusal is an entry too.
 */
export class Gate {
  readonly #parts: GateParts;
  readonly #changes = new Turns(maxWaitingChanges);

  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  async admit<Id extends OperationId>(request: Request & { operation: Id }): Promise<Output<Operations[Id]>> {
    const answer = await this.#admit(operations[request.operation], request);
    return answer as Output<Operations[Id]>;
  }

  async #admit(operation: Operation, request: Request): Promise<unknown> {
    if (operation.permission === 'public') return this.#implementation(request.operation)(undefined);
    if (this.#parts.recovery.length > 0) throw new OperationError('server.in_recovery');
    const urgent = operation.urgent === true;
    if (!urgent && !this.#parts.reserve.held()) throw new OperationError('server.storage_full');
    if (operation.effect !== 'change') return this.#attempt(operation, request);
    // Every change moves the epoch on: those of one log would make each other authorise again and again. What will be refused
    // anyway waits for nobody, and keeps nobody waiting.
    const known = await this.#authenticate(request, this.#parts.clock.now());
    const wanted = known !== undefined && known !== stale && mayPass(operation, known, request.input);
    if (!wanted) return this.#attempt(operation, request);
    const { log, credential } = known.caller;
    const turn = { name: log.id, owner: credential, urgent };
    return this.#changes.take(turn, () => this.#attempt(operation, request));
  }

  async #attempt(operation: Operation, request: Request): Promise<unknown> {
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      const now = this.#parts.clock.now();
      const authenticated = await this.#authenticate(request, now);
      if (authenticated === undefined) {
        this.#parts.unauthenticated.count(request.source, request.operation);
        throw new OperationError('auth.required');
      }
      if (authenticated === stale) continue;
      if (
        authenticated.refusal !== undefined &&
        !this.#hasOwnEntry(authenticated, authenticated.refusal, request)
      ) {
        throw new OperationError(authenticated.refusal);
      }
      const answer = await this.#pass(newVisit(operation, request, authenticated, now), authenticated);
      if (answer !== stale) return answer;
      this.#parts.facts.drop(authenticated.caller.log.id);
    }
    throw new OperationError('server.busy');
  }

  /** Whether the refusal of a revoked or expired credential is an entry of its own, or one of many that are counted. */
  #hasOwnEntry({ caller }: Authenticated, code: ErrorCode, { source, operation }: Request): boolean {
    const refused = { log: caller.log.id, actor: caller.credential, code, source };
    return this.#parts.unauthenticated.admit(refused, operation);
  }

  async #authenticate(request: Request, now: number): Promise<Authenticated | undefined | typeof stale> {
    try {
      return await this.#parts.authenticator.authenticate(request.authorization, now);
    } catch (error) {
      if (!(error instanceof StaleFacts)) throw this.#known(error, request);
      this.#parts.facts.drop(error.log);
      return stale;
    }
  }

  /** Authorise, act, flush. Answers `stale` when the facts have moved on since they were read. */
  async #pass(visit: Visit, { refusal }: Authenticated): Promise<unknown> {
    const { operation, context, request } = visit;
    let acted: unknown;
    try {
      if (refusal !== undefined) throw new OperationError(refusal);
      if (!grants(context.caller, operation.permission)) throw new OperationError('access.denied');
      checkInput(visit);
      acted = await this.#implementation(request.operation)(context);
      if (operation.effect === 'change') return await this.#change(visit, acted as Apply<OperationId>);
    } catch (error) {
      if (error instanceof StaleFacts) return stale;
      return this.#refuse(visit, error);
    }
    if (operation.record === 'access-log') {
      const { credential } = context.caller;
      const { requestId, source } = request;
      this.#parts.notes.info({ operation: operation.id, actor: credential, requestId, source }, 'Access.');
      return acted;
    }
    const appended = await this.#append(visit, undefined);
    if (appended === stale) return stale;
    if (appended.denied !== undefined) throw new OperationError(appended.denied);
    return acted;
  }

  /** Records why nothing was done, and throws it; answers `stale` where the refusal itself has to be decided again. */
  async #refuse(visit: Visit, error: unknown): Promise<typeof stale> {
    const refusal = this.#known(error, visit.request);
    // What would have come of it did not.
    delete visit.context.record.state;
    // Where the database does not work there is nowhere to record it; nothing was done or released either.
    if (refusal.code.startsWith('server.storage')) throw refusal;
    const appended = await this.#append(visit, refusal);
    if (appended === stale) return stale;
    throw refusal;
  }

  /** The error in the words of the API. What the server itself is to blame for is noted, with its cause. */
  #known(error: unknown, { requestId, operation }: Request): OperationError {
    const failure = storageError(error);
    const known = failure instanceof OperationError;
    const refusal = known ? failure : new OperationError('server.internal', { cause: error });
    if (refusal.code.startsWith('server.') && refusal.code !== 'server.busy') {
      const cause = refusal.cause ?? refusal;
      const stack = cause instanceof Error ? cause.stack : 'The cause is not an error.';
      this.#parts.notes.error({ requestId, operation, code: refusal.code, stack }, 'An operation failed.');
    }
    return refusal;
  }

  /** Commits the change with its entry. On a full disk an urgent change gets the space that was reserved for it. */
  async #change(visit: Visit, apply: Apply<OperationId>): Promise<unknown> {
    const { context, operation } = visit;
    const { caller, validity } = context;
    const key = await this.#payloadKey(context);
    const commit = (): Promise<unknown> =>
      this.#parts.ledger.appender.change(caller.log.id, caller.facts.epoch, async (tx, time) => {
        const outside = validity.find(({ from, until }) => time < from || time >= until);
        if (outside !== undefined) throw new OperationError(outside.refusal);
        return { result: await apply(tx, time), draft: seal(visit, undefined, key) };
      });
    let result: unknown;
    try {
      result = await commit();
    } catch (error) {
      const failure = storageError(error);
      const full = failure instanceof OperationError && failure.code === 'server.storage_full';
      if (!full || operation.urgent !== true || !this.#parts.reserve.release()) throw error;
      result = await commit();
    }
    if (result === stale) return stale;
    this.#parts.facts.drop(caller.log.id);
    await this.#settle(context);
    return result;
  }

  /**
   * What follows a commit that cannot be taken back: failing here must not look like a change that failed. The anchor follows
   * before the answer, so that a roll-back to before an acknowledged change is noticed.
   */
  async #settle({ afterCommit, caller }: Context<OperationId>): Promise<void> {
    try {
      for (const work of afterCommit) await work();
      await this.#parts.ledger.anchorNow(caller.log.id);
    } catch (error) {
      this.#parts.notes.warn({ error: String(error) }, 'A committed change could not be anchored yet.');
    }
  }

  async #append(visit: Visit, refusal: OperationError | undefined) {
    const { caller, validity } = visit.context;
    const draft = seal(visit, refusal, await this.#payloadKey(visit.context));
    const windows = refusal === undefined ? validity : [];
    try {
      return await this.#parts.ledger.appender.append(caller.log.id, caller.facts.epoch, draft, windows);
    } catch (error) {
      throw this.#known(error, visit.request);
    }
  }

  #payloadKey({ caller, record }: Context<OperationId>): Promise<CompactKey> {
    return payloadKey(this.#parts.hierarchy, this.#parts.ledger.log(caller.log.id), record.subject);
  }

  /** The behaviour behind an operation; its input has the form that its contract says by the time it runs. */
  #implementation(id: OperationId): (context: Context<OperationId> | undefined) => Promise<unknown> {
    return this.#parts.implementations[id] as (context: Context<OperationId> | undefined) => Promise<unknown>;
  }
}

/** Whether a change would come as far as acting; the visit itself decides, and records. */
function mayPass(operation: Operation, { caller, refusal }: Authenticated, input: unknown): boolean {
  return refusal === undefined && grants(caller, operation.permission) && isValid(operation, input);
}

function isValid(operation: Operation, input: unknown): boolean {
  return validators.get(operation.id)?.Check(input) === true && illFormedText(input) === undefined;
}

function newVisit(
  operation: Operation,
  request: Request,
  { caller, validity }: Authenticated,
  now: number,
): Visit {
  const context: Context<OperationId> = {
    input: request.input as Context<OperationId>['input'],
    caller,
    facts: caller.facts,
    now,
    record: {},
    payload: {},
    validity: [...validity],
    afterCommit: [],
  };
  return { operation, request, context, inputChecked: false };
}

function checkInput(visit: Visit): void {
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

/** The entry with its payload: the inputs that the contract lists, old values, and where the request came from. */
function seal(visit: Visit, refusal: OperationError | undefined, key: CompactKey): SealedDraft {
  const { operation, request, context, inputChecked } = visit;
  const { caller, record } = context;
  const input = inputChecked ? (request.input as Record<string, unknown>) : {};
  const payload = {
    ...context.payload,
    input: Object.fromEntries(operation.recorded.map((name) => [name, input[name]])),
    requestId: request.requestId,
    source: request.source,
    field: refusal?.field,
  };
  const outcome = refusal === undefined ? 'success' : failures.has(refusal.code) ? 'failed' : 'refused';
  const draft = {
    operation: operation.id,
    actor: caller.credential,
    role: caller.role,
    outcome,
    recorded: record,
  } as const;
  const coded = refusal === undefined ? draft : { ...draft, code: refusal.code };
  return sealDraft(coded, caller.log.origin, payload, key);
}
