import type { KeyObject } from 'node:crypto';
import type { Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type HoldRow = Selectable<Tables['hold']>;
export type UnsealedHold = Omit<HoldRow, 'seal'>;

function fields(row: UnsealedHold): (string | number | null)[] {
  const { id, tenant, about, thing, study, kind, until_at, state, placed_by, placed_at, changed_at } = row;
  return [id, tenant, about, thing, study, kind, until_at, state, placed_by, placed_at, changed_at];
}

export async function insert(tx: Tx, rowKey: KeyObject, row: UnsealedHold): Promise<void> {
  await tx
    .insertInto('hold')
    .values({ ...row, seal: sealRow(rowKey, 'hold', fields(row)) })
    .execute();
}

/** Writes a hold that was read in this transaction. */
export async function update(tx: Tx, rowKey: KeyObject, row: UnsealedHold): Promise<void> {
  const { state, until_at, changed_at } = row;
  await tx
    .updateTable('hold')
    .set({ state, until_at, changed_at, seal: sealRow(rowKey, 'hold', fields(row)) })
    .where('id', '=', row.id)
    .execute();
}

export async function find(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
  id: string,
): Promise<HoldRow | undefined> {
  const row = await tx
    .selectFrom('hold')
    .selectAll()
    .where('id', '=', id)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'hold', fields(row), row.seal);
  return row;
}

/** The holds of a tenant in the order in which they were placed; their seals are checked. */
export async function list(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
  { inForceAt }: { readonly inForceAt?: number } = {},
): Promise<HoldRow[]> {
  let query = tx
    .selectFrom('hold')
    .selectAll()
    .where('tenant', '=', tenant)
    .orderBy('placed_at')
    .orderBy('id');
  if (inForceAt !== undefined) {
    query = query
      .where('state', '=', 'placed')
      .where((eb) => eb.or([eb('until_at', 'is', null), eb('until_at', '>', inForceAt)]));
  }
  const rows = await query.execute();
  for (const row of rows) checkRow(rowKey, 'hold', fields(row), row.seal);
  return rows;
}

/** How many holds of the tenant keep something at that time. */
export async function countInForce(tx: Tx, tenant: string, time: number): Promise<number> {
  const { count } = await tx
    .selectFrom('hold')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('tenant', '=', tenant)
    .where('state', '=', 'placed')
    .where((eb) => eb.or([eb('until_at', 'is', null), eb('until_at', '>', time)]))
    .executeTakeFirstOrThrow();
  return count;
}

/** The state of what a hold or a holder is about: undefined where the tenant has no such thing. */
export async function stateOfThing(
  tx: Tx,
  tenant: string,
  { about, thing, study }: Pick<UnsealedHold, 'about' | 'thing' | 'study'>,
): Promise<string | undefined> {
  if (about === 'tenant') return 'active';
  if (about === 'subject') {
    const row = await tx
      .selectFrom('subject')
      .select('state')
      .where('tenant', '=', tenant)
      .where('study', '=', study ?? '')
      .where('alias', '=', thing)
      .executeTakeFirst();
    return row?.state;
  }
  if (about === 'study') {
    const row = await tx
      .selectFrom('study')
      .leftJoin('study_erasure', 'study_erasure.study', 'study.id')
      .select('study_erasure.state')
      .where('study.id', '=', thing)
      .where('study.tenant', '=', tenant)
      .executeTakeFirst();
    // While the erasure waits there is something to keep.
    return row && (row.state === 'erasing' || row.state === 'erased' ? row.state : 'active');
  }
  const row = await tx
    .selectFrom('key')
    .select('state')
    .where('id', '=', thing)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  return row?.state;
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'hold', identity: ['id'], owner: 'tenant', forms: [fields] },
];
