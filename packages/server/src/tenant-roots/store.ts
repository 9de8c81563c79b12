import type { KeyObject } from 'node:crypto';
import { checkTenantRoot, findWrappings, putWrappings, sealRow, tenantRootFields } from '../keys/index.ts';
import type { TenantKeyRow, TenantRootRow } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';

export interface Wrappings {
  readonly key: TenantKeyRow;
  /** undefined: it was always under the instance key. */
  readonly root: TenantRootRow | undefined;
}

/** How the tenant's key is wrapped, the seal checked. */
export async function find(tx: Tx, rowKey: KeyObject, tenant: string): Promise<Wrappings> {
  const found = await findWrappings(tx, tenant);
  if (found.root !== undefined) checkTenantRoot(rowKey, found.root);
  return found;
}

export async function put(
  tx: Tx,
  rowKey: KeyObject,
  key: TenantKeyRow,
  root: Omit<TenantRootRow, 'seal'>,
): Promise<void> {
  await putWrappings(tx, key, { ...root, seal: sealRow(rowKey, 'tenant_root', tenantRootFields(root)) });
}

export interface PayloadKeyRow {
  readonly log: number;
  readonly versionId: string;
  readonly wrapped: Uint8Array;
}

/** The payload key of a tenant's log. */
export async function payloadKey(tx: Tx, tenant: string): Promise<PayloadKeyRow> {
  const row = await tx
    .selectFrom('log')
    .select(['id', 'payload_key_version', 'wrapped_payload_key'])
    .where('tenant', '=', tenant)
    .executeTakeFirstOrThrow();
  return { log: row.id, versionId: row.payload_key_version, wrapped: row.wrapped_payload_key };
}

export async function putPayloadKey(tx: Tx, { log, wrapped }: PayloadKeyRow): Promise<void> {
  await tx.updateTable('log').set({ wrapped_payload_key: wrapped }).where('id', '=', log).execute();
}
