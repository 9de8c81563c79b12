import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedFields, SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type PermitRow = Selectable<Tables['root_permit']>;
type Unsealed = Omit<PermitRow, 'seal'>;

function fields(row: Unsealed): SealedFields {
  return [row.id, row.change, row.root, row.approval, row.granted_at, row.expires_at, row.used_at];
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'root_permit', identity: ['id'], owner: 'instance', forms: [fields] },
];

export async function put(tx: Tx, rowKey: KeyObject, row: Unsealed): Promise<void> {
  const sealed = { ...row, seal: sealRow(rowKey, 'root_permit', fields(row)) };
  await tx
    .insertInto('root_permit')
    .values(sealed)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(sealed))
    .execute();
}

/** Every permit, the oldest first, the seals checked. */
export async function list(tx: Tx, rowKey: KeyObject): Promise<PermitRow[]> {
  const rows = await tx.selectFrom('root_permit').selectAll().orderBy('granted_at').orderBy('id').execute();
  for (const row of rows) checkRow(rowKey, 'root_permit', fields(row), row.seal);
  return rows;
}
