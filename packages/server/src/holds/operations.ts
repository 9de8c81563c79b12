import { maxHolds } from '@trialkeep/contract';
import type { OperationId, Operations, Output } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context, Implementations } from '../platform/implementation.ts';
import * as store from './store.ts';
import type { UnsealedHold } from './store.ts';
import { requireThing, thingOf } from './thing.ts';

export type HoldOperationId = Extract<OperationId, `holds.${string}`>;
type HoldView = Output<Operations['holds.place']>;

/** Binds the operations on holds to their behaviour. */
export function holdImplementations(hierarchy: Hierarchy): Implementations<HoldOperationId> {
  return {
    'holds.place': (context) => place(hierarchy, context),
    'holds.release': (context) => release(hierarchy, context),
    'holds.list': async ({ input, caller, facts, now }) => {
      const tenant = tenantOf(caller);
      const rowKey = await hierarchy.rowKey(tenant);
      const which = input.state === 'all' ? {} : { inForceAt: now };
      const rows = await facts.read((snapshot) => store.list(snapshot, rowKey, tenant, which));
      return { holds: rows.map((row) => view(row, now)) };
    },
  };
}

function view(row: UnsealedHold, time: number): HoldView {
  const hasEnded = row.until_at !== null && row.until_at <= time;
  return {
    id: row.id,
    about: row.about,
    thing: row.thing,
    kind: row.kind,
    until: row.until_at,
    state: row.state === 'released' ? 'released' : hasEnded ? 'ended' : 'placed',
    placedAt: row.placed_at,
    placedBy: row.placed_by,
  };
}

async function place(hierarchy: Hierarchy, context: Context<'holds.place'>): Promise<Apply<'holds.place'>> {
  const { input, caller, record, now } = context;
  // Why something is kept outlives it.
  context.payloadUnder = 'log';
  const tenant = tenantOf(caller);
  const thing = thingOf(input, tenant, record);
  const { kind, until } = input;
  if (kind === 'retention' && until === undefined)
    throw new OperationError('hold.until', { field: '/until' });
  if (until !== undefined && until <= now) throw new OperationError('date.past', { field: '/until' });
  const rowKey = await hierarchy.rowKey(tenant);
  const id = newId();
  Object.assign(record, { hold: id, reason: kind, ...(until !== undefined && { dueAt: until }) });
  return async (tx, time) => {
    const state = await requireThing(tx, tenant, thing);
    if (['erasing', 'erased', 'destroyed'].includes(state)) {
      const field = `/${thing.about}`;
      throw new OperationError('key.unusable', {
        field,
        detail: `There is nothing to keep: it is ${state}.`,
      });
    }
    if ((await store.countInForce(tx, tenant, time)) >= maxHolds) throw new OperationError('hold.too_many');
    const row: UnsealedHold = {
      id,
      tenant,
      ...thing,
      kind,
      until_at: until ?? null,
      state: 'placed',
      placed_by: caller.actor,
      placed_at: time,
      changed_at: time,
    };
    await store.insert(tx, rowKey, row);
    record.state = 'placed';
    return view(row, time);
  };
}

async function release(
  hierarchy: Hierarchy,
  context: Context<'holds.release'>,
): Promise<Apply<'holds.release'>> {
  const { input, caller, facts, record, payload, now } = context;
  context.payloadUnder = 'log';
  const tenant = tenantOf(caller);
  record.hold = input.hold;
  const rowKey = await hierarchy.rowKey(tenant);
  const admitted = (row: UnsealedHold | undefined, time: number): UnsealedHold => {
    if (row === undefined) throw new OperationError('hold.unknown', { field: '/hold' });
    if (view(row, time).state !== 'placed') throw new OperationError('hold.ended', { field: '/hold' });
    return row;
  };
  const known = await facts.read((snapshot) => store.find(snapshot, rowKey, tenant, input.hold));
  admitted(known, now);
  return async (tx, time) => {
    const row = admitted(await store.find(tx, rowKey, tenant, input.hold), time);
    payload['old'] = { state: row.state, until: row.until_at };
    const released: UnsealedHold = { ...row, state: 'released', changed_at: time };
    await store.update(tx, rowKey, released);
    const named = { tenant: {}, study: { study: row.thing }, key: { key: row.thing } } as const;
    Object.assign(
      record,
      row.about === 'subject' ? { study: row.study, subject: row.thing } : named[row.about],
      { state: 'released', reason: row.kind },
    );
    return view(released, time);
  };
}
