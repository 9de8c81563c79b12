import { sql } from 'kysely';
import type { RawBuilder, Selectable } from 'kysely';
import { isBehind } from '../platform/cursor.ts';
import type { Place } from '../platform/cursor.ts';
import { dialectOf } from '../platform/database.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type DataKeyRow = Selectable<Tables['data_key']>;
export type RegistryRow = Selectable<Tables['data_key_registry']>;
export type RewrapRow = Selectable<Tables['rewrap']>;
export type PartRow = Selectable<Tables['rewrap_part']>;

/** Rows in one statement: well below the databases' bounds on parameters. */
const rowsPerStatement = 200;

/** Splits rows into what one statement takes. */
function* statements<T>(rows: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < rows.length; start += rowsPerStatement) {
    yield rows.slice(start, start + rowsPerStatement);
  }
}

export async function findRegistry(tx: Tx, key: string): Promise<RegistryRow | undefined> {
  return tx.selectFrom('data_key_registry').selectAll().where('key', '=', key).executeTakeFirst();
}

/** Counts data keys in. A rewrap must aim beyond `version`, the oldest that one of them is under. */
export async function countIn(
  tx: Tx,
  { key, log, version }: { key: string; log: number; version: number },
  added: number,
): Promise<void> {
  await tx
    .insertInto('data_key_registry')
    .values({ key, log, registered: added, aimed_version: version })
    .onConflict((conflict) =>
      conflict.column('key').doUpdateSet((eb) => ({
        registered: eb('data_key_registry.registered', '+', added),
        aimed_version: eb
          .case()
          .when('data_key_registry.aimed_version', '>', version)
          .then(version)
          .else(eb.ref('data_key_registry.aimed_version'))
          .end(),
      })),
    )
    .execute();
}

/** Counts data keys out. */
export async function countOut(tx: Tx, key: string, removed: number): Promise<void> {
  await tx
    .updateTable('data_key_registry')
    .set((eb) => ({ registered: eb('registered', '-', removed) }))
    .where('key', '=', key)
    .execute();
}

export async function setAim(tx: Tx, key: string, version: number): Promise<void> {
  await tx.updateTable('data_key_registry').set({ aimed_version: version }).where('key', '=', key).execute();
}

/** Adds data keys; those that are there stay as they are. Gives how many are new. */
export async function insertDataKeys(tx: Tx, rows: readonly DataKeyRow[]): Promise<number> {
  let added = 0;
  for (const part of statements(rows)) {
    const inserted = await tx
      .insertInto('data_key')
      .values([...part])
      .onConflict((conflict) => conflict.columns(['key', 'reference']).doNothing())
      .returning('reference')
      .execute();
    added += inserted.length;
  }
  return added;
}

/** Gives how many were there. */
export async function removeDataKeys(
  tx: Tx,
  key: string,
  references: readonly Uint8Array[],
): Promise<number> {
  let removed = 0;
  for (const part of statements(references)) {
    const rows = await tx
      .deleteFrom('data_key')
      .where('key', '=', key)
      .where('reference', 'in', [...part])
      .returning('reference')
      .execute();
    removed += rows.length;
  }
  return removed;
}

export async function findDataKeys(
  tx: Tx,
  key: string,
  references: readonly Uint8Array[],
): Promise<Pick<DataKeyRow, 'reference' | 'wrapped' | 'version'>[]> {
  const found = [];
  for (const part of statements(references)) {
    const rows = await tx
      .selectFrom('data_key')
      .select(['reference', 'wrapped', 'version'])
      .where('key', '=', key)
      .where('reference', 'in', [...part])
      .execute();
    found.push(...rows);
  }
  return found;
}

/** A page of the registry, in the order of the references. */
export async function pageOfDataKeys(
  tx: Tx,
  key: string,
  behind: Uint8Array,
  limit: number,
): Promise<Pick<DataKeyRow, 'reference' | 'version' | 'registered_at'>[]> {
  return tx
    .selectFrom('data_key')
    .select(['reference', 'version', 'registered_at'])
    .where('key', '=', key)
    .where('reference', '>', behind)
    .orderBy('reference')
    .limit(limit)
    .execute();
}

/** Data keys behind a reference and before another, in order. */
export async function readDataKeys(
  tx: Tx,
  key: string,
  { from, behind, before }: { from: Uint8Array; behind: Uint8Array | null; before: Uint8Array | undefined },
  limit: number,
): Promise<DataKeyRow[]> {
  let query = tx.selectFrom('data_key').selectAll().where('key', '=', key);
  query = behind === null ? query.where('reference', '>=', from) : query.where('reference', '>', behind);
  if (before !== undefined) query = query.where('reference', '<', before);
  return query.orderBy('reference').limit(limit).execute();
}

/** A data key as it is wrapped from now on. */
export interface Rewrapped {
  readonly reference: Uint8Array;
  readonly wrapped: Uint8Array;
}

/**
 * Puts newly wrapped data keys in the place of the old ones; those that have been taken out meanwhile stay out. The rows come in the
 * order of their references: the bounds keep SQLite from looking through all data keys of the key for each statement.
 */
export async function putRewrapped(
  tx: Tx,
  key: string,
  version: number,
  rows: readonly Rewrapped[],
): Promise<void> {
  for (const part of statements(rows)) {
    const values = sql.join(part.map(({ reference, wrapped }) => pair(tx, reference, wrapped)));
    await sql`
      with fresh (reference, wrapped) as (values ${values})
      update data_key set wrapped = fresh.wrapped, version = ${version}
      from fresh where data_key.key = ${key} and data_key.reference = fresh.reference
        and data_key.reference >= ${part[0]?.reference} and data_key.reference <= ${part.at(-1)?.reference}`.execute(
      tx,
    );
  }
}

