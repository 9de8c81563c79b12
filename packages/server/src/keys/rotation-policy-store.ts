import type { KeyObject } from 'node:crypto';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';
import { checkRow, sealRow } from './row-seal.ts';
import type { SealedTable } from './row-seal.ts';

/** Where a tenant has not said otherwise, days. */
export const usualDays = 90;

type PolicyRow = Tables['rotation_policy'];

function sealedFields({ tenant, period_days, changed_at }: Omit<PolicyRow, 'seal'>): (string | number)[] {
  return [tenant, period_days, changed_at];
}

/** How often keys of the tenant rotate that have no period of their own, days. */
export async function policyDays(tx: Tx, rowKey: KeyObject, tenant: string): Promise<number> {
  const row = await tx
    .selectFrom('rotation_policy')
    .selectAll()
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'rotation_policy', sealedFields(row), row.seal);
  return row?.period_days ?? usualDays;
}

export async function putPolicy(tx: Tx, rowKey: KeyObject, row: Omit<PolicyRow, 'seal'>): Promise<void> {
  const sealed = { ...row, seal: sealRow(rowKey, 'rotation_policy', sealedFields(row)) };
  await tx
    .insertInto('rotation_policy')
    .values(sealed)
    .onConflict((conflict) => conflict.column('tenant').doUpdateSet(sealed))
    .execute();
}

/** How the rows of this slice are sealed. */
export const policyTables: readonly SealedTable[] = [
  { table: 'rotation_policy', identity: ['tenant'], owner: 'tenant', forms: [sealedFields] },
];
