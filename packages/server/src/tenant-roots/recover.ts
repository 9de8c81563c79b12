import type { KeyObject } from 'node:crypto';
import type { Entry } from '../audit/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { applyMove, prepareMove } from './move.ts';
import type { MoveParts } from './move.ts';
import * as store from './store.ts';

/**
 * Moves the tenant's key, in a database that was put back, to where the ledger says that it is. Without that, a key that was moved to a
 * root of the tenant's own would be under the instance key again.
 *
 * @param entries what the ledger says, in order (`tellingEntries`)
 * @returns what does it in the transaction; undefined where the row is in line
 * @throws OperationError `tenant.root_refused`, `tenant.root_unreachable`: the root that it was under, or is to be under, has to answer
 */
export async function recoverTenantRoot(
  parts: MoveParts & { readonly database: Database },
  { tenant, rowKey }: { readonly tenant: string; readonly rowKey: KeyObject },
  entries: readonly Entry[],
): Promise<((tx: Tx) => Promise<void>) | undefined> {
  const newest = entries.findLast(({ operation, outcome }) => outcome === 'success' && isChange(operation));
  if (newest === undefined) return undefined;
  const found = await parts.database.read((snapshot) => store.find(snapshot, rowKey, tenant));
  const { root: to = null, leaseSeconds, version = 1, time } = newest;
  if (found.root?.version === version) return undefined;
  const lease = leaseSeconds ?? found.root?.lease_seconds ?? 0;
  if (found.root !== undefined && found.root.root === to) {
    const { seal: _, ...row } = found.root;
    const changed = { ...row, lease_seconds: lease, version, changed_at: time };
    return (tx) => store.put(tx, rowKey, found.key, changed);
  }
  const prepared = await prepareMove(parts, found, to).catch((error: unknown) => {
    const isUnknown = error instanceof OperationError && error.code === 'tenant.root_unknown';
    throw isUnknown ? new OperationError('tenant.root_unreachable', { cause: error }) : error;
  });
  return (tx) => applyMove(tx, parts, found, rowKey, { ...prepared, to, leaseSeconds: lease, version, time });
}

/** Whether entries of the operation say where a tenant's key is, and for how long it is used. */
function isChange(operation: string): boolean {
  return operation === 'tenant-root.move' || operation === 'tenant-root.set-lease';
}
