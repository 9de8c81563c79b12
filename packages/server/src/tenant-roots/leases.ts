import type { KeyObject } from 'node:crypto';
import type { OwnRoots, OwnWrapping } from '../keys/index.ts';
import { steadyMs } from '../platform/clock.ts';
import type { Clock } from '../platform/clock.ts';
import { OperationError, StartupError } from '../platform/errors.ts';
import { LruMap } from '../platform/lru.ts';
import type { RootOfTrust } from '../roots/index.ts';

/** What a tenant's root said when it was asked last. */
export type RootAnswer = 'open' | 'refused' | 'unreachable';

/** What is known of a tenant's root on this node. */
export interface LeaseState {
  readonly tenant: string;
  readonly root: string;
  readonly leaseMs: number;
  readonly answer: RootAnswer;
  /** When it was asked for the answer, and since when it gives the same one; ms since 1970. */
  readonly askedAt: number;
  readonly since: number;
  /** Why, where it did not open; no secret. */
  readonly problem?: string;
  /** Whether the key is held now. */
  readonly isHeld: boolean;
}

export interface LeaseParts {
  readonly open: (tenant: string, root: string) => Promise<RootOfTrust>;
  readonly clock: Clock;
  readonly timing?: Partial<LeaseTiming>;
  /** Tenants whose leases are held; the others ask anew. */
  readonly maxLeases?: number;
}

export interface LeaseTiming {
  /** How long a use waits for the root's answer, ms. */
  readonly waitMs: number;
  /** For how long a failure is answered without asking again, ms. */
  readonly retryMs: number;
  /** When the root is asked again ahead of the end, as a part of the lease. */
  readonly renewAt: number;
}

/** Longer than a root takes that answers at all: most ask three times, for 5 s each. */
const usualTiming: LeaseTiming = { waitMs: 20_000, retryMs: 1000, renewAt: 0.5 };
/** Uses of one tenant that wait for its root; further ones are told to come back. */
const maxWaiting = 1000;
const usualMaxLeases = 10_000;

/** When something began: by a clock that never goes back, and by the day's, which goes on while the machine sleeps. */
interface Stamp {
  readonly steady: number;
  readonly day: number;
}

/** One tenant's key under one wrapping. */
interface Lease {
  readonly own: OwnWrapping;
  root?: Promise<RootOfTrust>;
  held?: { readonly key: KeyObject; readonly asked: Stamp };
  /** The question that is under way; there is one at a time. */
  asking?: Promise<KeyObject>;
  /** When it began, by the steady clock. */
  askedAt?: number;
  /** The one after it, for those who must not be answered by a question from before they came. */
  next?: Promise<KeyObject>;
  failure?: { readonly error: OperationError; readonly at: number };
  waiting: number;
  /** Whether it was used since the root was asked: what nobody uses is not renewed. */
  isUsed: boolean;
  renewal?: NodeJS.Timeout;
  end?: NodeJS.Timeout;
  isClosed: boolean;
  answered?: Pick<LeaseState, 'answer' | 'askedAt' | 'since' | 'problem'>;
}

/**
 * Asks the roots of trust of tenants for the tenants' keys, and holds each for as long as its lease says: measured from before the root was
 * asked, so that what a root refuses from some moment on is out of use here when the lease has passed. A root that says no ends the
 * lease at once; one that does not answer, when it has run out. Tenants do not wait for each other.
 */
export class RootLeases implements OwnRoots {
  readonly #parts: LeaseParts;
  readonly #timing: LeaseTiming;
  readonly #leases: LruMap<string, Lease>;
  #onEnd: (tenant: string) => void = () => undefined;
  #onAnswer: (state: LeaseState) => void = () => undefined;

  constructor(parts: LeaseParts) {
    this.#parts = parts;
    this.#timing = { ...usualTiming, ...parts.timing };
    this.#leases = new LruMap(parts.maxLeases ?? usualMaxLeases, (lease) => void this.#close(lease));
  }

  /** @param onEnd told when what was unwrapped for a tenant must no longer be held */
  whenOver(onEnd: (tenant: string) => void): void {
    this.#onEnd = onEnd;
  }

  /** @param onAnswer told when a root gives another answer than before; its first one counts where it is no key */
  whenChanged(onAnswer: (state: LeaseState) => void): void {
    this.#onAnswer = onAnswer;
  }

