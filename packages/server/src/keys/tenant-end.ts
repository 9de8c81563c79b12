import type { KeyObject } from 'node:crypto';
import { unwrapKey, wrapKey } from '@trialkeep/crypto';
import type { Tx } from '../platform/database.ts';
import { cancelDestruction } from './destruction.ts';
import { removeObjects } from './resident.ts';
import type { ObjectEffects } from './resident.ts';
import { cancelRotation } from './rotation.ts';
import { sealRow } from './row-seal.ts';
import * as store from './store.ts';
import type { KeyRow } from './store.ts';
import { tenantRootFields, wrapRowKey } from './tenant-keys.ts';

type KeyPlaceOf = Parameters<typeof wrapKey>[0]['place'];

/**
 * Destroys the first keys of a tenant that are left, whatever their state, in the transaction of their entries; gives what the rows are now.
 */
export async function destroyKeysLeft(
  tx: Tx,
  rowKey: KeyObject,
  {
    objectEffects,
    ...of
  }: {
    readonly tenant: string;
    readonly log: number;
    readonly objectEffects: ObjectEffects;
  },
  { limit, time }: { readonly limit: number; readonly time: number },
): Promise<KeyRow[]> {
  const rows = await tx
    .selectFrom('key')
    .selectAll()
    .where('tenant', '=', of.tenant)
    .where('state', '<>', 'destroyed')
    .orderBy('id')
    .limit(limit)
    .execute();
  for (const row of rows) {
    store.checkKey(rowKey, row);
    row.state = 'destroyed';
    row.destruction_due_at = null;
    await store.destroySecrets(tx, row.id);
    if (row.protection === 'hsm')
      await removeObjects(tx, { objectEffects, rowKey }, { ...of, id: row.id }, time);
    await cancelRotation(tx, row.id);
    await cancelDestruction(tx, row.id);
    await store.updateKey(tx, rowKey, row);
  }
  return rows;
}

/**
 * Takes the tenant's own key away, under whichever root it is. What seals its rows stays, under the instance key: it opens nothing, and
 * the rows go on being believed.
 */
export async function destroyTenantKey(
  tx: Tx,
  {
    tenant,
    rowKey,
    instanceKey,
  }: { readonly tenant: string; readonly rowKey: KeyObject; readonly instanceKey: KeyObject },
): Promise<void> {
  const { key, root } = await store.findWrappings(tx, tenant);
  const none = new Uint8Array(0);
  await tx
    .updateTable('tenant')
    .set({ wrapped_key: none, wrapped_row_key: wrapRowKey(instanceKey, key, rowKey) })
    .where('id', '=', tenant)
    .execute();
  if (root === undefined) return;
  const { seal: _, ...rest } = { ...root, wrapped_key: none };
  const seal = sealRow(rowKey, 'tenant_root', tenantRootFields(rest));
  await store.putWrappings(tx, { ...key, wrapped_key: none }, { ...rest, seal });
}

/** A secret that `from` wraps, wrapped by `to` at the same place. */
export function rehang(
  { from, to }: { readonly from: KeyObject; readonly to: KeyObject },
  place: KeyPlaceOf,
  wrapped: Uint8Array,
): Uint8Array {
  return wrapKey({ wrappingKey: to, place, key: unwrapKey({ wrappingKey: from, place, wrapped }) });
}
