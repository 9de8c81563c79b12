import type { Insertable, Selectable } from 'kysely';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type SavedRow = Selectable<Tables['saved_question']>;

/** The newest checkpoint of this size at most, or of exactly this size. */
export async function findCheckpoint(
  tx: Tx,
  log: number,
  size: { readonly most: number } | { readonly exactly: number },
): Promise<{ size: number; note: string } | undefined> {
  const query = tx.selectFrom('ledger_checkpoint').select(['size', 'note']).where('log', '=', log);
  const bounded =
    'most' in size
      ? query.where('size', '<=', size.most).orderBy('size', 'desc').limit(1)
      : query.where('size', '=', size.exactly);
  return bounded.executeTakeFirst();
}

export async function insertSaved(tx: Tx, row: Insertable<Tables['saved_question']>): Promise<void> {
  await tx.insertInto('saved_question').values(row).execute();
}

export async function listSaved(tx: Tx, log: number): Promise<SavedRow[]> {
  return tx.selectFrom('saved_question').selectAll().where('log', '=', log).orderBy('name').execute();
}

export async function findSaved(tx: Tx, log: number, id: string): Promise<SavedRow | undefined> {
  return tx
    .selectFrom('saved_question')
    .selectAll()
    .where('log', '=', log)
    .where('id', '=', id)
    .executeTakeFirst();
}

export async function deleteSaved(tx: Tx, log: number, id: string): Promise<void> {
  await tx.deleteFrom('saved_question').where('log', '=', log).where('id', '=', id).execute();
}
