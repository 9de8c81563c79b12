import type { KeyObject } from 'node:crypto';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedFields, SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type RecipientRow = Tables['second_recipient'];
export type UnsealedRecipient = Omit<RecipientRow, 'seal'>;

const table = 'second_recipient';

function sealedFields(row: UnsealedRecipient): SealedFields {
  const { id, tenant, name, study, system, covers, file, state, registered_at } = row;
  return [id, tenant, name, study, system, covers, file, state, registered_at];
}

/** How the rows of this slice are sealed. */
export const secondRecipientTables: readonly SealedTable[] = [
  { table, identity: ['id'], owner: 'tenant', forms: [sealedFields] },
];

/** All of a tenant's, removed ones too, oldest first, the seals checked. */
export async function list(tx: Tx, rowKey: KeyObject, tenant: string): Promise<RecipientRow[]> {
  const rows = await tx
    .selectFrom(table)
    .selectAll()
    .where('tenant', '=', tenant)
    .orderBy('registered_at')
    .orderBy('id')
    .execute();
  for (const row of rows) checkRow(rowKey, table, sealedFields(row), row.seal);
  return rows;
}

export async function find(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
  id: string,
): Promise<RecipientRow | undefined> {
  const row = await tx
    .selectFrom(table)
    .selectAll()
    .where('id', '=', id)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, table, sealedFields(row), row.seal);
  return row;
}

export async function insert(tx: Tx, rowKey: KeyObject, row: UnsealedRecipient): Promise<void> {
  const seal = sealRow(rowKey, table, sealedFields(row));
  await tx
    .insertInto(table)
    .values({ ...row, seal })
    .execute();
}

export async function setState(
  tx: Tx,
  rowKey: KeyObject,
  row: UnsealedRecipient,
  state: RecipientRow['state'],
  time: number,
): Promise<UnsealedRecipient> {
  const changed = { ...row, state, changed_at: time };
  const seal = sealRow(rowKey, table, sealedFields(changed));
  await tx.updateTable(table).set({ state, changed_at: time, seal }).where('id', '=', row.id).execute();
  return changed;
}
