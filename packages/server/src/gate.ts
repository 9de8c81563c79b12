import type { ErrorCode, Operation, OperationId, Operations, Output } from '@trialkeep/contract';
import { operations } from '@trialkeep/contract';
import type { Authenticated, Authenticator } from './access/index.ts';
import { grants } from './access/index.ts';
import type { Ledger, UnauthenticatedCounter } from './audit/index.ts';
import { stale, storageError } from './audit/index.ts';
import { Batch } from './batch.ts';
import type { Acted } from './batch.ts';
import type { Commits, HandedIn } from './commit.ts';
import { refuseLeaving } from './exit/index.ts';
import type { Hierarchy } from './keys/index.ts';
import type { Clock } from './platform/clock.ts';
import { OperationError } from './platform/errors.ts';
import { StaleFacts } from './platform/facts.ts';
import type { FactsCache } from './platform/facts.ts';
import { FairLimiter } from './platform/fair-limiter.ts';
import { isPerson } from './platform/implementation.ts';
import type { Apply, Context, Implementations, Proof } from './platform/implementation.ts';
import { Pace } from './platform/pace.ts';
import type { Reserve } from './platform/reserve.ts';
import { step } from './platform/tracing/steps.ts';
import { Turns } from './platform/turns.ts';
import { refuseSealed } from './systems/index.ts';
import { checkInput, isValid, newVisit } from './visit.ts';
import type { Request, Visit } from './visit.ts';
import type { Witnessing } from './witnessing/index.ts';

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
  readonly reserve: Reserve;
  readonly commits: Commits;
  readonly witnessing: Pick<Witnessing, 'hold'>;
}

/** How often a request is authorised again because the facts moved on underneath it. */
const maxAttempts = 10;
/** Changes of one credential that may wait for their turn. */
const maxWaitingChanges = 200;
/**
 * Batches that are worked on at a time, and that may wait for it: what they hold in memory, and in the line for the ledger, is bounded.
 * Of one log fewer, so that no tenant keeps the others from theirs.
 */
const batchBounds = { maxRunning: 4, maxRunningOfOwner: 3, maxWaiting: 200, maxWaitingOfOwner: 50 };
/** Items of one batch that may wait for their entries at a time. */
const maxItemsInFlight = 500;

type SignIn = Parameters<Authenticator['signIn']>[0];
type Components = Parameters<Authenticator['prove']>[1];

/** What a person has shown with a request: checked once, however often the request is authorised again; it takes long. */
interface Shown {
  signedIn?: Authenticated;
  signer?: Proof;
  /** What an operation does once. */
  done?: Promise<unknown>;
}

/**
 * The one way in (design section 4): authenticate, authorise, act with the result kept back, flush, release. Nothing is
 * answered before its entry is durable; a refusal is an entry too.
 */
export class Gate {
  readonly #parts: GateParts;
  readonly #commits: Commits;
  readonly #changes = new Turns(maxWaitingChanges);
  readonly #batches = new FairLimiter(batchBounds);
  readonly #pace = new Pace();

  constructor(parts: GateParts) {
    this.#parts = parts;
    this.#commits = parts.commits;
  }

  /** Changes that are under way, or wait for their turn. */
  get changes(): number {
    return this.#changes.size;
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
    if (operation.batchOf !== undefined) return this.#admitBatch(operation, request);
    if (operation.effect !== 'change') return this.#attempt(operation, request);
    // Every change moves the epoch on: those of one log would make each other authorise again and again. What will be refused
    // anyway waits for nobody, and keeps nobody waiting.
    // Checking a password is the one part of a sign-in that takes long, and it is to be done once.
    if (operation.permission === 'sign-in') return this.#attempt(operation, request);
    const known = await this.#authenticate(operation, request, this.#parts.clock.now());
    const wanted = known !== undefined && known !== stale && mayPass(operation, known, request.input);
    if (!wanted) return this.#attempt(operation, request);
    const { log, actor } = known.caller;
    const turn = { name: log.id, owner: actor, urgent };
    return this.#changes.take(turn, () => this.#attempt(operation, request));
  }

