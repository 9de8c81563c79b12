import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import { isSealed, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import { isBehind } from '../platform/cursor.ts';
import type { Place } from '../platform/cursor.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type SignatureRow = Selectable<Tables['signature']>;

function sealedFields({ id, log, person, hash, created_at }: Omit<SignatureRow, 'seal'>) {
  return [id, log, person, hash, created_at] as const;
}

export async function insertSignature(
  tx: Tx,
  rowKey: KeyObject,
  row: Omit<SignatureRow, 'seal'>,
): Promise<void> {
  const seal = sealRow(rowKey, 'signature', sealedFields(row));
  await tx
    .insertInto('signature')
    .values({ ...row, seal })
    .execute();
}

/** Whether the row, and with it the hash of the record, is the one that was written. */
export function isAsWritten(rowKey: KeyObject, row: SignatureRow): boolean {
  return isSealed(rowKey, 'signature', sealedFields(row), row.seal);
}

/** A page of a log's signatures in the order of signing, from behind `after`. */
export async function listSignatures(
  tx: Tx,
  log: number,
  after: Place,
  limit: number,
): Promise<SignatureRow[]> {
  return tx
    .selectFrom('signature')
    .selectAll()
    .where('log', '=', log)
    .where(isBehind('created_at', after))
    .orderBy('created_at')
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** Whether the record of that hash is there. */
export async function hasRecord(tx: Tx, log: number, hash: string): Promise<boolean> {
  const row = await tx
    .selectFrom('signature')
    .select('id')
    .where('log', '=', log)
    .where('hash', '=', hash)
    .executeTakeFirst();
  return row !== undefined;
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'signature', identity: ['id'], owner: 'log', forms: [sealedFields] },
];
