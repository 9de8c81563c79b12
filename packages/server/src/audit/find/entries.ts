import type { Conditions } from '@trialkeep/contract';
import type { Tx } from '../../platform/database.ts';
import { OperationError } from '../../platform/errors.ts';
import { parseEntry } from '../entry.ts';
import type { Entry } from '../entry.ts';
import { readEntries } from '../store.ts';
import { termsOf, valuesOf } from './postings.ts';
import { findPlaces, rangeOf } from './search.ts';
import type { Read } from './search.ts';
import * as store from './store.ts';

/** Entries behind the index that are looked through one by one; more are there only while it is made anew. */
const maxBehindIndex = 32_768;

/** Whether an entry meets the conditions. */
export function isMet(conditions: Conditions, entry: Entry): boolean {
  const { from = 0, to = Infinity } = conditions;
  if (entry.time < from || entry.time >= to) return false;
  const values = valuesOf(entry);
  const has = (field: string, value: string): boolean =>
    values.some(([one, other]) => one === field && other === value);
  return termsOf(conditions, { kinds: true }).every((term) => term.some((value) => has(...value)));
}

/**
 * The first `limit` entries behind `after` and up to `to` that meet the conditions, in order, as the snapshot has them: also those that the
 * index has not come to.
 *
 * @throws OperationError `server.busy` while the index is being made anew
 */
export async function findEntries(
  snapshot: Tx,
  log: number,
  conditions: Conditions,
  { after, to }: { readonly after: number; readonly to: number },
  limit: number,
): Promise<{ position: number; bytes: Uint8Array }[]> {
  const { size, treeSize, first: archived } = await store.progress(snapshot, log);
  const read: Read = (work) => work(snapshot);
  const end = Math.min(to + 1, treeSize);
  const first = Math.max(after + 1, archived);
  const range = await rangeOf(read, log, conditions, { first, size: Math.max(first, Math.min(size, end)) });
  const found = await findPlaces(read, log, conditions, range, limit);
  const entries = await store.entriesAt(snapshot, log, found);
  const behind = Math.max(first, size);
  if (entries.length >= limit || behind >= end) return entries;
  if (end - behind > maxBehindIndex) throw new OperationError('server.busy');
  const rest = await readEntries(snapshot, log, behind, end - behind);
  for (const [i, bytes] of rest.entries()) {
    if (entries.length < limit && isMet(conditions, parseEntry(bytes))) {
      entries.push({ position: behind + i, bytes });
    }
  }
  return entries;
}
