import { maxHolders } from '@trialkeep/contract';
import type { OperationId, Operations, Output } from '@trialkeep/contract';
import type { Ledger } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import { requireThing, thingOf } from '../holds/index.ts';
import type { Thing } from '../holds/index.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Context, Implementations } from '../platform/implementation.ts';
import * as store from './store.ts';
import type { UnsealedHolder } from './store.ts';

export type HolderOperationId = Extract<OperationId, `holders.${string}`>;
type HolderView = Output<Operations['holders.register']>;

export interface HolderParts {
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  /** Has the erasures of a tenant, or of all, looked at again, in the transaction that takes a place off the list. */
  lookAgain(tx: Tx, tenant: string | null, time: number): Promise<void>;
  wake(): void;
}

/** Binds the operations on holders to their behaviour. Of a tenant, they are about its own; of the instance, about every tenant's. */
export function holderImplementations(parts: HolderParts): Implementations<HolderOperationId> {
  return {
    'holders.register': (context) => register(parts, context),
    'holders.attest': (context) => attest(parts, context),
    'holders.list': (context) => list(parts, context),
  };
}

function view(row: UnsealedHolder, scope: HolderView['scope'], time: number): HolderView {
  const hasExpired = row.expires_at !== null && row.expires_at <= time;
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    contact: row.contact,
    about: row.about,
    thing: row.thing,
    scope,
    state: row.state === 'ended' ? 'ended' : hasExpired ? 'expired' : 'registered',
    registeredAt: row.registered_at,
    expiresAt: row.expires_at,
  };
}

function scopeOf(tenant: string | null): HolderView['scope'] {
  return tenant === null ? 'instance' : 'tenant';
}

/** What the input is about; the instance has no things of its own, and what it has is of every tenant. */
function namedThing({ input, caller, record }: Context<'holders.register' | 'holders.attest'>): Thing {
  const { tenant } = caller.log;
  if (tenant !== null) return thingOf(input, tenant, record);
  const named = (['key', 'study', 'subject'] as const).find((name) => input[name] !== undefined);
  if (named !== undefined) throw new OperationError(`${named}.unknown`, { field: `/${named}` });
  return { about: 'tenant', thing: '', study: null };
}

async function register(
  { hierarchy }: HolderParts,
  context: Context<'holders.register'>,
): Promise<Apply<'holders.register'>> {
  const { input, caller, record, now } = context;
  const { id: log, tenant } = caller.log;
  context.payloadUnder = 'log';
  const { about, thing, study } = namedThing(context);
  const { kind, name, contact, expiresAt } = input;
  if (expiresAt !== undefined && expiresAt <= now)
    throw new OperationError('date.past', { field: '/expiresAt' });
  const rowKey = await hierarchy.rowKey(tenant);
  const id = newId();
  Object.assign(record, { holder: id, reason: kind, ...(expiresAt !== undefined && { dueAt: expiresAt }) });
  return async (tx, time) => {
    if (tenant !== null) await requireThing(tx, tenant, { about, thing, study });
    if ((await store.countRegistered(tx, log)) >= maxHolders) throw new OperationError('holder.too_many');
    const row: UnsealedHolder = {
      id,
      log,
      kind,
      name,
      contact,
      about: about === 'tenant' ? 'all' : about,
      thing: about === 'tenant' ? null : thing,
      study,
      state: 'registered',
      registered_by: caller.actor,
      registered_at: time,
      expires_at: expiresAt ?? null,
      changed_at: time,
    };
    await store.insert(tx, rowKey, row);
    record.state = 'registered';
    return view(row, scopeOf(tenant), time);
  };
}

async function attest(
  { hierarchy, lookAgain, wake }: HolderParts,
  context: Context<'holders.attest'>,
): Promise<Apply<'holders.attest'>> {
  const { input, caller, record, afterCommit } = context;
  const { id: log, tenant } = caller.log;
  record.holder = input.holder;
  context.payloadUnder = 'log';
  const { about, thing, study } = namedThing(context);
  const rowKey = await hierarchy.rowKey(tenant);
  afterCommit.push(async () => wake());
  return async (tx, time) => {
    const row = await store.find(tx, rowKey, log, input.holder);
    if (row === undefined) throw new OperationError('holder.unknown', { field: '/holder' });
    if (row.state === 'ended') throw new OperationError('holder.ended', { field: '/holder' });
    if (tenant !== null) await requireGone(tx, tenant, { about, thing, study });
    let now: UnsealedHolder = row;
    if (about === 'tenant') now = await store.end(tx, rowKey, row, time);
    else await store.attest(tx, rowKey, { holder: row.id, about, thing, actor: caller.actor, made_at: time });
    record.state = now.state;
    await lookAgain(tx, tenant, time);
    return view(now, scopeOf(tenant), time);
  };
}

/** A statement about a key that is in use would say nothing: the place may get it again. */
async function requireGone(tx: Tx, tenant: string, thing: Thing): Promise<void> {
  const state = await requireThing(tx, tenant, thing);
  if (thing.about === 'tenant' || ['erasing', 'erased', 'destroyed'].includes(state)) return;
  throw new OperationError('holder.key_in_use', { field: `/${thing.about}`, detail: `It is ${state}.` });
}

async function list(
  { hierarchy, ledger }: HolderParts,
  { caller, facts, now }: Context<'holders.list'>,
): Promise<{ holders: HolderView[] }> {
  const { id, tenant } = caller.log;
  const instance = ledger.instanceLog.id;
  const [own, shared] = await Promise.all([hierarchy.rowKey(tenant), hierarchy.rowKey(null)]);
  return facts.read(async (snapshot) => {
    const ofInstance = await store.list(snapshot, shared, instance);
    const ofTenant = tenant === null ? [] : await store.list(snapshot, own, id);
    return {
      holders: [
        ...ofTenant.map((row) => view(row, 'tenant', now)),
        ...ofInstance.map((row) => view(row, 'instance', now)),
      ],
    };
  });
}
