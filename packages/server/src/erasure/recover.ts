import type { KeyObject } from 'node:crypto';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import type { ShredStore } from '../shred/index.ts';
import type { ShredRemovalInput } from './removal.ts';
import { scheduleRenewal } from './removal.ts';
import * as store from './store.ts';

/** What the ledger says of the erasures of a tenant, and what the shred store still has. */
export interface ErasureRecovery {
  /** Participants whose keys are there again: the shred store may have come from the same backup. They are to be removed anew. */
  readonly unerased: readonly ShredRemovalInput[];
  apply(tx: Tx, rowKey: KeyObject, time: number): Promise<void>;
}

/** @param entries what the ledger says, in order (`tellingEntries`) */
export async function recoverErasures(
  shred: ShredStore,
  tenant: string,
  entries: readonly Entry[],
): Promise<ErasureRecovery> {
  const said = new Map<string, Entry & { study: string; subject: string }>();
  for (const entry of entries) {
    const { operation, outcome, study, subject } = entry;
    if (operation !== 'subjects.erase' || outcome !== 'success') continue;
    if (study !== undefined && subject !== undefined) said.set(subject, { ...entry, study, subject });
  }
  const unerased: ShredRemovalInput[] = [];
  const gone: (Entry & { study: string; subject: string })[] = [];
  for (const entry of said.values()) {
    const { study, subject } = entry;
    if ((await shred.find(subject)) === undefined) gone.push(entry);
    else unerased.push({ tenant, study, subject });
  }
  const epoch = await shred.epoch();
  return {
    unerased,
    apply: async (tx, rowKey, time) => {
      for (const each of unerased) await store.setState(tx, each, 'erasing');
      for (const { study, subject, state, time: removed_at } of gone) {
        const known = await store.find(tx, rowKey, study, subject);
        if (known !== undefined && (known.completed_at !== null) === (state === 'erased')) continue;
        const isComplete = state === 'erased';
        const at = isComplete ? removed_at : null;
        const done = { renewed_at: at, completed_at: at };
        await store.putWhereRegistered(tx, rowKey, { study, subject, tenant, removed_at, epoch, ...done });
        if (isComplete) await store.setState(tx, { study, subject }, 'erased');
        else await scheduleRenewal(tx, time);
      }
    },
  };
}
