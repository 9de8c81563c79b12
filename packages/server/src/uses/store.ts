import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type ReporterRow = Omit<Selectable<Tables['use_reporter']>, 'seal'>;
export type ReceiptRow = Omit<Selectable<Tables['use_receipt']>, 'seal'>;

/** Rows in one statement: well below the databases' bounds on parameters. */
const rowsPerInsert = 200;

function reporterFields({
  id,
  log,
  system,
  last_sequence,
  last_hash,
}: ReporterRow): (string | number | null)[] {
  return [id, log, system, last_sequence, last_hash];
}

function receiptFields({ reporter, log, sequence, hash }: ReceiptRow): (string | number)[] {
  return [reporter, log, sequence, hash];
}

/** The reporter of the log, its seal checked. */
export async function findReporter(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<ReporterRow | undefined> {
  const row = await tx
    .selectFrom('use_reporter')
    .selectAll()
    .where('log', '=', log)
    .where('id', '=', id)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'use_reporter', reporterFields(row), row.seal);
  return row;
}

/** Every reporter of the log, with how far it has come as the version of its state. */
export async function listReporters(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
): Promise<{ id: string; state: 'active'; version: number }[]> {
  const rows = await tx.selectFrom('use_reporter').selectAll().where('log', '=', log).execute();
  for (const row of rows) checkRow(rowKey, 'use_reporter', reporterFields(row), row.seal);
  return rows.map(({ id, last_sequence }) => ({ id, state: 'active', version: last_sequence }));
}

export async function putReporter(tx: Tx, rowKey: KeyObject, row: ReporterRow): Promise<void> {
  const seal = sealRow(rowKey, 'use_reporter', reporterFields(row));
  const { last_sequence, last_hash } = row;
  await tx
    .insertInto('use_reporter')
    .values({ ...row, seal })
    .onConflict((conflict) => conflict.columns(['log', 'id']).doUpdateSet({ last_sequence, last_hash, seal }))
    .execute();
}

/** Hash of the receipt that has its entry under that number, its seal checked; undefined where there is none. */
export async function findReceipt(
  tx: Tx,
  rowKey: KeyObject,
  { log, reporter, sequence }: Omit<ReceiptRow, 'hash'>,
): Promise<string | undefined> {
  const row = await tx
    .selectFrom('use_receipt')
    .selectAll()
    .where('log', '=', log)
    .where('reporter', '=', reporter)
    .where('sequence', '=', sequence)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'use_receipt', receiptFields(row), row.seal);
  return row?.hash;
}

export async function insertReceipts(
  tx: Tx,
  rowKey: KeyObject,
  receipts: readonly ReceiptRow[],
): Promise<void> {
  const rows = receipts.map((row) => ({ ...row, seal: sealRow(rowKey, 'use_receipt', receiptFields(row)) }));
  for (let start = 0; start < rows.length; start += rowsPerInsert) {
    await tx
      .insertInto('use_receipt')
      .values(rows.slice(start, start + rowsPerInsert))
      .execute();
  }
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'use_reporter', identity: ['log', 'id'], owner: 'log', forms: [reporterFields] },
  { table: 'use_receipt', identity: ['log', 'reporter', 'sequence'], owner: 'log', forms: [receiptFields] },
];
