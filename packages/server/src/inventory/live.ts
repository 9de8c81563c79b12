import { setImmediate } from 'node:timers/promises';
import type { KeyObject } from 'node:crypto';
import { isOverdue, keyUses } from '@trialkeep/contract';
import type { InventoryOrder, Operations, Output } from '@trialkeep/contract';
import { newestPlaces, placeOfTime, progress, timesAt } from '../audit/index.ts';
import type { Ledger, TransparencyLog } from '../audit/index.ts';
import { checkKey, keyView, listVersions } from '../keys/index.ts';
import type { Hierarchy, KeyNaming } from '../keys/index.ts';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Caller } from '../platform/implementation.ts';
import type { Facts } from '../platform/facts.ts';
import type { CryptographicModule, RootOfTrust } from '../roots/index.ts';
import { formatKeyCursor, parseKeyCursor } from './cursor.ts';
import * as store from './store.ts';
import type { KeyConditions, KeyPlace, ListedRow } from './store.ts';

/** What the inventory is made from. */
export interface InventoryParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly root: Pick<RootOfTrust, 'kind' | 'module'>;
  naming(tenant: string): Promise<KeyNaming>;
}

export type InventoryKey = Output<Operations['inventory.find']>['keys'][number];

/** What keys are looked for by: what their rows say, and what the ledger says of their use. */
export interface KeyFilter extends KeyConditions {
  /** Used for this study, as far as the ledger's index has come. */
  readonly study?: string | undefined;
  /** Without a successful use at or after this time, ms. */
  readonly unusedSince?: number | undefined;
}

export interface KeyPage {
  readonly order: InventoryOrder;
  readonly cursor: string | undefined;
  readonly limit: number;
  /** What the cursor is bound to, beside the tenant. */
  readonly question: object;
}

/** Keys that are looked through in one turn of the event loop. */
const keysPerTurn = 5000;
/** Turns after which a page ends, full or not, and says where the next begins. */
const maxTurns = 40;
/** Keys whose uses are looked up for one page, where the question is about uses. */
const maxLookedUp = 5000;

const usesTerms = [keyUses.map((id) => ['operation', id] as const), [['outcome', 'success'] as const]];

/** A page of the tenant's keys as they are now. Where a page is not full there may still be a next one. */
export async function findKeys(
  parts: InventoryParts,
  { caller, facts, now }: { readonly caller: Caller; readonly facts: Facts; readonly now: number },
  filter: KeyFilter,
  page: KeyPage,
): Promise<Output<Operations['inventory.find']>> {
  const tenant = tenantOf(caller);
  const asked = { tenant, question: page.question };
  const after = parseKeyCursor(asked, page.cursor);
  const log = parts.ledger.log(caller.log.id);
  const [rowKey, naming] = await Promise.all([parts.hierarchy.rowKey(tenant), parts.naming(tenant)]);
  await log.integrate();
  const indexed = await parts.database.read((snapshot) => progress(snapshot, log.id));
  const index = { log, first: indexed.first, end: indexed.size };
  const scan = new Scan(parts.database, { tenant, facts, filter, order: page.order, now, rowKey, index });
  const { rows, next } = await scan.take(after, page.limit);
  const lastUses = await lastUsesOf(
    parts.database,
    index,
    rows.map(({ id }) => id),
  );
  const modules = await modulesOf(parts, rowKey, rows);
  return {
    keys: rows.map((row) => {
      const view = keyView(row, naming, now);
      return {
        ...view,
        tenant,
        systemName: row.system_name,
        vendor: row.vendor,
        module: modules.get(row.id) ?? moduleOf(parts.root),
        overdue: isOverdue(view.state, view.rotationDueAt, now),
        lastUse: lastUses.get(row.id) ?? null,
      };
    }),
    origin: log.origin,
    size: indexed.size,
    next: next === undefined ? null : formatKeyCursor(asked, next),
  };
}

/** Where the ledger's index has come to. */
export interface Indexed {
  readonly log: TransparencyLog;
  readonly first: number;
  readonly end: number;
}

/** The newest successful use of each of the keys that has one, as far as the index has come. */
export async function lastUsesOf(
  database: Database,
  { log, first, end }: Indexed,
  keys: readonly string[],
): Promise<ReadonlyMap<string, { readonly at: number; readonly index: number }>> {
  if (keys.length === 0) return new Map();
  const read = inTurns(database);
  const places = await newestPlaces(read, log.id, 'key', keys, usesTerms, { first, end });
  const times = await read((snapshot) => timesAt(snapshot, log.id, [...places.values()]));
  return new Map(
    [...places].flatMap(([key, index]) => {
      const at = times.get(index);
      return at === undefined ? [] : [[key, { at, index }] as const];
    }),
  );
}

/** What is looked through, and for what. */
interface ScanOf {
  readonly tenant: string;
  readonly facts: Facts;
  readonly filter: KeyFilter;
  readonly order: InventoryOrder;
  readonly now: number;
  readonly rowKey: KeyObject;
  readonly index: Indexed;
}

