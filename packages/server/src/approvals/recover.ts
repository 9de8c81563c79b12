import type { KeyObject } from 'node:crypto';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';
import type { ApprovalRow } from './store.ts';

type State = ApprovalRow['state'];

/**
 * Ends, in a database that was put back, the requests that the ledger says have ended since. One that has more decisions than the
 * database knows of, and was not carried out, cannot be: its votes are gone, so it is cancelled. Gives the ids of those.
 */
export async function recoverApprovals(
  tx: Tx,
  { log, rowKey }: { readonly log: number; readonly rowKey: KeyObject },
  entries: readonly Entry[],
): Promise<string[]> {
  const cancelled: string[] = [];
  const said = statesOf(entries);
  for (const row of await store.listApprovals(tx, rowKey, log)) {
    const entry = said.get(row.id);
    if (entry === undefined || entry.state === row.state) continue;
    const isOpen = entry.state === 'pending' || entry.state === 'approved';
    if (isOpen) cancelled.push(row.id);
    const to = isOpen ? ({ state: 'cancelled', failure: null } as const) : entry;
    await store.moveApproval(tx, rowKey, row, { state: to.state, failure: to.failure });
  }
  return cancelled;
}

/** What the ledger says became of each request: an execution is the end of it. */
function statesOf(entries: readonly Entry[]): Map<string, { state: State; failure: string | null }> {
  const states = new Map<string, { state: State; failure: string | null }>();
  for (const { approval, operation, outcome, state, code } of entries) {
    if (approval === undefined || states.get(approval)?.state === 'executed') continue;
    if (operation.startsWith('approvals.')) {
      if (outcome === 'success' && state !== undefined) {
        states.set(approval, { state: state as State, failure: null });
      }
    } else if (outcome === 'success') states.set(approval, { state: 'executed', failure: null });
    else states.set(approval, { state: 'failed', failure: code ?? null });
  }
  return states;
}
