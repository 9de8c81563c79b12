import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import type { Tx } from '../../platform/database.ts';
import type { Tables } from '../../platform/tables.ts';
import { checkRow, sealRow } from '../row-seal.ts';
import type { SealedFields, SealedTable } from '../row-seal.ts';

export type ImportRow = Selectable<Tables['key_import']>;
type Unsealed = Omit<ImportRow, 'seal'>;

/** Not the tries, which are counted in one statement; the private key is bound to its row by its place. */
function fields(row: Unsealed): SealedFields {
  const { id, tenant, requester, token_hash, wrapping_algorithm, key, is_version, system } = row;
  const { algorithm, purpose, description, exportable, key_expires_at, ends_at } = row;
  const asked = [id, tenant, requester, Buffer.from(token_hash).toString('hex'), wrapping_algorithm];
  return [
    ...asked,
    ...[key, is_version, system, algorithm, purpose],
    ...[description, exportable, key_expires_at, ends_at],
  ];
}

export async function insert(tx: Tx, rowKey: KeyObject, row: Unsealed): Promise<void> {
  await tx
    .insertInto('key_import')
    .values({ ...row, seal: sealRow(rowKey, 'key_import', fields(row)) })
    .execute();
}

/** The import that a token belongs to, its seal checked; undefined where the tenant has none. */
export async function findByToken(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
  tokenHash: Uint8Array,
): Promise<ImportRow | undefined> {
  const row = await tx
    .selectFrom('key_import')
    .selectAll()
    .where('tenant', '=', tenant)
    .where('token_hash', '=', tokenHash)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'key_import', fields(row), row.seal);
  return row;
}

/** Counts a try, one after the other on all nodes; false where there is none left, or no such import any more. */
export async function takeTry(tx: Tx, id: string, most: number): Promise<boolean> {
  const taken = await tx
    .updateTable('key_import')
    .set((eb) => ({ tries: eb('tries', '+', 1) }))
    .where('id', '=', id)
    .where('tries', '<', most)
    .returning('id')
    .executeTakeFirst();
  return taken !== undefined;
}

/** Takes away the import with its private key; false where it was gone. */
export async function remove(tx: Tx, id: string): Promise<boolean> {
  const gone = await tx.deleteFrom('key_import').where('id', '=', id).returning('id').executeTakeFirst();
  return gone !== undefined;
}

/** Gives back a try that nothing was tried with. */
export async function giveBackTry(tx: Tx, id: string): Promise<void> {
  await tx
    .updateTable('key_import')
    .set((eb) => ({ tries: eb('tries', '-', 1) }))
    .where('id', '=', id)
    .where('tries', '>', 0)
    .execute();
}

/** Takes away those that have no try left. */
export async function removeSpent(tx: Tx, id: string, most: number): Promise<void> {
  await tx.deleteFrom('key_import').where('id', '=', id).where('tries', '>=', most).execute();
}

export async function removeEnded(tx: Tx, id: string, time: number): Promise<void> {
  await tx.deleteFrom('key_import').where('id', '=', id).where('ends_at', '<=', time).execute();
}

/** Every import of a tenant, as after a restore. */
export async function removeAll(tx: Tx, tenant: string): Promise<number> {
  const gone = await tx.deleteFrom('key_import').where('tenant', '=', tenant).returning('id').execute();
  return gone.length;
}

export async function listIds(tx: Tx, tenant: string): Promise<string[]> {
  const rows = await tx.selectFrom('key_import').select('id').where('tenant', '=', tenant).execute();
  return rows.map(({ id }) => id);
}

export async function isKnown(tx: Tx, fingerprint: Uint8Array): Promise<boolean> {
  const row = await tx
    .selectFrom('known_material')
    .select('fingerprint')
    .where('fingerprint', '=', fingerprint)
    .executeTakeFirst();
  return row !== undefined;
}

/** Notes material for good; false where it was noted before, by whichever tenant and node. */
export async function noteMaterial(tx: Tx, fingerprint: Uint8Array): Promise<boolean> {
  const noted = await tx
    .insertInto('known_material')
    .values({ fingerprint })
    .onConflict((conflict) => conflict.column('fingerprint').doNothing())
    .returning('fingerprint')
    .executeTakeFirst();
  return noted !== undefined;
}

/** How the rows of imports are sealed. */
export const importTables: readonly SealedTable[] = [
  { table: 'key_import', identity: ['id'], owner: 'tenant', forms: [fields] },
];
