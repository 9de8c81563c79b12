import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import { beginErasures } from './erasures.ts';
import type { ErasedTenant } from './erasures.ts';
import { cancelShredding, scheduleShredding } from './schedule.ts';
import { atStart } from './pages.ts';
import * as store from './store.ts';
import type { Exit } from './store.ts';

const about = /^tenants\.(?:exit|copy-exit|confirm-exit|shred|cancel-exit)$/;

/** Whether the entry says how far the leaving of a tenant is. */
export function isAboutExit({ operation, outcome, state }: Entry): boolean {
  return outcome === 'success' && state !== undefined && about.test(operation);
}

/** What an exit was brought to that no entry said yet; whoever brings it writes the entries. */
export interface RecoveredExit {
  readonly cancelled: boolean;
  /** The ledger says that it was over; the keys are there again, and go anew. */
  readonly shreddingAgain: boolean;
  /** Studies whose erasure begins. */
  readonly erasing: readonly string[];
}

const nothing: RecoveredExit = { cancelled: false, shreddingAgain: false, erasing: [] };

/**
 * Brings the leaving of a tenant in line with the ledger in a database that was put back, after the erasures of studies. Keys that were
 * destroyed since are destroyed again; an exit whose copy is lost with the database is called off, and `cancelled` says so, for it
 * has to begin anew.
 */
export async function recoverExit(
  tx: Tx,
  of: ErasedTenant,
  entries: readonly Entry[],
): Promise<RecoveredExit> {
  const { tenant, rowKey, time } = of;
  const said = entries.filter(isAboutExit);
  const newest = said.at(-1);
  if (newest === undefined) return nothing;
  const state = newest.state as Exit['state'];
  const known = await store.find(tx, rowKey, tenant);
  if (known?.state === state && known.changed_at === newest.time) return nothing;
  if (state === 'shredding' || state === 'shredded') {
    if (known?.state === 'shredded') return nothing;
    await store.put(tx, rowKey, {
      ...(known ?? nameless(tenant)),
      state: 'shredding',
      due_at: null,
      changed_at: time,
    });
    await scheduleShredding(tx, tenant, time);
    // What begins the shredding is past: nothing else begins these.
    const erasing = await beginErasures(tx, of);
    return { cancelled: false, shreddingAgain: state === 'shredded', erasing };
  }
  await cancelShredding(tx, tenant);
  if (known === undefined && state === 'cancelled') return nothing;
  await store.put(tx, rowKey, {
    ...(known ?? nameless(tenant)),
    state: 'cancelled',
    due_at: null,
    changed_at: time,
  });
  return { ...nothing, cancelled: state !== 'cancelled' };
}

/** An exit that the database knows nothing of but what the ledger says. */
function nameless(tenant: string): Exit {
  return {
    tenant,
    id: newId(),
    state: 'cancelled',
    uses: 'none',
    recipient: '',
    pages: 0,
    progress: JSON.stringify(atStart),
    opened: '',
    manifest: null,
    due_at: null,
    changed_at: 0,
  };
}
