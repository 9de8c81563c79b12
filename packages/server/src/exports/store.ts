import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedFields, SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type DestinationRow = Selectable<Tables['key_destination']>;
export type UnsealedDestination = Omit<DestinationRow, 'seal'>;
export type ExportRow = Selectable<Tables['key_export']>;
type UnsealedExport = Omit<ExportRow, 'seal'>;

/** The public key by its fingerprint, which is checked where the key is used. */
function destinationFields(row: UnsealedDestination): SealedFields {
  const { id, tenant, name, contact, fingerprint, state, registered_by, registered_at, changed_at } = row;
  return [id, tenant, name, contact, fingerprint, state, registered_by, registered_at, changed_at];
}

function exportFields(row: UnsealedExport): SealedFields {
  const { id, tenant, key, version, destination, fingerprint, wrapped, exported_at, ends_at } = row;
  const bytes = Buffer.from(wrapped).toString('base64');
  return [id, tenant, key, version, destination, fingerprint, bytes, exported_at, ends_at];
}

export async function insertDestination(tx: Tx, rowKey: KeyObject, row: UnsealedDestination): Promise<void> {
  await tx
    .insertInto('key_destination')
    .values({ ...row, seal: sealRow(rowKey, 'key_destination', destinationFields(row)) })
    .execute();
}

/** Notes that nothing is exported to it any more, and takes away what waits to be fetched for it. */
export async function retire(
  tx: Tx,
  rowKey: KeyObject,
  row: UnsealedDestination,
  time: number,
): Promise<UnsealedDestination> {
  const retired: UnsealedDestination = { ...row, state: 'retired', changed_at: time };
  const seal = sealRow(rowKey, 'key_destination', destinationFields(retired));
  await tx
    .updateTable('key_destination')
    .set({ state: 'retired', changed_at: time, seal })
    .where('id', '=', row.id)
    .execute();
  await removeOfDestination(tx, row.id);
  return retired;
}

export async function findDestination(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
  id: string,
): Promise<DestinationRow | undefined> {
  const row = await tx
    .selectFrom('key_destination')
    .selectAll()
    .where('id', '=', id)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'key_destination', destinationFields(row), row.seal);
  return row;
}

/** In the order of their registration; their seals are checked. */
export async function listDestinations(tx: Tx, rowKey: KeyObject, tenant: string): Promise<DestinationRow[]> {
  const rows = await tx
    .selectFrom('key_destination')
    .selectAll()
    .where('tenant', '=', tenant)
    .orderBy('registered_at')
    .orderBy('id')
    .execute();
  for (const row of rows) checkRow(rowKey, 'key_destination', destinationFields(row), row.seal);
  return rows;
}

export async function insertExport(tx: Tx, rowKey: KeyObject, row: UnsealedExport): Promise<void> {
  await tx
    .insertInto('key_export')
    .values({ ...row, seal: sealRow(rowKey, 'key_export', exportFields(row)) })
    .execute();
}

/** Those that can still be fetched, oldest first; their seals are checked. */
export async function listExports(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
  { after, id }: { readonly after: number; readonly id?: string },
): Promise<ExportRow[]> {
  let query = tx
    .selectFrom('key_export')
    .selectAll()
    .where('tenant', '=', tenant)
    .where('ends_at', '>', after);
  if (id !== undefined) query = query.where('id', '=', id);
  const rows = await query.orderBy('exported_at').orderBy('id').execute();
  for (const row of rows) checkRow(rowKey, 'key_export', exportFields(row), row.seal);
  return rows;
}

export async function removeEnded(tx: Tx, id: string, time: number): Promise<void> {
  await tx.deleteFrom('key_export').where('id', '=', id).where('ends_at', '<=', time).execute();
}

/** What waits for a destination that is retired: it is not fetched any more. */
async function removeOfDestination(tx: Tx, destination: string): Promise<void> {
  await tx.deleteFrom('key_export').where('destination', '=', destination).execute();
}

/** How the rows of this slice are sealed. */
export const exportTables: readonly SealedTable[] = [
  { table: 'key_destination', identity: ['id'], owner: 'tenant', forms: [destinationFields] },
  { table: 'key_export', identity: ['id'], owner: 'tenant', forms: [exportFields] },
];
