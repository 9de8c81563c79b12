import type { Selectable, Transaction } from 'kysely';
import { dialectOf } from '../platform/database.ts';
import type { ShredTables } from '../platform/tables.ts';

export type ShreddableKey = Selectable<ShredTables['shreddable_key']>;

/** The epoch that rows are written under, with the id of its key. */
export type HeldEpoch = Pick<Selectable<ShredTables['shred_epoch']>, 'epoch' | 'key'>;

/** On PostgreSQL it stays so until the transaction ends. */
export async function heldEpoch(transaction: Transaction<ShredTables>): Promise<HeldEpoch> {
  return transaction
    .selectFrom('shred_epoch')
    .select(['epoch', 'key'])
    .where('singleton', '=', 1)
    .$if(dialectOf(transaction) === 'postgres', (query) => query.forShare())
    .executeTakeFirstOrThrow();
}

/** Has rows be written under this epoch from now on; an older one, or another key of the present one, changes nothing. Gives what it is then. */
export async function advance(
  transaction: Transaction<ShredTables>,
  { epoch, key }: HeldEpoch,
): Promise<HeldEpoch> {
  await transaction
    .updateTable('shred_epoch')
    .set({ epoch, key })
    .where('singleton', '=', 1)
    .where((where) =>
      where.or([
        where('epoch', '<', epoch),
        where.and([where('epoch', '=', epoch), where('key', 'is', null)]),
      ]),
    )
    .execute();
  return heldEpoch(transaction);
}

export async function insert(transaction: Transaction<ShredTables>, key: ShreddableKey): Promise<void> {
  await transaction.insertInto('shreddable_key').values(key).execute();
}

export async function find(
  snapshot: Transaction<ShredTables>,
  id: string,
): Promise<ShreddableKey | undefined> {
  return snapshot.selectFrom('shreddable_key').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Up to `limit` rows of epochs before this one. */
export async function olderThan(
  snapshot: Transaction<ShredTables>,
  epoch: number,
  limit: number,
): Promise<ShreddableKey[]> {
  return snapshot.selectFrom('shreddable_key').selectAll().where('epoch', '<', epoch).limit(limit).execute();
}

/** Writes a row under another epoch, where it is still as it was read. */
export async function move(
  transaction: Transaction<ShredTables>,
  row: ShreddableKey,
  to: Pick<ShreddableKey, 'epoch' | 'wrapped_secret'>,
): Promise<void> {
  await transaction
    .updateTable('shreddable_key')
    .set({ epoch: to.epoch, wrapped_secret: to.wrapped_secret })
    .where('id', '=', row.id)
    .where('version', '=', row.version)
    .where('epoch', '=', row.epoch)
    .execute();
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
