import type { Tx } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import { parseEntry } from './entry.ts';
import type { Entry } from './entry.ts';
import { recordedLogKeys } from './log-keys/recover.ts';
import type { RecordedLogKeys } from './log-keys/recover.ts';
import * as store from './store.ts';

/** What entries state what became of. */
type Thing =
  | 'approval'
  | 'closure'
  | 'credential'
  | 'destination'
  | 'hold'
  | 'holder'
  | 'key'
  | 'person'
  | 'reporter'
  | 'review'
  | 'session';

/** The newest entries that say what became of something. */
export interface RecordedStates extends Readonly<Record<Thing, ReadonlyMap<string, RecordedState>>> {
  /** Of the tenant itself: whether its keys may be used. */
  readonly tenantSeal: RecordedState | undefined;
  /** How far the leaving of the tenant is. */
  readonly tenantExit: RecordedState | undefined;
  /** Second recipients by their ids. */
  readonly secondRecipient: ReadonlyMap<string, RecordedState>;
  /** Where the tenant's key is, and how often that was changed; `root` where it is under one of the tenant's own. */
  readonly tenantRoot: RecordedTenantRoot | undefined;
  /** The mode and version of the newest witnessing policy. */
  readonly witnessing: RecordedState | undefined;
  /** How far the erasures of whole studies are. */
  readonly studyErasure: ReadonlyMap<string, RecordedState>;
  readonly logKeys: RecordedLogKeys;
  /** When the destruction of a key that waits for it is due, ms. */
  readonly destruction: ReadonlyMap<string, number>;
  /** The keys that were ever revoked: one that had expired before has the same state after it. */
  readonly revokedKeys: ReadonlySet<string>;
  /** Imports of key material that were completed. */
  readonly imports: ReadonlySet<string>;
  /** The approvals that changes of roots of trust have used up. */
  readonly usedPermits: ReadonlySet<string>;
  /** The root of trust that became the active one last; undefined where it is the one from the beginning. */
  readonly activeRoot: string | undefined;
  /** The recipient usage periods that keys were given, days; 0 for one without end. */
  readonly recipientPeriod: ReadonlyMap<string, number>;
  /** The period of the newest rotation policy, days. */
  readonly rotationPeriodDays: number | undefined;
}

export interface RecordedState {
  readonly state: string;
  readonly version: number | undefined;
  readonly time: number;
}

/** What the newest entry says of where the tenant's key is. */
export interface RecordedTenantRoot {
  readonly root: string | undefined;
  readonly leaseSeconds: number | undefined;
  readonly version: number;
}

/** What the operations of each noun give a state. */
const things: ReadonlyMap<string, Thing> = new Map<string, Thing>([
  ['approvals', 'approval'],
  ['credentials', 'credential'],
  ['destinations', 'destination'],
  ['enrolment', 'person'],
  ['holders', 'holder'],
  ['holds', 'hold'],
  ['keys', 'key'],
  ['people', 'person'],
  ['reviews', 'review'],
  ['sessions', 'session'],
  ['uses', 'reporter'],
]);

/** Whether the entry says that a key was revoked; a drill's key is by entries of its own. */
export function isKeyRevocation({ operation, outcome, key, state }: Entry): boolean {
  if (key === undefined || outcome !== 'success') return false;
  if (operation === 'keys.revoke') return true;
  return operation.startsWith('revocations.') && (state === 'deactivated' || state === 'compromised');
}

const positionsPerRead = 20_000;

/** Reads the states of what a log is about out of all its entries in the snapshot. Linear in the log. */
export async function recordedStates(snapshot: Tx, log: number): Promise<RecordedStates> {
  const states = new States();
  const { size } = await store.progress(snapshot, log);
  for (let first = 0; first < size; first += positionsPerRead) {
    const entries = await store.stateEntries(snapshot, log, first, positionsPerRead);
    for (const bytes of entries) states.take(readEntry(bytes));
  }
  return states;
}

class States implements RecordedStates {
  readonly approval = new Map<string, RecordedState>();
  readonly closure = new Map<string, RecordedState>();
  readonly credential = new Map<string, RecordedState>();
  readonly destination = new Map<string, RecordedState>();
  readonly hold = new Map<string, RecordedState>();
  readonly holder = new Map<string, RecordedState>();
  readonly key = new Map<string, RecordedState>();
  readonly person = new Map<string, RecordedState>();
  readonly reporter = new Map<string, RecordedState>();
  readonly review = new Map<string, RecordedState>();
  readonly secondRecipient = new Map<string, RecordedState>();
  readonly session = new Map<string, RecordedState>();
  readonly studyErasure = new Map<string, RecordedState>();
  tenantExit: RecordedState | undefined;
  readonly destruction = new Map<string, number>();
  readonly revokedKeys = new Set<string>();
  readonly usedPermits = new Set<string>();
  activeRoot: string | undefined;
  readonly imports = new Set<string>();
  readonly recipientPeriod = new Map<string, number>();
  rotationPeriodDays: number | undefined;
  tenantSeal: RecordedState | undefined;
  tenantRoot: RecordedTenantRoot | undefined;
  witnessing: RecordedState | undefined;
  readonly #aboutLogKeys: Entry[] = [];

