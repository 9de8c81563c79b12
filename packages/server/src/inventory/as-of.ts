import { isKeyChange, KeyHistory, keyChanges, makings } from '@trialkeep/contract';
import type { KeyAsOf, KeyState, Operations, Output } from '@trialkeep/contract';
import { openPayload, payloadsAt, placeOfTime, placesOfTerms, progress } from '../audit/index.ts';
import type { TransparencyLog } from '../audit/index.ts';
import { keyArn } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context } from '../platform/implementation.ts';
import { formatPastCursor, parsePastCursor } from './cursor.ts';
import { inTurns, lastUsesOf } from './live.ts';
import type { Indexed, InventoryParts } from './live.ts';

export type PastInventory = Output<Operations['inventory.as-of']>;

/** Which keys of a past day are wanted. */
export interface PastFilter {
  readonly system?: string | undefined;
  readonly state?: KeyState | undefined;
}

/** Keys whose histories are read in one turn: their entries and payloads are in memory together. */
const keysPerTurn = 200;
/** Keys that are looked through for one page, however few of them are wanted. */
const maxLookedThrough = 4000;
/** Places of changes that are looked up together, of all keys of a turn: what a read gives, and holds in memory. */
const changesPerRead = 10_000;

/** A page of the keys that there were at a time, out of the ledger alone. Where a page is not full there may still be a next one. */
export async function keysAsOf(
  parts: InventoryParts,
  { input, caller, now, record }: Context<'inventory.as-of'>,
): Promise<PastInventory> {
  const { asOf, system, state, cursor, limit = 100 } = input;
  if (system !== undefined) record.system = system;
  const tenant = tenantOf(caller);
  const asked = { tenant, question: { asOf, system, state } };
  const at = cursor === undefined ? undefined : parsePastCursor(asked, cursor);
  const log = parts.ledger.log(caller.log.id);
  const indexed = await boundOfPast(parts, log, { asOf, now });
  if (at !== undefined && at.end > indexed.end)
    throw new OperationError('request.invalid', { field: '/cursor' });
  const end = at?.end ?? indexed.end;
  const bound = { ...indexed, end };
  const { keys, last } = await takePast(parts, bound, { asOf, system, state, after: at?.after ?? -1, limit });
  const { region, account } = await parts.naming(tenant);
  return {
    asOf,
    keys: keys.map((key) => ({ ...key, tenant, arn: keyArn({ region, account }, key.id) })),
    origin: log.origin,
    size: end,
    next: last === undefined ? null : formatPastCursor(asked, { after: last, end }),
  };
}

/**
 * The entries that are of the time: those up to it.
 *
 * @throws OperationError `inventory.future`, `inventory.archived`, `inventory.before_ledger`, `question.indexing`
 */
export async function boundOfPast(
  { database }: Pick<InventoryParts, 'database'>,
  log: TransparencyLog,
  { asOf, now }: { readonly asOf: number; readonly now: number },
): Promise<Indexed> {
  if (asOf > now) throw new OperationError('inventory.future', { field: '/asOf' });
  await log.integrate();
  return database.read(async (snapshot) => {
    const { size, treeSize, first } = await progress(snapshot, log.id);
    if (first > 0) throw new OperationError('inventory.archived', { field: '/asOf' });
    const end = await placeOfTime(snapshot, log.id, asOf + 1, { first, size: treeSize });
    if (end === 0) throw new OperationError('inventory.before_ledger', { field: '/asOf' });
    if (end > size) throw new OperationError('question.indexing');
    return { log, first, end };
  });
}

/**
 * Keys in the order of their making, behind the index `after`; `last` is the last that was looked at, where there may be more. Those that
 * drills made up are not among them.
 */
