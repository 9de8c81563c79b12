import type { KeyObject } from 'node:crypto';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';
import { checkRow, sealRow } from './row-seal.ts';
import type { SealedTable } from './row-seal.ts';

/** Whether keys may be used in the context of a study; a study without a row never was closed. */
export type ClosureRow = Tables['study_closure'];
type Unsealed = Omit<ClosureRow, 'seal'>;

function sealedFields({ study, tenant, state, cause, changed_at }: Unsealed): (string | number)[] {
  return [study, tenant, state, cause, changed_at];
}

/** The closure of a study, its seal checked. */
export async function findClosure(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
  study: string,
): Promise<ClosureRow | undefined> {
  const row = await tx
    .selectFrom('study_closure')
    .selectAll()
    .where('study', '=', study)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'study_closure', sealedFields(row), row.seal);
  return row;
}

/** Every study of the tenant that is or was closed. */
export async function listClosures(tx: Tx, rowKey: KeyObject, tenant: string): Promise<ClosureRow[]> {
  const rows = await tx.selectFrom('study_closure').selectAll().where('tenant', '=', tenant).execute();
  for (const row of rows) checkRow(rowKey, 'study_closure', sealedFields(row), row.seal);
  return rows;
}

/**
 * Closes a study, anew where it is closed, or opens it; gives the time that names this, ms since 1970: that of the transaction, or
 * later, for no two changes of one study have the same.
 */
export async function changeClosure(
  tx: Tx,
  rowKey: KeyObject,
  change: Omit<Unsealed, 'changed_at'> & { readonly time: number },
): Promise<number> {
  const { time, ...row } = change;
  const old = await findClosure(tx, rowKey, row.tenant, row.study);
  const changedAt = Math.max(time, (old?.changed_at ?? 0) + 1);
  await putClosure(tx, rowKey, { ...row, changed_at: changedAt });
  return changedAt;
}

async function putClosure(tx: Tx, rowKey: KeyObject, row: Unsealed): Promise<void> {
  const sealed = { ...row, seal: sealRow(rowKey, 'study_closure', sealedFields(row)) };
  await tx
    .insertInto('study_closure')
    .values(sealed)
    .onConflict((conflict) => conflict.column('study').doUpdateSet(sealed))
    .execute();
}

/** How the rows of this slice are sealed. */
export const closureTables: readonly SealedTable[] = [
  { table: 'study_closure', identity: ['study'], owner: 'tenant', forms: [sealedFields] },
];
