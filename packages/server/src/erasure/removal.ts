import type { EffectKind } from '../effects/index.ts';
import { schedule } from '../platform/jobs/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import type { ShredStore } from '../shred/index.ts';
import { renewalTask } from './renewal.ts';
import * as store from './store.ts';

/** The subject whose key goes. */
export type ShredRemovalInput = Readonly<Record<'tenant' | 'study' | 'subject', string>>;

/** Erasures within this time share one change of the epoch. */
const sharedEpochMs = 10_000;

/** Has the next epoch begun soon; one change is for all erasures until then. */
export async function scheduleRenewal(tx: Tx, time: number): Promise<void> {
  // One that is under way may have begun before this erasure: it is done again.
  await schedule(tx, { name: renewalTask, task: renewalTask, input: {}, dueAt: time + sharedEpochMs });
}

/** The study whose key goes, with those of all its subjects. */
export type StudyRemovalInput = Readonly<Record<'tenant' | 'study', string>>;

/** Keys that go in one transaction. */
const keysPerRemoval = 500;

/** Removes the keys of a study from the shred store: those of its subjects first, so that the study's shows whether all are gone. */
export function studyRemoval(parts: {
  readonly database: Database;
  readonly shred: ShredStore;
  readonly forget: (tenant: string) => void;
}): EffectKind<StudyRemovalInput> {
  const { database, shred, forget } = parts;
  return {
    operation: 'studies.erase',
    act: async ({ tenant, study }) => {
      let subjects = 0;
      for (let after = ''; ;) {
        const from = after;
        const aliases = await database.read((tx) => store.aliasesOf(tx, study, from, keysPerRemoval));
        await shred.removeAll(tenant, 'subject', aliases);
        subjects += aliases.length;
        const last = aliases.at(-1);
        if (last === undefined || aliases.length < keysPerRemoval) break;
        after = last;
      }
      await shred.remove(tenant, 'study', study);
      forget(tenant);
      const epoch = await shred.epoch();
      return {
        outcome: 'success',
        recorded: { study, state: 'erasing' },
        payload: { epoch, subjects },
        alongside: async (tx, { rowKey, time }) => {
          const removed = { study, subject: store.wholeStudy, tenant, removed_at: time, epoch };
          await store.putWhereRegistered(tx, rowKey, { ...removed, renewed_at: null, completed_at: null });
          await scheduleRenewal(tx, time);
        },
      };
    },
  };
}

/**
 * Removes a subject's key from the shred store. The subject stays in state `erasing`: until the next epoch key, older copies of
 * the store still open, and other places may have the key (design section 5).
 *
 * @param parts.forget drops the tenant's keys from this process's memory
 */
export function shredRemoval(parts: {
  readonly shred: ShredStore;
  readonly forget: (tenant: string) => void;
}): EffectKind<ShredRemovalInput> {
  return {
    operation: 'subjects.erase',
    act: async ({ tenant, study, subject }) => {
      await parts.shred.remove(tenant, 'subject', subject);
      parts.forget(tenant);
      // Copies of the store from before are of this epoch at the latest.
      const epoch = await parts.shred.epoch();
      return {
        outcome: 'success',
        recorded: { study, subject, state: 'erasing' },
        payload: { epoch },
        alongside: async (tx, { rowKey, time }) => {
          const open = { renewed_at: null, completed_at: null };
          await store.putWhereRegistered(tx, rowKey, {
            study,
            subject,
            tenant,
            removed_at: time,
            epoch,
            ...open,
          });
          await scheduleRenewal(tx, time);
        },
      };
    },
  };
}