export async function takePast(
  parts: Pick<InventoryParts, 'database' | 'hierarchy'>,
  bound: Indexed,
  wanted: PastFilter & { readonly asOf: number; readonly after: number; readonly limit: number },
  most = changesPerRead,
): Promise<{ keys: KeyAsOf[]; last: number | undefined }> {
  const { system, state, asOf, limit } = wanted;
  const keys: KeyAsOf[] = [];
  let { after } = wanted;
  for (let looked = 0; keys.length < limit && looked < maxLookedThrough; looked += keysPerTurn) {
    const wantedKeys = state === undefined ? Math.min(keysPerTurn, limit - keys.length) : keysPerTurn;
    const made = await placesMade(parts, bound, { after, system, most: wantedKeys });
    const found = await historiesOf(parts, bound, made, { asOf, most });
    for (const { key, index } of found) {
      if (keys.length >= limit) return { keys, last: after };
      if (state === undefined || key.state === state) keys.push(key);
      after = index;
    }
    if (made.length < wantedKeys) return { keys, last: undefined };
  }
  return { keys, last: after };
}

/** Where keys were made, in order. */
function placesMade(
  { database }: Pick<InventoryParts, 'database'>,
  { log, end }: Indexed,
  { after, system, most }: { after: number; system: string | undefined; most: number },
): Promise<number[]> {
  const terms = [
    ...(system === undefined ? [] : [[['system', system] as const]]),
    makings.map((id) => ['operation', id] as const),
    [['outcome', 'success'] as const],
  ];
  return placesOfTerms(inTurns(database), log.id, terms, { first: after + 1, end }, most);
}

/** The keys that were made at these places, as they were at a time, in the same order. */
async function historiesOf(
  { database, hierarchy }: Pick<InventoryParts, 'database' | 'hierarchy'>,
  bound: Indexed,
  made: readonly number[],
  { asOf, most }: { readonly asOf: number; readonly most: number },
): Promise<{ key: KeyAsOf; index: number }[]> {
  if (made.length === 0) return [];
  const { log, end } = bound;
  const read = inTurns(database);
  const makings = await read((snapshot) => payloadsAt(snapshot, log, made));
  const ids = makings.flatMap(({ entry }) => (entry.key === undefined ? [] : [entry.key]));
  const terms = [
    keyChanges.map((id) => ['operation', id] as const),
    [['outcome', 'success'] as const],
    ids.map((id) => ['key', id] as const),
  ];
  const histories = new Map(ids.map((id) => [id, new KeyHistory(id)]));
  const changes = placesInReads(read, log.id, terms, { first: made[0] ?? 0, end }, most);
  for await (const places of changes) {
    for (let first = 0; first < places.length; first += keysPerTurn) {
      const some = places.slice(first, first + keysPerTurn);
      for (const found of await read((snapshot) => payloadsAt(snapshot, log, some))) {
        const history = histories.get(found.entry.key ?? '');
        if (history === undefined || !isKeyChange(found.entry)) continue;
        const payload = await openPayload(hierarchy, log, found);
        history.change(found.entry, payload.state === 'open' ? JSON.parse(payload.content) : undefined);
      }
    }
  }
  for (const [id, { at, index }] of await lastUsesOf(database, bound, ids)) histories.get(id)?.use(at, index);
  return makings.flatMap(({ entry, position }) => {
    const key = histories.get(entry.key ?? '')?.at(asOf);
    return key === undefined ? [] : [{ key, index: position }];
  });
}

/** Every place in the range whose entry has a value of every term, in order, at most so many at a time. */
async function* placesInReads(
  read: Parameters<typeof placesOfTerms>[0],
  log: number,
  terms: Parameters<typeof placesOfTerms>[2],
  { first, end }: { readonly first: number; readonly end: number },
  most: number,
): AsyncGenerator<readonly number[], void, undefined> {
  for (let from = first; from < end;) {
    const places = await placesOfTerms(read, log, terms, { first: from, end }, most);
    yield places;
    if (places.length < most) return;
    from = (places.at(-1) ?? end) + 1;
  }
}
