import type { KeyObject } from 'node:crypto';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';

/**
 * Brings reviews and their plans, in a database that was put back, in line with the ledger: what was closed is closed, without its
 * record; a plan that was changed since is ended, since what it says now is not known; and where the next review of a plan begins has
 * moved with those that were opened. Gives what is gone for good.
 */
export async function recoverReviews(
  tx: Tx,
  { log, rowKey }: { readonly log: number; readonly rowKey: KeyObject },
  entries: readonly Entry[],
): Promise<string[]> {
  const done = entries.filter(
    ({ operation, outcome }) => operation.startsWith('reviews.') && outcome === 'success',
  );
  const lost: string[] = [];
  for (const row of await store.listPlans(tx, rowKey, log)) {
    const said = done.filter(({ plan, review }) => plan === row.id && review === undefined);
    const version = Math.max(row.version, ...said.map((entry) => entry.version ?? 0));
    const opened = done.filter(({ plan, operation }) => plan === row.id && operation === 'reviews.open');
    const covered = Math.max(row.covered, ...opened.map(({ size }) => size ?? 0));
    if (version === row.version && covered === row.covered) continue;
    const state = version > row.version ? 'ended' : row.state;
    if (state !== row.state) lost.push(`Review plan ${row.id}: its newest version; plan it anew.`);
    await store.updatePlan(tx, rowKey, { ...row, state, version, covered });
  }
  for (const [id, newest] of newestByReview(done)) {
    const row = await store.findReview(tx, rowKey, log, id);
    if (row === undefined) lost.push(`Review ${id}: its comments and record.`);
    else if (newest.state === 'overdue' && row.overdue_at === null) {
      await store.updateReview(tx, rowKey, { ...row, overdue_at: newest.time });
    } else if (newest.state === 'closed' && row.state !== 'closed') {
      const { hash = null, signature = null, time } = newest;
      lost.push(`Review ${id}: its record, of which the ledger has the hash.`);
      await store.updateReview(tx, rowKey, { ...row, state: 'closed', hash, signature, closed_at: time });
    }
  }
  return lost;
}

function newestByReview(entries: readonly Entry[]): Map<string, Entry> {
  const newest = new Map<string, Entry>();
  for (const entry of entries) {
    if (entry.review !== undefined && entry.state !== undefined) newest.set(entry.review, entry);
  }
  return newest;
}