  async key(own: OwnWrapping): Promise<KeyObject> {
    const lease = this.#of(own);
    lease.isUsed = true;
    if (lease.held !== undefined && this.#isRunning(own, lease.held.asked)) return lease.held.key;
    this.#drop(lease);
    if (lease.failure !== undefined && steadyMs() - lease.failure.at < this.#timing.retryMs) {
      throw lease.failure.error;
    }
    if (lease.waiting >= maxWaiting) throw new OperationError('server.busy');
    lease.waiting++;
    try {
      return await this.#inTime(lease, this.#ask(lease));
    } finally {
      lease.waiting--;
    }
  }

  keepOnly(tenant: string, own: OwnWrapping | undefined): void {
    const lease = this.#leases.get(tenant);
    if (lease === undefined) return;
    if (own !== undefined) {
      this.#of(own);
      return;
    }
    this.#leases.delete(tenant);
    void this.#close(lease);
  }

  /** What this node knows of a tenant's root; undefined where it was not asked. */
  state(tenant: string): LeaseState | undefined {
    const lease = this.#leases.get(tenant);
    return lease && stateOf(lease, lease.held !== undefined && this.#isRunning(lease.own, lease.held.asked));
  }

  /** Ends all leases and closes the roots. */
  async close(): Promise<void> {
    const tenants: string[] = [];
    this.#leases.deleteWhere((tenant) => tenants.push(tenant) === 0);
    for (const tenant of tenants) {
      const lease = this.#leases.get(tenant);
      this.#leases.delete(tenant);
      if (lease !== undefined) await this.#close(lease);
    }
  }

  #of(own: OwnWrapping): Lease {
    const known = this.#leases.get(own.tenant);
    if (known !== undefined && isSame(known.own, own)) return known;
    const fresh: Lease = { own, waiting: 0, isUsed: false, isClosed: false };
    this.#leases.set(own.tenant, fresh);
    if (known !== undefined) {
      const { answered } = known;
      if (answered !== undefined && known.own.root === own.root) fresh.answered = answered;
      void this.#close(known);
    }
    return fresh;
  }

  async #close(lease: Lease): Promise<void> {
    lease.isClosed = true;
    this.#drop(lease);
    await lease.asking?.catch(() => undefined);
    const root = await lease.root?.catch(() => undefined);
    await root?.close();
  }

