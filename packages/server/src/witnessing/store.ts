import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import type { Clock } from '../platform/clock.ts';
import { databaseTime, dialectOf } from '../platform/database.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

type Unsealed<Row> = Omit<Row, 'seal'>;
export type PolicyRow = Unsealed<Selectable<Tables['witnessing_policy']>>;
export type ProgressRow = Unsealed<Selectable<Tables['witnessing_progress']>>;
export type CosignerRow = Selectable<Tables['witnessing_cosigner']>;
export type CosignatureRow = Selectable<Tables['ledger_cosignature']>;

function policyFields(row: PolicyRow) {
  const { log, policy, mirrors, mode, bound_ms, version, hash, changed_at } = row;
  return [log, policy, mirrors, mode, bound_ms, version, hash, changed_at] as const;
}

function progressFields({ log, round_size, round_at, witnessed_size, withheld_since }: ProgressRow) {
  return [log, round_size, round_at, witnessed_size, withheld_since] as const;
}

/** The log's policy, its seal checked; undefined where none was ever set. */
export async function findPolicy(tx: Tx, rowKey: KeyObject, log: number): Promise<PolicyRow | undefined> {
  const row = await tx.selectFrom('witnessing_policy').selectAll().where('log', '=', log).executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'witnessing_policy', policyFields(row), row.seal);
  return row;
}

/** The logs that have a policy. */
export async function logsWithPolicy(tx: Tx): Promise<number[]> {
  const rows = await tx.selectFrom('witnessing_policy').select('log').orderBy('log').execute();
  return rows.map(({ log }) => log);
}

export async function putPolicy(tx: Tx, rowKey: KeyObject, row: PolicyRow): Promise<void> {
  const { log: _log, ...fields } = { ...row, seal: sealRow(rowKey, 'witnessing_policy', policyFields(row)) };
  await tx
    .insertInto('witnessing_policy')
    .values({ log: row.log, ...fields })
    .onConflict((conflict) => conflict.column('log').doUpdateSet(fields))
    .execute();
}

/** How far the log is witnessed, its seal checked, and held against other transactions until this one ends. */
export async function lockProgress(tx: Tx, rowKey: KeyObject, log: number): Promise<ProgressRow | undefined> {
  return progress(tx, rowKey, log, dialectOf(tx) === 'postgres');
}

export async function findProgress(tx: Tx, rowKey: KeyObject, log: number): Promise<ProgressRow | undefined> {
  return progress(tx, rowKey, log, false);
}

async function progress(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  lock: boolean,
): Promise<ProgressRow | undefined> {
  const row = await tx
    .selectFrom('witnessing_progress')
    .selectAll()
    .where('log', '=', log)
    .$if(lock, (query) => query.forUpdate())
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'witnessing_progress', progressFields(row), row.seal);
  return row;
}

export async function putProgress(tx: Tx, rowKey: KeyObject, row: ProgressRow): Promise<void> {
  const { log, round_size, round_at, witnessed_size, withheld_since } = row;
  const seal = sealRow(rowKey, 'witnessing_progress', progressFields(row));
  const fields = { round_size, round_at, witnessed_size, withheld_since, seal };
  await tx
    .insertInto('witnessing_progress')
    .values({ log, ...fields })
    .onConflict((conflict) => conflict.column('log').doUpdateSet(fields))
    .execute();
}

/** What is known of the log's cosigners, by id; also of those that no policy names any more. */
export async function cosigners(tx: Tx, log: number): Promise<Map<string, CosignerRow>> {
  const rows = await tx.selectFrom('witnessing_cosigner').selectAll().where('log', '=', log).execute();
  return new Map(rows.map((row) => [row.cosigner, row]));
}

/** What is known of a cosigner that was never asked. */
export function newCosigner(log: number, cosigner: string): CosignerRow {
  const never = { cosigned_at: null, failure: null, failing_since: null };
  return { log, cosigner, seen_size: 0, size: 0, ...never, failures: 0, next_at: 0 };
}

export async function putCosigner(tx: Tx, row: CosignerRow): Promise<void> {
  const { log, cosigner, ...fields } = row;
  await tx
    .insertInto('witnessing_cosigner')
    .values({ log, cosigner, ...fields })
    .onConflict((conflict) => conflict.columns(['log', 'cosigner']).doUpdateSet(fields))
    .execute();
}

/** Has every cosigner of the log asked again at once. */
export async function forgetWaits(tx: Tx, log: number): Promise<void> {
  await tx
    .updateTable('witnessing_cosigner')
    .set({ next_at: 0, failures: 0 })
    .where('log', '=', log)
    .execute();
}

/** Keeps a verified line; of one cosigner over one size the first that came. */
export async function insertCosignature(tx: Tx, row: CosignatureRow): Promise<void> {
  await tx
    .insertInto('ledger_cosignature')
    .values(row)
    .onConflict((conflict) => conflict.columns(['log', 'size', 'cosigner']).doNothing())
    .execute();
}

export async function cosignaturesAt(tx: Tx, log: number, size: number): Promise<CosignatureRow[]> {
  return tx
    .selectFrom('ledger_cosignature')
    .selectAll()
    .where('log', '=', log)
    .where('size', '=', size)
    .orderBy('cosigner')
    .execute();
}

/** Removes what newer cosignatures have replaced: of each cosigner the newest stays, and whatever is not older than `size`. */
export async function dropOlder(tx: Tx, log: number, size: number): Promise<void> {
  await tx
    .deleteFrom('ledger_cosignature as old')
    .where('old.log', '=', log)
    .where('old.size', '<', size)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('ledger_cosignature as newer')
          .select('newer.size')
          .whereRef('newer.log', '=', 'old.log')
          .whereRef('newer.cosigner', '=', 'old.cosigner')
          .whereRef('newer.size', '>', 'old.size'),
      ),
    )
    .execute();
}

/** The stored checkpoint over that many entries; undefined where none was signed. */
export async function checkpointAt(tx: Tx, log: number, size: number): Promise<string | undefined> {
  const row = await tx
    .selectFrom('ledger_checkpoint')
    .select('note')
    .where('log', '=', log)
    .where('size', '=', size)
    .executeTakeFirst();
  return row?.note;
}

/** Entries below are no longer kept here. */
export async function prunedBelow(tx: Tx, log: number): Promise<number> {
  const row = await tx
    .selectFrom('log')
    .select('pruned_below')
    .where('id', '=', log)
    .executeTakeFirstOrThrow();
  return row.pruned_below;
}

/** Entries of the log, and the database's time, ms. */
export async function sizeAndTime(
  tx: Tx,
  clock: Clock,
  log: number,
): Promise<{ size: number; time: number }> {
  return tx
    .selectFrom('head')
    .select(['size', databaseTime(tx, clock).as('time')])
    .where('log', '=', log)
    .executeTakeFirstOrThrow();
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'witnessing_policy', identity: ['log'], owner: 'log', forms: [policyFields] },
  { table: 'witnessing_progress', identity: ['log'], owner: 'log', forms: [progressFields] },
];
