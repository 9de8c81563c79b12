import type { Database } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import { parseEntry } from './entry.ts';
import type { Entry } from './entry.ts';
import * as store from './store.ts';

/** The newest entry about each key and each credential that says what became of it. */
export interface RecordedStates {
  readonly keys: ReadonlyMap<string, Entry>;
  readonly credentials: ReadonlyMap<string, Entry>;
}

const positionsPerRead = 20_000;

/** Reads the states of a log's keys and credentials out of its entries, from the first to `size`. Linear in the log. */
export async function recordedStates(database: Database, log: number, size: number): Promise<RecordedStates> {
  const keys = new Map<string, Entry>();
  const credentials = new Map<string, Entry>();
  for (let first = 0; first < size; first += positionsPerRead) {
    const entries = await database.read((snapshot) =>
      store.stateEntries(snapshot, log, first, positionsPerRead),
    );
    for (const bytes of entries) {
      const entry = readEntry(bytes);
      if (entry.outcome !== 'success' || entry.state === undefined) continue;
      if (entry.credential !== undefined) credentials.set(entry.credential, entry);
      else if (entry.key !== undefined) keys.set(entry.key, entry);
    }
  }
  return { keys, credentials };
}

/** What is no entry at all is not what was written, or only half of it. */
function readEntry(bytes: Uint8Array): Entry {
  try {
    return parseEntry(bytes);
  } catch (error) {
    throw new StartupError('database.altered', 'An entry of the ledger cannot be read.', error);
  }
}
