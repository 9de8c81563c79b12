import type { BatchId, ErrorCode, Input, OperationId, Operations, Output, Role } from '@trialkeep/contract';
import type { Tx } from './database.ts';
import type { Facts } from './facts.ts';

/** The log that a request is recorded in: a tenant's, or the instance's. */
export interface Log {
  readonly id: number;
  /** null for the instance's own log. */
  readonly tenant: string | null;
  readonly origin: string;
}

/**
 * What the caller has shown: a credential, which is a service's; a session or an invitation, which are a person's; to sign in,
 * the person's own proofs; or that others have approved what the person asked for.
 */
export interface Means {
  readonly type: 'credential' | 'session' | 'invitation' | 'sign-in' | 'approval';
  /** Of the credential, session or invitation; of the person where they sign in; of the approved request that is carried out. */
  readonly id: string;
  /** Authentication assurance level (SP 800-63B): how many independent factors stand behind it. */
  readonly level: number;
}

/** Who asks, with the facts that say what they may. */
export interface Caller {
  /** Id of the credential or of the person. */
  readonly actor: string;
  readonly means: Means;
  readonly roles: readonly Role[];
  /** The system that a service acts for. */
  readonly system: string | null;
  readonly log: Log;
  readonly facts: Facts;
}

export function isPerson(caller: Pick<Caller, 'means'>): boolean {
  return caller.means.type !== 'credential';
}

/** Proofs that a person has just given: good for one change, in whose transaction they are spent. */
export interface Proof {
  /** Throws `auth.failed` where the one-time code was spent elsewhere meanwhile. */
  spend(tx: Tx): Promise<void>;
}

/** The fields of a ledger entry that the operation itself knows; docs/formats/ledger-entry.md gives their meaning. */
export interface Recorded {
  /** The request for approval that was made, decided on or carried out. */
  approval?: string;
  /** What a client attests of a use: docs/formats/use-receipt.md. */
  attested?: {
    readonly use: 'seal' | 'open';
    readonly recipient?: string;
    readonly count: number;
    readonly sequence: number;
    /** By the client's clock, ms. */
    readonly time: number;
  };
  /** The credential that was issued or revoked. */
  credential?: string;
  /** SHA-256 of the wrapped data key, where its uses are reported. */
  dataKey?: string;
  /** Who a key is exported to. */
  destination?: string;
  /** When what was decided takes place or ends, ms: the destruction of a key, the end of a hold or of what a holder has. */
  dueAt?: number;
  /** The sequence numbers before this receipt that no receipt came for. */
  gap?: { readonly from: number; readonly to: number };
  /** SHA-256 of the document that was decided on or signed, or of the receipt. */
  hash?: string;
  /** The hold that was placed or released, or that stood against something. */
  hold?: string;
  /** The place with copies of keys that was registered or attested. */
  holder?: string;
  /** How long the tenant's key is used after its own root of trust was asked, s: a refusal bites no later. */
  leaseSeconds?: number;
  /** The import of key material that was asked for or completed. */
  import?: string;
  /** The signing keys of the log itself that begin (verifier keys) and end (their ids), and when those end, ms. */
  logKeys?: {
    readonly begins?: readonly string[];
    readonly ends: readonly string[];
    readonly endsAt?: number;
  };
  /** Keyed fingerprint of key material that was brought from elsewhere or exported (docs/formats/key-transfer.md). */
  material?: string;
  /** The object of an HSM that is about to be made for a key, or what became of it: the id of the version. */
  object?: string;
  /** Entries below were pruned. */
  prunedBelow?: number;
  /** The person that a change is about. */
  person?: string;
  /** The plan of reviews that was made or changed, or whose review this is. */
  plan?: string;
  /** SHA-256 of the witnessing policy that was set, or that is met or not met. */
  policy?: string;
  /** How long versions of the key process after they have stopped to protect, days; 0 where that has no end. */
  recipientPeriodDays?: number;
  /** The second recipients that were registered or removed, or that can open what was protected. */
  recipients?: readonly string[];
  /** The entry whose payload was redacted. */
  redacted?: string;
  /** The public key of who signed the receipts. */
  reporter?: string;
  /** The audit-trail review that was opened, worked on or closed. */
  review?: string;
  /** The run that wraps the registered data keys of a key anew. */
  rewrap?: string;
  /** The root of trust that holds the tenant's key, where it is the tenant's own. */
  root?: string;
  /** How often keys of the tenant rotate that have no period of their own, days. */
  rotationPeriodDays?: number;
  /** The session that began or ended. */
  session?: string;
  /** SHA-256 of the record of the electronic signature under this. */
  signature?: string;
  /** Entries under the checkpoint that a timestamp is of, or up to which a review goes. */
  size?: number;
  /** The key that a ciphertext was under before, on the entry of the key that it is re-encrypted under. */
  source?: string;
  key?: string;
  version?: number;
  study?: string;
  system?: string;
  subject?: string;
  class?: string;
  purpose?: string;
  /** A code out of a closed list; free text belongs to the payload. */
  reason?: string;
  /** The state that what the operation is about has after the change. */
  state?: string;
  /** Set where each use of the key's data keys is reported. */
  useLogged?: true;
}

/** One of several things that a call is about, with an entry of its own. */
export interface RecordedItem {
  readonly record: Recorded;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** How long an authorisation holds; the flush refuses what it finds outside. Milliseconds, `until` exclusive. */
export interface Validity {
  from: number;
  until: number;
  /** The answer once the time is outside. */
  refusal: ErrorCode;
}

/** What the caller speaks: Trialkeep's own API, or another product's over the same operations, which cannot say all that ours can. */
export type Protocol = 'trialkeep' | 'aws-kms';

/** One call of an operation on its way through the gate. */
export interface Context<Id extends OperationId> {
  readonly input: Input<Operations[Id]>;
  readonly caller: Caller;
  readonly protocol: Protocol;
  readonly facts: Facts;
  /** The time of the authorisation; the flush decides by the database's. */
  readonly now: number;
  /** What the entry will say; filled in as soon as it is known, so that a refusal says it too. */
  readonly record: Recorded;
  /** The old and new values and whatever else belongs in the entry's encrypted payload. */
  readonly payload: Record<string, unknown>;
  /**
   * What a change or use did to several things at once: where there is any, the entries of its success are theirs, in this order, and
   * the one from `record` and `payload` is not written.
   */
  readonly items: RecordedItem[];
  /** Every window that the outcome depends on. */
  readonly validity: Validity[];
  /**
   * Does what takes long and depends on the input alone, once, however often the request is authorised again: other nodes may
   * move the facts on faster than it ends. One such piece of work for each operation.
   */
  readonly once: <T>(work: () => Promise<T>) => Promise<T>;
  /** The id of the signature that this call makes, where its operation carries one. */
  readonly signature: string | undefined;
  /** Whose key seals the entry's payload where it is about a subject: the log's where the subject's is about to go. */
  payloadUnder: 'subject' | 'log';
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
/** A slice binds some of the contract's operations to their behaviour; batches are the gate's, with that of their single twin. */
export type Implementations<Id extends OperationId = OperationId> = {
  readonly [K in Exclude<Id, BatchId>]: Implementation<K>;
};
