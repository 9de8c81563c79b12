import type { KeyObject } from 'node:crypto';
import type { RecordedStates } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';

/** Says where a tenant's key is not under what the ledger says, as after a database was put back: that root's word would not count. */
export async function compareTenantRoot(
  snapshot: Tx,
  rowKey: KeyObject,
  tenant: string,
  { tenantRoot }: Pick<RecordedStates, 'tenantRoot'>,
): Promise<string[]> {
  const { root } = await store.find(snapshot, rowKey, tenant);
  const isSame = (root?.version ?? 0) === (tenantRoot?.version ?? 0);
  if (isSame && (root?.root ?? null) === (tenantRoot?.root ?? null)) return [];
  const place = (id: string | null | undefined): string =>
    id === null || id === undefined ? 'the instance key' : `root ${id}`;
  return [
    `The key of tenant ${tenant} is under ${place(root?.root)} in the database (change ${root?.version ?? 0}) and under ${place(tenantRoot?.root)} in the ledger (change ${tenantRoot?.version ?? 0}).`,
  ];
}
