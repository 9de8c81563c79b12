import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import { isBehind } from '../platform/cursor.ts';
import type { Place } from '../platform/cursor.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type EvidenceRow = Selectable<Tables['evidence']>;

function sealedFields(row: Omit<EvidenceRow, 'seal'>) {
  return [row.id, row.log, row.kind, row.hash, row.actor, row.parts, row.made_at] as const;
}

/** Rows in one statement: well below the databases' bounds on parameters. */
const rowsPerInsert = 50;

export async function insertEvidence(
  tx: Tx,
  rowKey: KeyObject,
  row: Omit<EvidenceRow, 'seal'>,
  parts: readonly Uint8Array[],
): Promise<void> {
  const seal = sealRow(rowKey, 'evidence', sealedFields(row));
  await tx
    .insertInto('evidence')
    .values({ ...row, seal })
    .execute();
  for (let first = 0; first < parts.length; first += rowsPerInsert) {
    const some = parts.slice(first, first + rowsPerInsert);
    await tx
      .insertInto('evidence_part')
      .values(some.map((ciphertext, i) => ({ evidence: row.id, part: first + i, ciphertext })))
      .execute();
  }
}

/** A document of the log, its seal checked. */
export async function findEvidence(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<EvidenceRow | undefined> {
  const row = await tx
    .selectFrom('evidence')
    .selectAll()
    .where('id', '=', id)
    .where('log', '=', log)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'evidence', sealedFields(row), row.seal);
  return row;
}

/** A page of a log's documents in the order of making, the seals checked. */
export async function listEvidence(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  after: Place,
  limit: number,
): Promise<EvidenceRow[]> {
  const rows = await tx
    .selectFrom('evidence')
    .selectAll()
    .where('log', '=', log)
    .where(isBehind('made_at', after))
    .orderBy('made_at')
    .orderBy('id')
    .limit(limit)
    .execute();
  for (const row of rows) checkRow(rowKey, 'evidence', sealedFields(row), row.seal);
  return rows;
}

/** The pieces of a document's content, in order. */
export async function partsOf(tx: Tx, evidence: string): Promise<Uint8Array[]> {
  const rows = await tx
    .selectFrom('evidence_part')
    .select('ciphertext')
    .where('evidence', '=', evidence)
    .orderBy('part')
    .execute();
  return rows.map(({ ciphertext }) => ciphertext);
}

/** The token that was obtained for the checkpoint of this size, and what it is of. */
export async function timestampOf(
  tx: Tx,
  log: number,
  size: number,
): Promise<{ note: string; token: Uint8Array } | undefined> {
  return tx
    .selectFrom('ledger_timestamp')
    .select(['note', 'token'])
    .where('log', '=', log)
    .where('size', '=', size)
    .executeTakeFirst();
}

/** The records of electronic signatures with these hashes, as text. */
export async function signatureRecords(tx: Tx, log: number, hashes: readonly string[]): Promise<string[]> {
  if (hashes.length === 0) return [];
  const rows = await tx
    .selectFrom('signature')
    .select('record')
    .where('log', '=', log)
    .where('hash', 'in', [...hashes])
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map(({ record }) => Buffer.from(record).toString('utf8'));
}

/** How far a subject's erasure has come; undefined for one that the study does not have. */
export async function subjectState(
  tx: Tx,
  tenant: string,
  study: string,
  alias: string,
): Promise<'active' | 'erasing' | 'erased' | undefined> {
  const row = await tx
    .selectFrom('subject')
    .select('state')
    .where('tenant', '=', tenant)
    .where('study', '=', study)
    .where('alias', '=', alias)
    .executeTakeFirst();
  return row?.state;
}

/** Ids in one statement. */
const idsPerSelect = 500;

/** What these ids are called: people and credentials of the log, studies and systems of its tenant. */
export async function namesOf(
  tx: Tx,
  log: { readonly id: number; readonly tenant: string | null },
  ids: readonly string[],
): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  const keep = (rows: readonly { id: string; name: string }[]): void => {
    for (const { id, name } of rows) if (name !== '') names.set(id, name.slice(0, 200));
  };
  for (let first = 0; first < ids.length; first += idsPerSelect) {
    const some = ids.slice(first, first + idsPerSelect);
    for (const table of ['person', 'credential'] as const) {
      const query = tx.selectFrom(table).select(['id', 'name']).where('log', '=', log.id);
      keep(await query.where('id', 'in', some).execute());
    }
    if (log.tenant === null) continue;
    const { tenant } = log;
    const systems = tx.selectFrom('system').select(['id', 'name']).where('tenant', '=', tenant);
    keep(await systems.where('id', 'in', some).execute());
    const studies = tx.selectFrom('study').select(['id', 'protocol as name']).where('tenant', '=', tenant);
    keep(await studies.where('id', 'in', some).execute());
  }
  return names;
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'evidence', identity: ['id'], owner: 'log', forms: [sealedFields] },
];
