import type { ErrorCode, Input, OperationId, Operations, Output, Role } from '@trialkeep/contract';
import type { Tx } from './database.ts';
import type { Facts } from './facts.ts';

/** The log that a request is recorded in: a tenant's, or the instance's. */
export interface Log {
  readonly id: number;
  /** null for the instance's own log. */
  readonly tenant: string | null;
  readonly origin: string;
}

/** Who asks: an authenticated credential, with the facts that say what it may. */
export interface Caller {
  readonly credential: string;
  readonly role: Role;
  /** The system that a service acts for. */
  readonly system: string | null;
  readonly log: Log;
  readonly facts: Facts;
}

/** The fields of a ledger entry that the operation itself knows; docs/formats/ledger-entry.md gives their meaning. */
export interface Recorded {
  /** The credential that was issued or revoked. */
  credential?: string;
  key?: string;
  version?: number;
  study?: string;
  system?: string;
  subject?: string;
  class?: string;
  purpose?: string;
  /** A code out of a closed list; free text belongs to the payload. */
  reason?: string;
  /** The state that a key or credential has after the change. */
  state?: string;
}

/** How long an authorisation holds; the flush refuses what it finds outside. Milliseconds, `until` exclusive. */
export interface Validity {
  from: number;
  until: number;
  /** The answer once the time is outside. */
  refusal: ErrorCode;
}

/** One call of an operation on its way through the gate. */
export interface Context<Id extends OperationId> {
  readonly input: Input<Operations[Id]>;
  readonly caller: Caller;
  readonly facts: Facts;
  /** The time of the authorisation; the flush decides by the database's. */
  readonly now: number;
  /** What the entry will say; filled in as soon as it is known, so that a refusal says it too. */
  readonly record: Recorded;
  /** The old and new values and whatever else belongs in the entry's encrypted payload. */
  readonly payload: Record<string, unknown>;
  /** Every window that the outcome depends on. */
  readonly validity: Validity[];
  /** What a change leaves to do once its transaction has committed. */
  readonly afterCommit: (() => Promise<void>)[];
}

/** The tenant that a caller belongs to; operations of tenants are never reached with an instance credential. */
export function tenantOf(caller: Caller): string {
  if (caller.log.tenant === null)
    throw new Error('An operation of a tenant was reached with an instance credential.');
  return caller.log.tenant;
}

/** Uses and reads change no rows: the result is kept back until its entry is durable. */
export type Use<Id extends OperationId> = (context: Context<Id>) => Promise<Output<Operations[Id]>>;

/**
 * A change first prepares without locks, and returns what runs inside the transaction that also holds its entry. `time` is the
 * database's, the same as the entry's.
 */
export type Change<Id extends OperationId> = (context: Context<Id>) => Promise<Apply<Id>>;
export type Apply<Id extends OperationId> = (
  transaction: Tx,
  time: number,
) => Promise<Output<Operations[Id]>>;

/** What needs no credential knows no caller. */
export type Public<Id extends OperationId> = () => Promise<Output<Operations[Id]>>;

export type Implementation<Id extends OperationId> = Operations[Id]['permission'] extends 'public'
  ? Public<Id>
  : Operations[Id]['effect'] extends 'change'
    ? Change<Id>
    : Use<Id>;
/** A slice binds some of the contract's operations to their behaviour. */
export type Implementations<Id extends OperationId = OperationId> = { readonly [K in Id]: Implementation<K> };
