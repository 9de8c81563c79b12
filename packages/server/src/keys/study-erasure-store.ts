import type { KeyObject } from 'node:crypto';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';
import { checkRow, sealRow } from './row-seal.ts';
import type { SealedTable } from './row-seal.ts';

/** How far the erasure of a study is; a study without a row was never to be erased. */
export type StudyErasureRow = Tables['study_erasure'];
export type StudyErasure = Omit<StudyErasureRow, 'seal'>;

function sealedFields({ study, tenant, state, due_at, changed_at }: StudyErasure): (string | number)[] {
  return [study, tenant, state, due_at, changed_at];
}

/** The erasure of a study, its seal checked. */
export async function findStudyErasure(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
  study: string,
): Promise<StudyErasureRow | undefined> {
  const row = await tx
    .selectFrom('study_erasure')
    .selectAll()
    .where('study', '=', study)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'study_erasure', sealedFields(row), row.seal);
  return row;
}

/** Every study of the tenant that is or was to be erased; the seals are checked. */
export async function listStudyErasures(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
): Promise<StudyErasureRow[]> {
  const rows = await tx.selectFrom('study_erasure').selectAll().where('tenant', '=', tenant).execute();
  for (const row of rows) checkRow(rowKey, 'study_erasure', sealedFields(row), row.seal);
  return rows;
}

/** Writes how far the erasure of a study is, over what was there. */
export async function putStudyErasure(tx: Tx, rowKey: KeyObject, row: StudyErasure): Promise<void> {
  const { study, tenant, state, due_at, changed_at } = row;
  const unsealed = { study, tenant, state, due_at, changed_at };
  const sealed = { ...unsealed, seal: sealRow(rowKey, 'study_erasure', sealedFields(unsealed)) };
  await tx
    .insertInto('study_erasure')
    .values(sealed)
    .onConflict((conflict) => conflict.column('study').doUpdateSet(sealed))
    .execute();
}

/** How the rows of this slice are sealed. */
export const studyErasureTables: readonly SealedTable[] = [
  { table: 'study_erasure', identity: ['study'], owner: 'tenant', forms: [sealedFields] },
];
