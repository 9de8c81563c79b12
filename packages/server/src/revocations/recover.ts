import type { KeyObject } from 'node:crypto';
import type { Entry } from '../audit/index.ts';
import { changeClosure, findClosure } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';

/** Closes, in a database that was put back, the studies that the ledger says were closed since, anew or again, and reopens those that were reopened. */
export async function recoverClosures(
  tx: Tx,
  { tenant, rowKey }: { readonly tenant: string; readonly rowKey: KeyObject },
  entries: readonly Entry[],
): Promise<void> {
  /** With the time that names it: that of its entry, or later, for no two changes of one study have the same. */
  const newest = new Map<string, { readonly entry: Entry; readonly changedAt: number }>();
  for (const entry of entries) {
    const { operation, outcome, state, study } = entry;
    const isAbout = operation === 'revocations.revoke' || operation === 'revocations.reopen-study';
    if (isAbout && outcome === 'success' && study !== undefined && state !== undefined) {
      const changedAt = Math.max(entry.time, (newest.get(study)?.changedAt ?? 0) + 1);
      newest.set(study, { entry, changedAt });
    }
  }
  for (const [study, { entry, changedAt }] of newest) {
    const known = await tx.selectFrom('study').select('id').where('id', '=', study).executeTakeFirst();
    if (known === undefined) continue;
    const state = entry.state === 'closed' ? 'closed' : 'open';
    const row = await findClosure(tx, rowKey, tenant, study);
    // A closure that was renewed since is another one: what was approved about the old one does not end it.
    const isThere = (row?.state ?? 'open') === state && (row === undefined || row.changed_at >= changedAt);
    if (isThere) continue;
    const cause = entry.reason ?? row?.cause ?? 'cessation';
    await changeClosure(tx, rowKey, { study, tenant, state, cause, time: changedAt });
  }
}
