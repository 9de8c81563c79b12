import type { Tx } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import { parseEntry } from './entry.ts';
import type { Entry } from './entry.ts';
import { recordedLogKeys } from './log-keys/recover.ts';
import type { RecordedLogKeys } from './log-keys/recover.ts';
import * as store from './store.ts';

/** What entries state what became of. */
type Thing = 'approval' | 'credential' | 'key' | 'person' | 'reporter' | 'review' | 'session';

/** The newest entries that say what became of something. */
export interface RecordedStates extends Readonly<Record<Thing, ReadonlyMap<string, RecordedState>>> {
  /** Of the tenant itself: whether its keys may be used. */
  readonly tenantSeal: RecordedState | undefined;
  /** The mode and version of the newest witnessing policy. */
  readonly witnessing: RecordedState | undefined;
  readonly logKeys: RecordedLogKeys;
}

export interface RecordedState {
  readonly state: string;
  readonly version: number | undefined;
  readonly time: number;
}

/** What the operations of each noun give a state. */
const things: ReadonlyMap<string, Thing> = new Map<string, Thing>([
  ['approvals', 'approval'],
  ['credentials', 'credential'],
  ['enrolment', 'person'],
  ['keys', 'key'],
  ['people', 'person'],
  ['reviews', 'review'],
  ['sessions', 'session'],
  ['uses', 'reporter'],
]);

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
  readonly credential = new Map<string, RecordedState>();
  readonly key = new Map<string, RecordedState>();
  readonly person = new Map<string, RecordedState>();
  readonly reporter = new Map<string, RecordedState>();
  readonly review = new Map<string, RecordedState>();
  readonly session = new Map<string, RecordedState>();
  tenantSeal: RecordedState | undefined;
  witnessing: RecordedState | undefined;
  readonly #aboutLogKeys: Entry[] = [];

  get logKeys(): RecordedLogKeys {
    return recordedLogKeys(this.#aboutLogKeys);
  }

  take(entry: Entry): void {
    if (entry.logKeys !== undefined) this.#aboutLogKeys.push(entry);
    const noun = entry.operation.split('.', 1)[0] ?? '';
    if (entry.approval !== undefined && noun !== 'approvals') this.#takeExecution(entry, entry.approval);
    if (entry.outcome !== 'success' || entry.state === undefined) return;
    // What counts the changes of a reporter is how far its receipts have come.
    const version = entry.attested?.sequence ?? entry.version;
    const recorded = { state: entry.state, version, time: entry.time };
    if (entry.operation === 'tenants.seal' || entry.operation === 'tenants.unseal')
      this.tenantSeal = recorded;
    if (entry.operation === 'witnessing.set-policy') this.witnessing = recorded;
    const thing = things.get(noun);
    const id = thing && entry[thing];
    if (thing !== undefined && id !== undefined) this[thing].set(id, recorded);
  }

  /** An entry of what people approved says what came of the request; the one that kept it says nothing yet. */
  #takeExecution({ outcome, version, time }: Entry, approval: string): void {
    // Nothing comes after the execution: a row that was put back and tried again is not the one of the ledger.
    if (outcome === 'requested' || this.approval.get(approval)?.state === 'executed') return;
    this.approval.set(approval, { state: outcome === 'success' ? 'executed' : 'failed', version, time });
  }
}

/** What is no entry at all is not what was written, or only half of it. */
function readEntry(bytes: Uint8Array): Entry {
  try {
    return parseEntry(bytes);
  } catch (error) {
    throw new StartupError('database.altered', 'An entry of the ledger cannot be read.', error);
  }
}