  /** Whether a lease that began then has not run out by either clock. */
  #isRunning({ leaseMs }: OwnWrapping, asked: Stamp): boolean {
    return steadyMs() - asked.steady < leaseMs && this.#parts.clock.now() - asked.day < leaseMs;
  }

  /** Lets go of the key, and has everything let go that it unwrapped. */
  #drop(lease: Lease): void {
    clearTimeout(lease.renewal);
    clearTimeout(lease.end);
    if (lease.held === undefined) return;
    delete lease.held;
    this.#onEnd(lease.own.tenant);
  }

  #ask(lease: Lease): Promise<KeyObject> {
    if (lease.asking === undefined) {
      const asking = this.#askNow(lease).finally(() => delete lease.asking);
      lease.asking = asking;
      return asking;
    }
    if (lease.own.leaseMs > 0) return lease.asking;
    lease.next ??= lease.asking
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
        delete lease.next;
        return this.#ask(lease);
      });
    return lease.next;
  }

  async #askNow(lease: Lease): Promise<KeyObject> {
    const { own } = lease;
    const asked = { steady: steadyMs(), day: this.#parts.clock.now() };
    lease.askedAt = asked.steady;
    lease.isUsed = lease.waiting > 0;
    try {
      lease.root ??= this.#parts.open(own.tenant, own.root);
      const root = await lease.root.catch((error: unknown) => {
        delete lease.root;
        throw error;
      });
      const key = await root.unwrap(own.place, own.wrapped);
      delete lease.failure;
      if (own.leaseMs > 0 && !lease.isClosed) this.#hold(lease, key, asked);
      this.#answered(lease, 'open', asked.day);
      return key;
    } catch (error) {
      const refusal = refusalOf(error);
      const problem = error instanceof Error ? error.message : '';
      lease.failure = { error: refusal, at: steadyMs() };
      const isNo = refusal.code === 'tenant.root_refused';
      // Who says no is believed at once; who does not answer may only be away for a moment.
      if (isNo) this.#drop(lease);
      else this.#renewSoon(lease);
      this.#answered(lease, isNo ? 'refused' : 'unreachable', asked.day, problem);
      throw refusal;
    }
  }

  #hold(lease: Lease, key: KeyObject, asked: Stamp): void {
    clearTimeout(lease.renewal);
    clearTimeout(lease.end);
    lease.held = { key, asked };
    const { leaseMs } = lease.own;
    // The answer may have taken a good part of the lease.
    const goneMs = steadyMs() - asked.steady;
    const after = (ms: number, act: () => void) => setTimeout(act, Math.max(0, ms - goneMs)).unref();
    lease.end = after(leaseMs, () => this.#drop(lease));
    lease.renewal = after(leaseMs * this.#timing.renewAt, () => this.#renew(lease));
  }

  /** Asks ahead of the end, beside the uses, so that none of them waits while the root is well. */
  #renew(lease: Lease): void {
    if (!lease.isUsed || lease.isClosed || lease.held === undefined) return;
    // The answer is on the lease, whatever it is.
    this.#ask(lease).catch(() => undefined);
  }

  #renewSoon(lease: Lease): void {
    if (lease.held === undefined) return;
    lease.isUsed = true;
    clearTimeout(lease.renewal);
    const pauseMs = Math.max(this.#timing.retryMs, Math.min(lease.own.leaseMs / 10, 30_000));
    lease.renewal = setTimeout(() => this.#renew(lease), pauseMs).unref();
  }

  #answered(lease: Lease, answer: RootAnswer, askedAt: number, problem?: string): void {
    const before = lease.answered;
    const isNew = before?.answer !== answer;
    lease.answered = {
      answer,
      askedAt,
      since: isNew ? askedAt : before.since,
      ...(problem !== undefined && { problem }),
    };
    const isFirst = before === undefined && answer === 'open';
    if (isNew && !isFirst && !lease.isClosed)
      this.#onAnswer(stateOf(lease, lease.held !== undefined) as LeaseState);
  }

  /**
   * Who comes late to a question waits only for what is left of its time.
   *
   * @throws OperationError `tenant.root_unreachable` where the answer does not come in time; the question goes on
   */
  #inTime(lease: Lease, asked: Promise<KeyObject>): Promise<KeyObject> {
    const begun = steadyMs() - (lease.askedAt ?? steadyMs());
    const waitMs = Math.max(0, (lease.next === undefined ? 1 : 2) * this.#timing.waitMs - begun);
    const { promise: late, reject } = Promise.withResolvers<never>();
    const detail = `No answer within ${this.#timing.waitMs / 1000} s.`;
    const timer = setTimeout(() => reject(new OperationError('tenant.root_unreachable', { detail })), waitMs);
    return Promise.race([asked, late]).finally(() => clearTimeout(timer));
  }
}

function isSame(one: OwnWrapping, other: OwnWrapping): boolean {
  return (
    one.root === other.root &&
    one.leaseMs === other.leaseMs &&
    Buffer.compare(one.wrapped, other.wrapped) === 0
  );
}

function stateOf({ own, answered }: Lease, isHeld: boolean): LeaseState | undefined {
  const { tenant, root, leaseMs } = own;
  return answered && { tenant, root, leaseMs, ...answered, isHeld };
}

/** What a root answers that is there, and does not give the key. */
const refusals: ReadonlySet<string> = new Set([
  'root.refused',
  'root.key_gone',
  'root.wrong',
  'root.passphrase_wrong',
  'root.pin_missing',
  'root.passphrase_missing',
  'root.unsuitable',
]);

/**
 * What a root that did not open means for the tenant: it says no, or it cannot be asked. Callers are told the code alone: what there is
 * beside it names files and addresses of the installation.
 */
export function refusalOf(error: unknown): OperationError {
  const code = isError(error) ? error.code : undefined;
  if (code === undefined) throw error;
  const said = refusals.has(code) ? 'tenant.root_refused' : 'tenant.root_unreachable';
  return new OperationError(said, { detail: `${code}.`, cause: error });
}

function isError(error: unknown): error is OperationError | StartupError {
  return error instanceof OperationError || error instanceof StartupError;
}