/** Looks through a tenant's keys in an order, some at a time, for those that are wanted. */
class Scan {
  readonly #database: Database;
  readonly #of: ScanOf;

  constructor(database: Database, of: ScanOf) {
    this.#database = database;
    this.#of = of;
  }

  async take(from: KeyPlace, limit: number): Promise<{ rows: ListedRow[]; next: KeyPlace | undefined }> {
    const rows: ListedRow[] = [];
    let after = from;
    let lookedUp = 0;
    for (let turn = 0; turn < maxTurns && lookedUp < maxLookedUp; turn++) {
      const wanted = limit - rows.length;
      const { found, upTo } = await this.#read(after, wanted);
      rows.push(...(await this.#used(found)));
      if (this.#asksForUse) lookedUp += found.length;
      const isCut = found.length === wanted;
      // The last turn of all, which reached the end of the order.
      if (!isCut && upTo === undefined) return { rows, next: undefined };
      const last = isCut ? found.at(-1) : undefined;
      after = last === undefined ? (upTo ?? after) : store.placeOf(this.#of.order, last);
      if (rows.length >= limit) break;
      await setImmediate();
    }
    return { rows, next: after };
  }

  /** What the rows alone tell, of the next keys in the order. */
  async #read(after: KeyPlace, limit: number): Promise<{ found: ListedRow[]; upTo: KeyPlace | undefined }> {
    const { tenant, facts, filter, order, now, rowKey } = this.#of;
    return facts.read(async (snapshot) => {
      const upTo = await store.placeBehind(snapshot, tenant, order, after, keysPerTurn);
      const found = await store.listRows(snapshot, tenant, filter, { order, after, upTo, limit, now });
      for (const row of found) checkKey(rowKey, row);
      return { found, upTo };
    });
  }

  get #asksForUse(): boolean {
    return this.#of.filter.study !== undefined || this.#of.filter.unusedSince !== undefined;
  }

  /** Those of the keys whose uses are as the filter wants them. */
  async #used(rows: readonly ListedRow[]): Promise<readonly ListedRow[]> {
    const { study, unusedSince } = this.#of.filter;
    let left = rows;
    if (study !== undefined) {
      const used = await this.#placesOf(left, [[['study', study]], ...usesTerms], this.#of.index);
      left = left.filter(({ id }) => used.has(id));
    }
    if (unusedSince !== undefined) {
      const { log, first, end } = this.#of.index;
      const since = await this.#database.read((snapshot) =>
        placeOfTime(snapshot, log.id, unusedSince, { first, size: end }),
      );
      const used = await this.#placesOf(left, usesTerms, { first: since, end });
      left = left.filter(({ id }) => !used.has(id));
    }
    return left;
  }

  #placesOf(
    rows: readonly ListedRow[],
    terms: Parameters<typeof newestPlaces>[4],
    { first, end }: { readonly first: number; readonly end: number },
  ): Promise<ReadonlyMap<string, number>> {
    const keys = rows.map(({ id }) => id);
    const { log } = this.#of.index;
    return newestPlaces(inTurns(this.#database), log.id, 'key', keys, terms, { first, end });
  }
}

/** Reads that let others have the event loop between them. */
export function inTurns(database: Database): Database['read'] {
  return async (work) => {
    await setImmediate();
    return database.read(work);
  };
}

function moduleOf({ kind, module }: InventoryParts['root']): InventoryKey['module'] {
  const name = module && nameOf(module);
  return { protection: 'software', root: kind, ...(name !== undefined && { name }) };
}

function nameOf({ manufacturer, model, version }: CryptographicModule): string {
  return [manufacturer, model, version].filter((part) => part !== '').join(' ');
}

/** The modules of those of the keys that stay in an HSM. The inventory is told without the name of one that does not answer. */
async function modulesOf(
  { database, hierarchy, root }: InventoryParts,
  rowKey: KeyObject,
  rows: readonly ListedRow[],
): Promise<Map<string, InventoryKey['module']>> {
  const resident = rows.filter(({ protection }) => protection === 'hsm');
  if (resident.length === 0) return new Map();
  const module = await nameOfHsm(hierarchy);
  const read = inTurns(database);
  const modules = new Map<string, InventoryKey['module']>();
  for (const { id } of resident) {
    const versions = await read((snapshot) => listVersions(snapshot, rowKey, id));
    const token = versions.at(-1)?.token ?? undefined;
    const place = { ...(module !== undefined && { name: module }), ...(token !== undefined && { token }) };
    modules.set(id, { protection: 'hsm', root: root.kind, ...place });
  }
  return modules;
}

async function nameOfHsm(hierarchy: Hierarchy): Promise<string | undefined> {
  try {
    return nameOf(await hierarchy.tokenKeys.describe());
  } catch (error) {
    if (error instanceof OperationError) return undefined;
    throw error;
  }
}