function pair(tx: Tx, reference: Uint8Array, wrapped: Uint8Array): RawBuilder<unknown> {
  return dialectOf(tx) === 'postgres'
    ? sql`(${reference}::bytea, ${wrapped}::bytea)`
    : sql`(${reference}, ${wrapped})`;
}

export async function insertRewrap(tx: Tx, row: RewrapRow, parts: readonly PartRow[]): Promise<void> {
  await tx.insertInto('rewrap').values(row).execute();
  await tx
    .insertInto('rewrap_part')
    .values([...parts])
    .execute();
}

export async function findRewrap(tx: Tx, id: string): Promise<RewrapRow | undefined> {
  return tx.selectFrom('rewrap').selectAll().where('id', '=', id).executeTakeFirst();
}

/** A rewrap of the log, held against other transactions until this one ends. */
export async function lockRewrap(tx: Tx, id: string): Promise<RewrapRow | undefined> {
  return tx
    .selectFrom('rewrap')
    .selectAll()
    .where('id', '=', id)
    .$if(dialectOf(tx) === 'postgres', (query) => query.forUpdate())
    .executeTakeFirst();
}

/** Those that run for the key, or rest. */
export async function unendedOf(tx: Tx, key: string): Promise<RewrapRow[]> {
  return tx
    .selectFrom('rewrap')
    .selectAll()
    .where('key', '=', key)
    .where('state', 'in', ['running', 'paused'])
    .execute();
}

export async function pageOfRewraps(
  tx: Tx,
  { log, key, after }: { log: number; key: string | undefined; after: Place },
  limit: number,
): Promise<RewrapRow[]> {
  let query = tx.selectFrom('rewrap').selectAll().where('log', '=', log).where(isBehind('begun_at', after));
  if (key !== undefined) query = query.where('key', '=', key);
  return query.orderBy('begun_at').orderBy('id').limit(limit).execute();
}

export async function updateRewrap(
  tx: Tx,
  { id, state, cause, worked_ms, running_since, ended_at }: RewrapRow,
): Promise<void> {
  await tx
    .updateTable('rewrap')
    .set({ state, cause, worked_ms, running_since, ended_at })
    .where('id', '=', id)
    .execute();
}

export async function listParts(tx: Tx, rewraps: readonly string[]): Promise<PartRow[]> {
  if (rewraps.length === 0) return [];
  return tx
    .selectFrom('rewrap_part')
    .selectAll()
    .where('rewrap', 'in', [...rewraps])
    .orderBy('rewrap')
    .orderBy('part')
    .execute();
}

export async function findPart(tx: Tx, rewrap: string, part: number): Promise<PartRow | undefined> {
  return tx
    .selectFrom('rewrap_part')
    .selectAll()
    .where('rewrap', '=', rewrap)
    .where('part', '=', part)
    .executeTakeFirst();
}

export async function putPart(tx: Tx, { rewrap, part, ...row }: PartRow): Promise<void> {
  await tx
    .updateTable('rewrap_part')
    .set(row)
    .where('rewrap', '=', rewrap)
    .where('part', '=', part)
    .execute();
}

/** A key that a rewrap may have to begin for, its tenant, and the tenant's log. */
export interface Outdated {
  readonly key: string;
  readonly tenant: string;
  readonly log: number;
}

/**
 * Keys with data keys under a version that is not their newest, for which no rewrap towards that runs, and none rests. Whether the
 * key can protect at all is not looked at beyond its state.
 */
export async function outdated(tx: Tx, behind: string, limit: number): Promise<Outdated[]> {
  return tx
    .selectFrom('data_key_registry as r')
    .innerJoin('key', 'key.id', 'r.key')
    .select(['r.key', 'key.tenant', 'r.log'])
    .where('r.key', '>', behind)
    .whereRef('key.version', '>', 'r.aimed_version')
    .where('r.registered', '>', 0)
    .where('key.state', '=', 'active')
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('rewrap')
            .select('rewrap.id')
            .whereRef('rewrap.key', '=', 'r.key')
            .where((each) =>
              each.or([
                each('rewrap.state', '=', 'paused'),
                each.and([
                  each('rewrap.state', '=', 'running'),
                  each('rewrap.version', '=', each.ref('key.version')),
                ]),
              ]),
            ),
        ),
      ),
    )
    .orderBy('r.key')
    .limit(limit)
    .execute();
}

/** Data keys that nobody can open any more: of destroyed keys, and of subjects that are erased. */
export async function unopenable(
  tx: Tx,
  limit: number,
): Promise<{ key: string; log: number; reference: Uint8Array }[]> {
  const ofKeys = await tx
    .selectFrom('data_key_registry as r')
    .innerJoin('key', 'key.id', 'r.key')
    .innerJoin('data_key as d', 'd.key', 'r.key')
    .select(['d.key', 'r.log', 'd.reference'])
    .where('r.registered', '>', 0)
    .where('key.state', '=', 'destroyed')
    .limit(limit)
    .execute();
  if (ofKeys.length > 0) return ofKeys;
  return tx
    .selectFrom('subject as s')
    .innerJoin('data_key as d', 'd.subject', 's.alias')
    .innerJoin('data_key_registry as r', 'r.key', 'd.key')
    .select(['d.key', 'r.log', 'd.reference'])
    .where('s.state', '<>', 'active')
    .limit(limit)
    .execute();
}
