import type { KeyObject } from 'node:crypto';
import type { HolderKind } from '@trialkeep/contract';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';

/** What the ledger does not say of a holder that was registered after the backup; what it has and until when, it does. */
const unknownName = 'unknown: registered after the backup that was restored';

/**
 * Registers holders, and notes what was attested of them, in a database that was put back, as the ledger says. Gives those whose names
 * are gone.
 */
export async function recoverHolders(
  tx: Tx,
  { log, rowKey }: { readonly log: number; readonly rowKey: KeyObject },
  entries: readonly Entry[],
): Promise<string[]> {
  const lost: string[] = [];
  for (const entry of entries) {
    const { operation, outcome, holder: id, actor = null, time, study, subject, key } = entry;
    if (outcome !== 'success' || id === undefined) continue;
    const about =
      key !== undefined
        ? 'key'
        : subject !== undefined
          ? 'subject'
          : study !== undefined
            ? 'study'
            : undefined;
    const thing = key ?? subject ?? study ?? null;
    const row = await store.find(tx, rowKey, log, id);
    const isExport = operation === 'keys.export';
    if ((operation === 'holders.register' || isExport) && row === undefined) {
      await store.insert(tx, rowKey, {
        id,
        log,
        kind: isExport ? 'export' : (entry.reason as HolderKind),
        name: unknownName,
        contact: unknownName,
        about: about ?? 'all',
        thing,
        study: about === 'subject' ? (study ?? null) : null,
        state: 'registered',
        registered_by: actor,
        registered_at: time,
        // The date of an export is that of what waits to be fetched here.
        expires_at: isExport ? null : (entry.dueAt ?? null),
        changed_at: time,
      });
      lost.push(`The name of holder ${id}.`);
    }
    if (operation !== 'holders.attest' || row === undefined) continue;
    if (about !== undefined && thing !== null) {
      await store.attest(tx, rowKey, { holder: id, about, thing, actor, made_at: time });
    } else if (row.state === 'registered') await store.end(tx, rowKey, row, time);
  }
  return lost;
}
