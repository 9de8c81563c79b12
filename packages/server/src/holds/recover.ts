import type { KeyObject } from 'node:crypto';
import type { HoldKind } from '@trialkeep/contract';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';
import { thingOf } from './thing.ts';

/** Places and releases holds, in a database that was put back, as the ledger says: its entries hold all that a hold is. */
export async function recoverHolds(
  tx: Tx,
  { tenant, rowKey }: { readonly tenant: string; readonly rowKey: KeyObject },
  entries: readonly Entry[],
): Promise<void> {
  for (const entry of entries) {
    const { operation, outcome, hold: id } = entry;
    if (outcome !== 'success' || id === undefined) continue;
    const row = await store.find(tx, rowKey, tenant, id);
    if (operation === 'holds.place' && row === undefined) {
      await store.insert(tx, rowKey, {
        id,
        tenant,
        ...thingOf(entry, tenant, {}),
        kind: entry.reason as HoldKind,
        until_at: entry.dueAt ?? null,
        state: 'placed',
        placed_by: entry.actor ?? null,
        placed_at: entry.time,
        changed_at: entry.time,
      });
    }
    if (operation === 'holds.release' && row?.state === 'placed') {
      await store.update(tx, rowKey, { ...row, state: 'released', changed_at: entry.time });
    }
  }
}
