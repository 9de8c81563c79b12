import type { KeyObject } from 'node:crypto';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';

/**
 * Brings second recipients, in a database that was put back, in line with the ledger. The public key of one that was registered since the
 * backup is not in its entries: it is demanded all the same, as lost, so that nothing is sealed without that party before people decide.
 *
 * @returns what is gone for good
 */
export async function recoverSecondRecipients(
  tx: Tx,
  { tenant, rowKey }: { readonly tenant: string; readonly rowKey: KeyObject },
  entries: readonly Entry[],
): Promise<string[]> {
  const lost: string[] = [];
  for (const { operation, outcome, recipients, study, system, reason, time } of entries) {
    const [id] = recipients ?? [];
    if (outcome !== 'success' || id === undefined) continue;
    const row = await store.find(tx, rowKey, tenant, id);
    if (operation === 'second-recipients.register' && row === undefined) {
      await store.insert(tx, rowKey, {
        id,
        tenant,
        name: 'lost',
        study: study ?? null,
        system: system ?? null,
        covers: reason === 'all' ? 'all' : 'investigator-controlled',
        file: '',
        state: 'lost',
        registered_at: time,
        changed_at: time,
      });
      lost.push(`Second recipient ${id}: its public key; register it anew, then remove this one.`);
    }
    if (operation === 'second-recipients.remove' && row !== undefined && row.state !== 'removed') {
      const { seal: _, ...rest } = row;
      await store.setState(tx, rowKey, rest, 'removed', time);
      const at = lost.findIndex((text) => text.includes(id));
      if (at >= 0) lost.splice(at, 1);
    }
  }
  return lost;
}
