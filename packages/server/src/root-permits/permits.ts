import type { KeyObject } from 'node:crypto';
import type { RootChange } from '@trialkeep/contract';
import { peopleWho } from '../access/index.ts';
import { recordedStates } from '../audit/index.ts';
import type { Entry } from '../audit/index.ts';
import type { Profile } from '../platform/config.ts';
import type { Tx } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import * as store from './store.ts';

/** How many people take part where there is dual control: one who asks, and two who approve. */
const peopleNeeded = 3;

/** What a change of a root of trust goes by; its entry says it. */
export interface PermitUse {
  /** The approval that permitted it. */
  readonly approval?: string;
}

/**
 * Whether people have to permit a change of a root of trust: under the regulated profile, and wherever there are enough of them to do so.
 *
 * @param log of the instance
 */
export async function needsPermit(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  profile: Profile,
): Promise<boolean> {
  if (profile === 'regulated') return true;
  return (await peopleWho(tx, rowKey, log, 'approvals:decide')).length >= peopleNeeded;
}

/** Refuses a change that is not permitted, before anything is made for it. @throws StartupError `root.not_permitted` */
export async function assertPermitted(
  tx: Tx,
  rowKey: KeyObject,
  change: Wanted & { readonly profile: Profile },
): Promise<void> {
  if (await needsPermit(tx, rowKey, change.log, change.profile)) await findPermit(tx, rowKey, change);
}

/** A change that is about to be made. */
export interface Wanted {
  readonly change: RootChange;
  /** The root's id; of a change that makes one, none. */
  readonly root: string | null;
  /** Of the instance. */
  readonly log: number;
  /** ms since 1970 */
  readonly time: number;
}

const noneUsed = { usedPermits: new Set<string>() };

async function findPermit(
  tx: Tx,
  rowKey: KeyObject,
  { change, root, log, time }: Wanted,
): Promise<store.PermitRow> {
  const isFor = (row: store.PermitRow): boolean =>
    row.change === change && row.root === root && row.used_at === null && row.expires_at > time;
  const fitting = (await store.list(tx, rowKey)).filter(isFor);
  // A row that was put back as it was says nothing of its use; the ledger does.
  const { usedPermits } = fitting.length === 0 ? noneUsed : await recordedStates(tx, log);
  const row = fitting.find(({ approval }) => approval === null || !usedPermits.has(approval));
  if (row === undefined) throw new StartupError('root.not_permitted', change);
  return row;
}

/**
 * Uses up the permit for a change, in the transaction that makes it.
 *
 * @throws StartupError `root.not_permitted` where there is none that is in its time and was not used
 */
export async function takePermit(tx: Tx, rowKey: KeyObject, change: Wanted): Promise<PermitUse> {
  const { seal: _, ...row } = await findPermit(tx, rowKey, change);
  await store.put(tx, rowKey, { ...row, used_at: change.time });
  return row.approval === null ? {} : { approval: row.approval };
}

const isRootChange = /^instance\.[a-z]+-root$/;

/** Marks the permits that the ledger says were used, in a database that was put back from before that. @param entries of the instance's log */
export async function recoverRootPermits(
  tx: Tx,
  rowKey: KeyObject,
  entries: readonly Entry[],
): Promise<void> {
  const used = new Map<string, number>();
  for (const { operation, outcome, approval, time } of entries) {
    if (outcome === 'success' && approval !== undefined && isRootChange.test(operation))
      used.set(approval, time);
  }
  for (const { seal: _, ...row } of await store.list(tx, rowKey)) {
    const usedAt = row.approval === null ? undefined : used.get(row.approval);
    if (row.used_at === null && usedAt !== undefined)
      await store.put(tx, rowKey, { ...row, used_at: usedAt });
  }
}

/** A permit that was put back as it was before it was used would permit once more. */
export async function compareRootPermits(
  snapshot: Tx,
  rowKey: KeyObject,
  used: ReadonlySet<string>,
): Promise<string[]> {
  const rows = await store.list(snapshot, rowKey);
  return rows
    .filter(({ approval, used_at }) => used_at === null && approval !== null && used.has(approval))
    .map(
      ({ id }) =>
        `Permit ${id} for a change of a root of trust is unused in the database and used in the ledger.`,
    );
}