  /** Waits in line with a batch that may be worked on; one that will be refused anyway waits for nobody. */
  async #admitBatch(operation: Operation, request: Request): Promise<unknown> {
    const known = await this.#authenticate(operation, request, this.#parts.clock.now());
    const batch = new Batch(operation, request);
    const work = (): Promise<unknown> => this.#attempt(operation, request, batch);
    if (known === undefined || known === stale || !mayAsk(operation, known)) return work();
    return this.#batches.run(String(known.caller.log.id), work);
  }

  async #attempt(operation: Operation, request: Request, batch?: Batch): Promise<unknown> {
    const shown: Shown = {};
    let recorded = 0;
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      const now = this.#parts.clock.now();
      const authenticated = await step('authenticate', () =>
        this.#authenticate(operation, request, now, shown),
      );
      if (authenticated === undefined) {
        this.#parts.unauthenticated.count(request.source, request.operation);
        throw new OperationError(operation.permission === 'sign-in' ? 'auth.failed' : 'auth.required');
      }
      if (authenticated === stale) continue;
      const { refusal } = authenticated;
      // What is left of a batch that has begun is recorded in any case.
      const isCounted = refusal !== undefined && batch?.hasBegun !== true;
      if (isCounted && !this.#hasOwnEntry(authenticated, refusal, request)) throw new OperationError(refusal);
      const visit = newVisit(operation, request, authenticated, now, {
        once: <T>(work: () => Promise<T>) => (shown.done ??= work()) as Promise<T>,
      });
      const answer = await (batch === undefined
        ? this.#pass(visit, refusal, shown)
        : this.#passBatch(visit, refusal, batch));
      if (answer !== stale) return answer;
      this.#parts.facts.drop(authenticated.caller.log.id);
      // As long as a batch gets on, it is not given up.
      if (batch !== undefined && batch.recorded > recorded) attempt = 0;
      recorded = batch?.recorded ?? 0;
    }
    if (batch !== undefined) return batch.giveUp();
    throw new OperationError('server.busy');
  }

  /** Whether the refusal of a revoked or expired credential is an entry of its own, or one of many that are counted. */
  #hasOwnEntry({ caller }: Authenticated, code: ErrorCode, { source, operation }: Request): boolean {
    const refused = { log: caller.log.id, actor: caller.actor, code, source };
    return this.#parts.unauthenticated.admit(refused, operation);
  }

  async #authenticate(
    operation: Operation,
    request: Request,
    now: number,
    shown: Shown = {},
  ): Promise<Authenticated | undefined | typeof stale> {
    const { authenticator, facts } = this.#parts;
    try {
      if (operation.permission !== 'sign-in') {
        return await authenticator.authenticate(request.authorization, now);
      }
      if (!isValid(operation, request.input)) {
        this.#parts.unauthenticated.count(request.source, request.operation);
        throw new OperationError('request.invalid');
      }
      const signedIn = shown.signedIn ?? (await authenticator.signIn(request.input as SignIn, now));
      if (signedIn === undefined) return undefined;
      shown.signedIn = signedIn;
      const { caller } = signedIn;
      return { ...signedIn, caller: { ...caller, facts: await facts.of(caller.log.id) } };
    } catch (error) {
      if (!(error instanceof StaleFacts)) throw this.#known(error, request);
      this.#parts.facts.drop(error.log);
      return stale;
    }
  }

  /** Authorise, act, flush. Answers `stale` when the facts have moved on since they were read. */
  async #pass(visit: Visit, refusal: ErrorCode | undefined, shown: Shown): Promise<unknown> {
    const { operation, context } = visit;
    let acted: unknown;
    try {
      await step('authorise', () => this.#authorise(visit, refusal));
      acted = await step('act', () => this.#implementation(visit.request.operation)(context));
      if (operation.signature !== undefined) {
        visit.proof = shown.signer ??= await this.#proveSigner(visit);
      }
      if (operation.effect === 'change')
        acted = await step('flush', () => this.#commits.change(visit, acted as Apply<OperationId>));
      else if (operation.record === 'access-log') return await this.#answerUnrecorded(visit, acted);
    } catch (error) {
      if (error instanceof StaleFacts) return stale;
      return this.#refuse(visit, error);
    }
    if (operation.effect === 'change') return acted === stale ? stale : answerOf(visit, acted);
    const appended = await this.#append(visit, undefined);
    if (appended === stale) return stale;
    if (appended.denied !== undefined) throw new OperationError(appended.denied);
    return acted;
  }

  /** What holds whatever the operation is, before it acts. */
  async #authorise(visit: Visit, refusal: ErrorCode | undefined): Promise<void> {
    const { operation, context } = visit;
    if (refusal !== undefined) throw new OperationError(refusal);
    if (!grants(context.caller, operation.permission)) throw new OperationError('access.denied');
    if (isDecision(operation) && !isPerson(context.caller)) {
      throw new OperationError('access.person_required');
    }
    if (!visit.inputChecked) checkInput(visit);
    await refuseLeaving(this.#parts.hierarchy, operation, context);
    if (operation.effect !== 'use') return;
    await refuseSealed(this.#parts.hierarchy, context);
    await this.#parts.witnessing.hold(context);
  }

  /** Authorises a batch, and acts on and records each item that is left of it. Answers `stale` when some have to be authorised again. */
  async #passBatch(whole: Visit, refusal: ErrorCode | undefined, batch: Batch): Promise<unknown> {
    let isTurnOver = await this.#pace.turn();
    let refused: OperationError | undefined;
    try {
      // Its form does not change, and checking it takes long.
      whole.inputChecked = batch.hasBegun;
      await step('authorise', () => this.#authorise(whole, refusal));
    } catch (error) {
      if (error instanceof StaleFacts) return stale;
      if (!batch.hasBegun) return this.#refuse(whole, error);
      refused = this.#known(error, whole.request);
    }
    const recording: Promise<void>[] = [];
    for (const item of batch.visits(whole)) {
      if (isTurnOver()) {
        isTurnOver = await this.#pace.turn();
        if (!(await this.#isCurrent(whole.context))) break;
      }
      if (recording.length >= maxItemsInFlight) await recording.shift();
      const acted = refused === undefined ? await this.#actOn(item.visit) : { refusal: refused };
      if (acted === stale || batch.isStale) break;
      if (acted.refusal?.field === '/key' && !batch.hasBegun) {
        const { key, system } = item.visit.context.record;
        Object.assign(whole.context.record, { key, ...(system !== undefined && { system }) });
        return this.#refuse(whole, acted.refusal);
      }
      if (acted.refusal !== undefined && isOfStorage(acted.refusal)) batch.fail(item, acted.refusal);
      else {
        const { appended } = await this.#handIn(item.visit, acted.refusal);
        recording.push(batch.record(item, acted, appended));
      }
    }
    await step('flush', () => Promise.all(recording));
    return batch.answer();
  }

  /** Whether no change of this node has moved the facts on: what is done under them would be done in vain. */
  async #isCurrent({ facts, caller }: Context<OperationId>): Promise<boolean> {
    return (await this.#parts.facts.of(caller.log.id)) === facts;
  }

  async #actOn(visit: Visit): Promise<Acted | typeof stale> {
    try {
      const { request, context } = visit;
      return { result: await step('act', () => this.#implementation(request.operation)(context)) };
    } catch (error) {
      if (error instanceof StaleFacts) return stale;
      return { refusal: this.#known(error, visit.request) };
    }
  }

  /** No entry compares the epoch for an answer that is not recorded: another node may have revoked what allowed it. */
  async #answerUnrecorded({ operation, context, request }: Visit, acted: unknown): Promise<unknown> {
    await context.facts.confirm();
    const { actor } = context.caller;
    const { requestId, source } = request;
    this.#parts.notes.info({ operation: operation.id, actor, requestId, source }, 'Access.');
    return acted;
  }

  /** The two components of an electronic signature, checked; without them, what is to be signed is the answer. */
  async #proveSigner({ operation, context }: Visit): Promise<Proof> {
    const { signature } = context.input as { signature?: Components };
    const { hash } = context.record;
    if (operation.signature === undefined || hash === undefined) {
      throw new Error(`Operation ${operation.id} does not say what is signed.`);
    }
    const { meaning } = operation.signature;
    if (signature === undefined)
      throw new OperationError('signature.needed', { signature: { meaning, hash } });
    return this.#parts.authenticator.prove(context.caller, signature, context.now);
  }

  /** Records why nothing was done, and throws it; answers `stale` where the refusal itself has to be decided again. */
  async #refuse(visit: Visit, error: unknown): Promise<typeof stale> {
    const refusal = this.#known(error, visit.request);
    // What would have come of it did not.
    delete visit.context.record.state;
    if (isOfStorage(refusal)) throw refusal;
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

  async #append(visit: Visit, refusal: OperationError | undefined) {
    try {
      return await step('flush', () => this.#commits.append(visit, refusal));
    } catch (error) {
      throw this.#known(error, visit.request);
    }
  }

  /** Hands an entry in, in its turn; how that ends is what `appended` says. */
  async #handIn(visit: Visit, refusal: OperationError | undefined): Promise<HandedIn> {
    const fail = (error: unknown): never => {
      throw this.#known(error, visit.request);
    };
    try {
      const { appended } = await this.#commits.handIn(visit, refusal);
      return { appended: appended.catch(fail) };
    } catch (error) {
      return { appended: Promise.reject(this.#known(error, visit.request)) };
    }
  }

  /** The behaviour behind an operation; its input has the form that its contract says by the time it runs. */
  #implementation(id: OperationId): (context: Context<OperationId> | undefined) => Promise<unknown> {
    const bound = this.#parts.implementations as Readonly<Record<string, unknown>>;
    return bound[id] as (context: Context<OperationId> | undefined) => Promise<unknown>;
  }
}

/** Where the database does not work there is nowhere to record that; nothing was done or released either. */
function isOfStorage({ code }: OperationError): boolean {
  return code.startsWith('server.storage');
}

/** Whether a change would come as far as acting; the visit itself decides, and records. */
function mayPass(operation: Operation, authenticated: Authenticated, input: unknown): boolean {
  return mayAsk(operation, authenticated) && isValid(operation, input);
}

function mayAsk({ permission }: Operation, { caller, refusal }: Authenticated): boolean {
  return refusal === undefined && grants(caller, permission);
}

/** What a committed change answers: its result, or that it is kept for people to approve. */
function answerOf({ kept }: Visit, result: unknown): unknown {
  if (kept !== undefined) throw new OperationError('approval.needed', { approval: kept });
  return result;
}

/** Dual control and signatures are for people: a credential can be handed on. */
function isDecision({ approval, signature, personOnly }: Operation): boolean {
  return approval !== undefined || signature !== undefined || personOnly === true;
}
