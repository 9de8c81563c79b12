import type { Selectable, Transaction } from 'kysely';
import type { ShredTables } from '../platform/tables.ts';

export type ShreddableKey = Selectable<ShredTables['shreddable_key']>;

export async function insert(transaction: Transaction<ShredTables>, key: ShreddableKey): Promise<void> {
  await transaction.insertInto('shreddable_key').values(key).execute();
}

export async function find(
  snapshot: Transaction<ShredTables>,
  id: string,
): Promise<ShreddableKey | undefined> {
  return snapshot.selectFrom('shreddable_key').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Removes the key; nothing where there is none. */
export async function remove(
  transaction: Transaction<ShredTables>,
  { tenant, kind, id }: Pick<ShreddableKey, 'tenant' | 'kind' | 'id'>,
): Promise<void> {
  await transaction
    .deleteFrom('shreddable_key')
    .where('id', '=', id)
    .where('tenant', '=', tenant)
    .where('kind', '=', kind)
    .execute();
}
