import type { KeyObject } from 'node:crypto';
import type { Entry } from '../audit/index.ts';
import { findKey } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';

/** Of which tenant, and when. */
interface Put {
  readonly tenant: string;
  readonly rowKey: KeyObject;
  readonly time: number;
}

/**
 * Retires destinations in a database that was put back, as the ledger says. Gives those that were registered since, and the exports that could
 * still be fetched if what was wrapped were not gone.
 */
export async function recoverDestinations(tx: Tx, put: Put, entries: readonly Entry[]): Promise<string[]> {
  const { tenant, rowKey } = put;
  const lost: string[] = [];
  for (const { operation, outcome, destination: id, time } of entries) {
    const isAbout = operation === 'destinations.register' || operation === 'destinations.retire';
    if (!isAbout || outcome !== 'success' || id === undefined) continue;
    const row = await store.findDestination(tx, rowKey, tenant, id);
    if (operation === 'destinations.register' && row === undefined) {
      lost.push(`Destination ${id} of exported keys: register it anew.`);
    }
    if (operation === 'destinations.retire' && row?.state === 'registered') {
      await store.retire(tx, rowKey, row, time);
    }
  }
  return [...lost, ...(await lostExports(tx, put, entries))];
}

/** What was destroyed, is not there any more, or whose destination was retired since, is gone for good and not lost. */
async function lostExports(
  tx: Tx,
  { tenant, rowKey, time }: Put,
  entries: readonly Entry[],
): Promise<string[]> {
  const rows = await store.listExports(tx, rowKey, tenant, { after: time });
  const retired = new Set(
    entries
      .filter(({ operation, outcome }) => operation === 'destinations.retire' && outcome === 'success')
      .map(({ destination }) => destination),
  );
  const lost: string[] = [];
  for (const { operation, outcome, key, version, destination, dueAt } of entries) {
    const isOpen =
      operation === 'keys.export' && outcome === 'success' && dueAt !== undefined && dueAt > time;
    if (!isOpen || key === undefined || retired.has(destination)) continue;
    const isThere = rows.some(
      (row) =>
        row.key === key &&
        row.version === version &&
        row.destination === destination &&
        row.ends_at === dueAt,
    );
    const found = await findKey(tx, rowKey, tenant, key);
    if (isThere || found === undefined || found.state === 'destroyed') continue;
    lost.push(
      `The export of version ${version} of key ${key} to destination ${destination}: have it approved anew.`,
    );
  }
  return lost;
}