  get logKeys(): RecordedLogKeys {
    return recordedLogKeys(this.#aboutLogKeys);
  }

  take(entry: Entry): void {
    if (entry.logKeys !== undefined) this.#aboutLogKeys.push(entry);
    const noun = entry.operation.split('.', 1)[0] ?? '';
    if (entry.approval !== undefined && noun !== 'approvals') this.#takeExecution(entry, entry.approval);
    if (entry.outcome !== 'success') return;
    this.rotationPeriodDays = entry.rotationPeriodDays ?? this.rotationPeriodDays;
    this.#takeRoot(entry);
    if (entry.state === undefined) return;
    if (entry.import !== undefined) this.imports.add(entry.import);
    // What counts the changes of a reporter is how far its receipts have come.
    const version = entry.attested?.sequence ?? entry.version;
    const recorded = { state: entry.state, version, time: entry.time };
    if (entry.operation === 'tenants.seal' || entry.operation === 'tenants.unseal')
      this.tenantSeal = recorded;
    if (entry.operation === 'witnessing.set-policy') this.witnessing = recorded;
    if (noun === 'tenant-root') {
      this.tenantRoot = { root: entry.root, leaseSeconds: entry.leaseSeconds, version: entry.version ?? 0 };
    }
    if (/^tenants\.(?:exit|copy-exit|confirm-exit|shred|cancel-exit)$/.test(entry.operation))
      this.tenantExit = recorded;
    if (noun === 'studies' && entry.study !== undefined) this.studyErasure.set(entry.study, recorded);
    this.#takeKey(entry);
    if (noun === 'second-recipients' && entry.recipients?.[0] !== undefined) {
      this.secondRecipient.set(entry.recipients[0], recorded);
    }
    const [thing, id] = noun === 'revocations' ? revokedThing(entry) : [things.get(noun), undefined];
    if (thing === undefined) return;
    if (thing === 'closure') {
      if (id !== undefined) this.#takeClosure(id, entry.state, entry.time);
      return;
    }
    const named = id ?? entry[thing];
    if (named !== undefined) this[thing].set(named, recorded);
  }

  /** Its version is the time that names it: that of its entry, or later, for no two changes of one study have the same. */
  #takeClosure(study: string, state: string, time: number): void {
    const version = Math.max(time, (this.closure.get(study)?.version ?? 0) + 1);
    this.closure.set(study, { state, version, time });
  }

  #takeRoot({ operation, approval, key }: Entry): void {
    if (!/^instance\.[a-z]+-root$/.test(operation)) return;
    if (approval !== undefined) this.usedPermits.add(approval);
    const isActivation = operation === 'instance.activate-root' || operation === 'instance.replace-root';
    if (isActivation && key !== undefined) this.activeRoot = key;
  }

  #takeKey(entry: Entry): void {
    const { operation, key, dueAt, recipientPeriodDays } = entry;
    if (key === undefined) return;
    if (isKeyRevocation(entry)) this.revokedKeys.add(key);
    if (recipientPeriodDays !== undefined) this.recipientPeriod.set(key, recipientPeriodDays);
    if (operation === 'keys.schedule-destruction' && dueAt !== undefined) this.destruction.set(key, dueAt);
    if (operation === 'keys.cancel-destruction' || operation === 'keys.destroy') this.destruction.delete(key);
  }

  /** An entry of what people approved says what came of the request; the one that kept it says nothing yet. */
  #takeExecution({ outcome, version, time }: Entry, approval: string): void {
    // Nothing comes after the execution: a row that was put back and tried again is not the one of the ledger.
    if (outcome === 'requested' || this.approval.get(approval)?.state === 'executed') return;
    this.approval.set(approval, { state: outcome === 'success' ? 'executed' : 'failed', version, time });
  }
}

/** What an entry of a revocation is about: of what it names, the thing itself and not what that belongs to. */
function revokedThing({ credential, key, person, session, study }: Entry): [Thing?, string?] {
  if (session !== undefined) return ['session', session];
  if (person !== undefined) return ['person', person];
  if (credential !== undefined) return ['credential', credential];
  if (key !== undefined) return ['key', key];
  return study === undefined ? [] : ['closure', study];
}

/** What is no entry at all is not what was written, or only half of it. */
function readEntry(bytes: Uint8Array): Entry {
  try {
    return parseEntry(bytes);
  } catch (error) {
    throw new StartupError('database.altered', 'An entry of the ledger cannot be read.', error);
  }
}
