import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type HolderRow = Selectable<Tables['holder']>;
export type UnsealedHolder = Omit<HolderRow, 'seal'>;
type Attestation = Omit<Selectable<Tables['holder_attestation']>, 'seal'>;

function fields(row: UnsealedHolder): (string | number | null)[] {
  const { id, log, kind, name, contact, about, thing, study, state } = row;
  const { registered_by, registered_at, expires_at, changed_at } = row;
  const said = [id, log, kind, name, contact, about, thing, study, state];
  return [...said, registered_by, registered_at, expires_at, changed_at];
}

function attestationFields({
  holder,
  about,
  thing,
  actor,
  made_at,
}: Attestation): (string | number | null)[] {
  return [holder, about, thing, actor, made_at];
}

export async function insert(tx: Tx, rowKey: KeyObject, row: UnsealedHolder): Promise<void> {
  await tx
    .insertInto('holder')
    .values({ ...row, seal: sealRow(rowKey, 'holder', fields(row)) })
    .execute();
}

/** Notes that a place has nothing any more. */
export async function end(
  tx: Tx,
  rowKey: KeyObject,
  row: UnsealedHolder,
  time: number,
): Promise<UnsealedHolder> {
  const ended: UnsealedHolder = { ...row, state: 'ended', changed_at: time };
  await tx
    .updateTable('holder')
    .set({ state: 'ended', changed_at: time, seal: sealRow(rowKey, 'holder', fields(ended)) })
    .where('id', '=', row.id)
    .execute();
  return ended;
}

export async function find(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<HolderRow | undefined> {
  const row = await tx
    .selectFrom('holder')
    .selectAll()
    .where('id', '=', id)
    .where('log', '=', log)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'holder', fields(row), row.seal);
  return row;
}

/** The holders that a log has registered, in the order of their registration; their seals are checked. */
export async function list(tx: Tx, rowKey: KeyObject, log: number): Promise<HolderRow[]> {
  const rows = await tx
    .selectFrom('holder')
    .selectAll()
    .where('log', '=', log)
    .orderBy('registered_at')
    .orderBy('id')
    .execute();
  for (const row of rows) checkRow(rowKey, 'holder', fields(row), row.seal);
  return rows;
}

export async function countRegistered(tx: Tx, log: number): Promise<number> {
  const { count } = await tx
    .selectFrom('holder')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('log', '=', log)
    .where('state', '=', 'registered')
    .executeTakeFirstOrThrow();
  return count;
}

/** Notes that a place does not have one key any more; a later statement takes the place of an older one. */
export async function attest(tx: Tx, rowKey: KeyObject, row: Attestation): Promise<void> {
  const values = { ...row, seal: sealRow(rowKey, 'holder_attestation', attestationFields(row)) };
  await tx
    .insertInto('holder_attestation')
    .values(values)
    .onConflict((conflict) =>
      conflict
        .columns(['holder', 'about', 'thing'])
        .doUpdateSet(values)
        .where('holder_attestation.made_at', '<', row.made_at),
    )
    .execute();
}

/**
 * The places that were attested not to have this one thing's key any more.
 *
 * @param since when the key was destroyed, ms: what was said before is of a place that could be given it again
 */
export async function attestedFor(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  { about, thing }: Pick<Attestation, 'about' | 'thing'>,
  since: number,
): Promise<Set<string>> {
  const rows = await tx
    .selectFrom('holder_attestation as a')
    .innerJoin('holder as h', 'h.id', 'a.holder')
    .select(['a.holder', 'a.about', 'a.thing', 'a.actor', 'a.made_at', 'a.seal'])
    .where('h.log', '=', log)
    .where('a.about', '=', about)
    .where('a.thing', '=', thing)
    .execute();
  for (const row of rows) checkRow(rowKey, 'holder_attestation', attestationFields(row), row.seal);
  return new Set(rows.filter(({ made_at }) => made_at >= since).map(({ holder }) => holder));
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'holder', identity: ['id'], owner: 'log', forms: [fields] },
  {
    table: 'holder_attestation',
    identity: ['holder', 'about', 'thing'],
    owner: { column: 'holder', table: 'holder' },
    forms: [attestationFields],
  },
];
