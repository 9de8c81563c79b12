import { sql } from 'kysely';
import type { RawBuilder, Selectable, SqlBool } from 'kysely';
import type { InventoryOrder, KeyState } from '@trialkeep/contract';
import type { KeyRow } from '../keys/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

/** A key with the names of its system. */
export type ListedRow = KeyRow & { readonly system_name: string; readonly vendor: string };

/** Which keys are wanted, by what their rows say; all conditions are met. */
export interface KeyConditions {
  readonly system?: string | undefined;
  readonly vendor?: string | undefined;
  readonly state?: KeyState | undefined;
  readonly algorithm?: string | undefined;
  readonly purpose?: string | undefined;
  readonly overdue?: boolean | undefined;
  readonly useLogged?: boolean | undefined;
  /** Ends its originator usage at or after now, and before this time, ms. */
  readonly expiresBefore?: number | undefined;
  /** In the description, whatever the case of ASCII letters. */
  readonly text?: string | undefined;
}

/** Where a key stands in an order: the order's value, and the id where values are the same. */
export interface KeyPlace {
  readonly value: number;
  readonly id: string;
}

/** Not one that a drill made up, in a system of its own: keys are those that were created, here as on a past day (`as-of.ts`). */
const isReal = sql<SqlBool>`key.system not in (select drill.system from drill where drill.system is not null)`;

const columns = {
  created: 'created_at',
  'rotation-due': 'rotation_due_at',
  expires: 'expires_at',
} as const satisfies Record<InventoryOrder, keyof Selectable<Tables['key']>>;

/** Where a row stands in an order. */
export function placeOf(order: InventoryOrder, row: KeyRow): KeyPlace {
  return { value: row[columns[order]] ?? 0, id: row.id };
}

/**
 * The place of the key that so many others stand before, behind a place; undefined where there are fewer. Read from the index of the order
 * alone: it bounds what a page has to look through.
 */
export async function placeBehind(
  tx: Tx,
  tenant: string,
  order: InventoryOrder,
  after: KeyPlace,
  keys: number,
): Promise<KeyPlace | undefined> {
  const column = columns[order];
  const row = await tx
    .selectFrom('key')
    .select(['id', column])
    .where('tenant', '=', tenant)
    .where(column, 'is not', null)
    .where(behind(column, after))
    .orderBy(column)
    .orderBy('id')
    .offset(keys - 1)
    .limit(1)
    .executeTakeFirst();
  return row && { value: (row as Partial<Record<typeof column, number | null>>)[column] ?? 0, id: row.id };
}

/** At most `limit` keys behind one place and up to another that meet the conditions at a time, in the order. */
export async function listRows(
  tx: Tx,
  tenant: string,
  conditions: KeyConditions,
  {
    order,
    after,
    upTo,
    limit,
    now,
  }: {
    readonly order: InventoryOrder;
    readonly after: KeyPlace;
    readonly upTo: KeyPlace | undefined;
    readonly limit: number;
    readonly now: number;
  },
): Promise<ListedRow[]> {
  const column = columns[order];
  const { system, vendor, state, algorithm, purpose, overdue, useLogged, expiresBefore, text } = conditions;
  let query = tx
    .selectFrom('key')
    .innerJoin('system', 'system.id', 'key.system')
    .selectAll('key')
    .select(['system.name as system_name', 'system.vendor as vendor'])
    .where('key.tenant', '=', tenant)
    .where(isReal)
    .where(`key.${column}`, 'is not', null)
    .where(behind(column, after))
    .orderBy(`key.${column}`)
    .orderBy('key.id')
    .limit(limit);
  if (upTo !== undefined) {
    query = query.where(sql<SqlBool>`(${sql.ref(`key.${column}`)}, key.id) <= (${upTo.value}, ${upTo.id})`);
  }
  if (system !== undefined) query = query.where('key.system', '=', system);
  if (vendor !== undefined) query = query.where('system.vendor', '=', vendor);
  if (algorithm !== undefined) query = query.where('key.algorithm', '=', algorithm);
  if (purpose !== undefined) query = query.where('key.purpose', '=', purpose);
  if (useLogged !== undefined) query = query.where('key.use_logged', '=', useLogged ? 1 : 0);
  if (state !== undefined) query = query.where(isIn(state, now));
  if (overdue !== undefined) {
    const isOverdue = sql<SqlBool>`(${isIn('active', now)} and key.rotation_due_at < ${now})`;
    query = query.where(overdue ? isOverdue : sql<SqlBool>`not ${isOverdue}`);
  }
  if (expiresBefore !== undefined) {
    query = query.where('key.expires_at', '>=', now).where('key.expires_at', '<', expiresBefore);
  }
  if (text !== undefined) {
    const lower = text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
    const pattern = `%${lower.replaceAll(/[\\%_]/g, (sign) => `\\${sign}`)}%`;
    query = query.where(sql<SqlBool>`lower(key.description) like ${pattern} escape '\\'`);
  }
  return query.execute();
}

/** The state at a time, as `stateAt` of the keys has it: a key activates and expires by its dates. */
function isIn(state: KeyState, now: number): RawBuilder<SqlBool> {
  const hasBegun = sql<SqlBool>`(key.activates_at is null or key.activates_at <= ${now})`;
  const hasEnded = sql<SqlBool>`(key.expires_at is not null and key.expires_at <= ${now})`;
  const isStored = sql<SqlBool>`key.state = ${state}`;
  if (state === 'active') return sql<SqlBool>`(key.state = 'active' and ${hasBegun} and not ${hasEnded})`;
  if (state === 'pre-activation')
    return sql<SqlBool>`(${isStored} or (key.state = 'active' and not ${hasBegun}))`;
  if (state === 'deactivated')
    return sql<SqlBool>`(${isStored} or (key.state = 'active' and ${hasBegun} and ${hasEnded}))`;
  return isStored;
}

function behind(column: (typeof columns)[InventoryOrder], { value, id }: KeyPlace): RawBuilder<SqlBool> {
  return sql<SqlBool>`(${sql.ref(`key.${column}`)}, key.id) > (${value}, ${id})`;
}

/** How many keys of all tenants there are, but for those of drills, by state at a time, and how many are overdue for rotation. */
export async function countKeys(
  database: Database,
  now: number,
): Promise<{ readonly states: ReadonlyMap<KeyState, number>; readonly overdue: number }> {
  const rows = await database.read((tx) =>
    tx
      .selectFrom('key')
      .select([
        'state',
        sql<number>`case when state <> 'active' then 0 when activates_at > ${now} then 1
          when expires_at <= ${now} then 2 when rotation_due_at < ${now} then 3 else 0 end`.as('dated'),
        sql<number>`count(*)`.as('keys'),
      ])
      .where(isReal)
      .groupBy(['state', 'dated'])
      .execute(),
  );
  const states = new Map<KeyState, number>();
  let overdue = 0;
  for (const { state, dated, keys } of rows) {
    const byDate = dated === 1 ? 'pre-activation' : dated === 2 ? 'deactivated' : state;
    states.set(byDate, (states.get(byDate) ?? 0) + keys);
    if (dated === 3) overdue += keys;
  }
  return { states, overdue };
}
