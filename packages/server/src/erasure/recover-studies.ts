import type { KeyObject } from 'node:crypto';
import type { Entry } from '../audit/index.ts';
import { findStudyErasure, putStudyErasure } from '../keys/index.ts';
import type { StudyErasure } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { ShredStore } from '../shred/index.ts';
import { scheduleRenewal } from './removal.ts';
import * as store from './store.ts';
import { beginStudyErasure, cancelErasure, scheduleErasure } from './study.ts';

type Said = Entry & { readonly study: string; readonly state: StudyErasure['state'] };

/** Brings the erasures of whole studies in line with the ledger in a database that was put back; the keys that are there again go anew. */
export interface StudyErasureRecovery {
  /** @returns the studies that were erased and are `erasing` again: each needs an entry that says so, in the same transaction */
  apply(
    tx: Tx,
    of: { readonly rowKey: KeyObject; readonly log: number; readonly time: number },
  ): Promise<readonly string[]>;
}

/** @param entries what the ledger says, in order (`tellingEntries`) */
export async function recoverStudyErasures(
  shred: ShredStore,
  tenant: string,
  entries: readonly Entry[],
): Promise<StudyErasureRecovery> {
  const said = new Map<string, Said>();
  const due = new Map<string, number>();
  for (const entry of entries) {
    const { operation, outcome, study, state } = entry;
    if (operation !== 'studies.erase' && operation !== 'studies.cancel-erasure') continue;
    if (outcome !== 'success' || study === undefined || state === undefined) continue;
    said.set(study, { ...entry, study, state: state as StudyErasure['state'] });
    if (entry.dueAt !== undefined) due.set(study, entry.dueAt);
  }
  const present = new Set<string>();
  for (const study of said.keys()) if ((await shred.find(study)) !== undefined) present.add(study);
  const epoch = await shred.epoch();
  return {
    apply: async (tx, of) => {
      const again: string[] = [];
      for (const entry of said.values()) {
        const { study, state, time } = entry;
        if (!(await store.studyExists(tx, tenant, study))) continue;
        const known = await findStudyErasure(tx, of.rowKey, tenant, study);
        const due_at = due.get(study) ?? known?.due_at ?? time;
        const row = { study, tenant, state, due_at, changed_at: time };
        const isGone = state === 'erasing' || state === 'erased';
        if (isGone && present.has(study)) {
          await beginStudyErasure(tx, of, row);
          if (state === 'erased') again.push(study);
        } else if (known?.state !== state || known.due_at !== due_at) await bring(tx, of, row, epoch);
      }
      return again;
    },
  };
}

async function bring(
  tx: Tx,
  { rowKey, time }: { readonly rowKey: KeyObject; readonly time: number },
  row: StudyErasure,
  epoch: number,
): Promise<void> {
  const { study, tenant, state, changed_at: removed_at } = row;
  await putStudyErasure(tx, rowKey, row);
  if (state === 'waiting') await scheduleErasure(tx, row);
  else await cancelErasure(tx, study);
  if (state !== 'erasing' && state !== 'erased') return;
  await store.setStates(tx, study, state);
  const at = state === 'erased' ? removed_at : null;
  const erased = { study, subject: store.wholeStudy, tenant, removed_at, epoch };
  await store.putWhereRegistered(tx, rowKey, { ...erased, renewed_at: at, completed_at: at });
  if (state === 'erasing') await scheduleRenewal(tx, time);
}
