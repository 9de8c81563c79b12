import type { Selectable } from 'kysely';
import { dialectOf } from '../../platform/database.ts';
import type { Tx } from '../../platform/database.ts';
import type { Tables } from '../../platform/tables.ts';

export type LogKeyRow = Selectable<Tables['log_key']>;

/** Every key that signs or has signed checkpoints of a log: those of Ed25519 first, in the order in which they began. */
export async function logKeys(tx: Tx, log: number): Promise<LogKeyRow[]> {
  return tx
    .selectFrom('log_key')
    .selectAll()
    .where('log', '=', log)
    .orderBy('algorithm')
    .orderBy('from_size')
    .orderBy('id')
    .execute();
}

/**
 * Of each key its id and state: what changes when keys are rotated or retired. Nobody changes them, or stores another checkpoint,
 * until the transaction ends.
 */
export async function lockLogKeys(tx: Tx, log: number): Promise<Pick<LogKeyRow, 'id' | 'state'>[]> {
  return tx
    .selectFrom('log_key')
    .select(['id', 'state'])
    .where('log', '=', log)
    .orderBy('algorithm')
    .orderBy('from_size')
    .orderBy('id')
    .$if(dialectOf(tx) === 'postgres', (query) => query.forUpdate())
    .execute();
}

export async function insertLogKeys(tx: Tx, rows: readonly LogKeyRow[]): Promise<void> {
  await tx
    .insertInto('log_key')
    .values([...rows])
    .execute();
}

/** The active keys sign on until `endsAt` (ms), beside those that follow them. */
export async function endActiveKeys(tx: Tx, log: number, endsAt: number): Promise<void> {
  await tx
    .updateTable('log_key')
    .set({ state: 'ending', ends_at: endsAt })
    .where('log', '=', log)
    .where('state', '=', 'active')
    .execute();
}

/** The keys that are ending have signed for the last time: what could sign is taken out of the row. */
export async function destroyEndingKeys(tx: Tx, log: number, untilSize: number): Promise<void> {
  await tx
    .updateTable('log_key')
    .set({ state: 'ended', until_size: untilSize, wrapped_key: null })
    .where('log', '=', log)
    .where('state', '=', 'ending')
    .execute();
}

/** A key has signed for the last time, whatever its state: what could sign is taken out of its row. */
export async function destroyKey(tx: Tx, id: string, untilSize: number): Promise<void> {
  await tx
    .updateTable('log_key')
    .set({ state: 'ended', until_size: untilSize, wrapped_key: null })
    .where('id', '=', id)
    .execute();
}

/** The logs that have no active key of the algorithm. */
export async function logsWithoutKey(tx: Tx, algorithm: LogKeyRow['algorithm']): Promise<number[]> {
  const rows = await tx
    .selectFrom('log')
    .select('id')
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('log_key')
            .select('log_key.id')
            .whereRef('log_key.log', '=', 'log.id')
            .where('log_key.algorithm', '=', algorithm)
            .where('log_key.state', '=', 'active'),
        ),
      ),
    )
    .orderBy('id')
    .execute();
  return rows.map(({ id }) => id);
}

/** How many entries the log has, in the transaction that has just taken its places. */
export async function sizeOfLog(tx: Tx, log: number): Promise<number> {
  const { size } = await tx
    .selectFrom('head')
    .select('size')
    .where('log', '=', log)
    .executeTakeFirstOrThrow();
  return size;
}
