import type { KeyObject } from 'node:crypto';
import type { OperationId, Operations, Output } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError, StartupError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context, Implementations } from '../platform/implementation.ts';
import * as store from './store.ts';

export type SealOperationId = Extract<OperationId, `tenants.${'seal' | 'unseal' | 'seal-state'}`>;
/** What completing the seals at start needs. */
export interface SealParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
}
type SealView = Output<Operations['tenants.seal']>;

/** Binds the sealing of tenants to its behaviour: one person stops all use of keys at once, more people lift that. */
export function sealImplementations(hierarchy: Hierarchy): Implementations<SealOperationId> {
  return {
    'tenants.seal-state': async (context) => view(await present(hierarchy, context)),
    'tenants.seal': (context) => seal(hierarchy, context),
    'tenants.unseal': (context) => unseal(hierarchy, context),
  };
}

/** Refuses the use of keys while the caller's tenant is sealed. */
export async function refuseSealed(hierarchy: Hierarchy, context: Context<OperationId>): Promise<void> {
  if ((await present(hierarchy, context)).state === 'sealed') throw new OperationError('tenant.sealed');
}

async function present(hierarchy: Hierarchy, { caller, facts }: Context<OperationId>) {
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  return facts.get('seal of the tenant', (snapshot) => sealOf(snapshot, rowKey, tenant));
}

/** Every tenant has the row since the start: one that is missing has been taken away. */
async function sealOf(tx: Tx, rowKey: KeyObject, tenant: string): Promise<store.SealRow> {
  const row = await store.findSeal(tx, rowKey, tenant);
  if (row === undefined) throw new StartupError('database.altered', `Table tenant_seal, row ${tenant}.`);
  return row;
}

async function seal(hierarchy: Hierarchy, context: Context<'tenants.seal'>): Promise<Apply<'tenants.seal'>> {
  const rowKey = await hierarchy.rowKey(tenantOf(context.caller));
  return (tx, time) => change(tx, rowKey, context, 'sealed', time);
}

/** What people approve is the end of one seal: it lifts none that was set since, however late it runs. */
async function unseal(
  hierarchy: Hierarchy,
  context: Context<'tenants.unseal'>,
): Promise<Apply<'tenants.unseal'>> {
  const { input, caller } = context;
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  const check = (row: store.SealRow): void => {
    if (row.state === 'sealed' && row.changed_at === input.sealedAt) return;
    throw new OperationError('tenant.not_sealed', { field: '/sealedAt' });
  };
  check(await present(hierarchy, context));
  return async (tx, time) => {
    check(await sealOf(tx, rowKey, tenant));
    return change(tx, rowKey, context, 'open', time);
  };
}

async function change(
  tx: Tx,
  rowKey: KeyObject,
  { caller, record, payload }: Context<'tenants.seal' | 'tenants.unseal'>,
  state: SealView['state'],
  time: number,
): Promise<SealView> {
  const tenant = tenantOf(caller);
  const old = await sealOf(tx, rowKey, tenant);
  payload['old'] = { state: old.state };
  // The time names the seal: no two have the same.
  const row = { tenant, state, changed_at: Math.max(time, old.changed_at + 1) };
  await store.updateSeal(tx, rowKey, row);
  record.state = state;
  return view(row);
}

function view({ state, changed_at }: Pick<store.SealRow, 'state' | 'changed_at'>): SealView {
  return { state, changedAt: changed_at };
}

/** Makes the row of tenants from before there were seals. A row that is missing later has been taken away. */
export async function completeSeals({ database, hierarchy }: SealParts): Promise<void> {
  const tenants = await database.read((snapshot) => store.tenantsWithoutSeal(snapshot));
  for (const tenant of tenants) {
    const rowKey = await hierarchy.rowKey(tenant);
    await database.write((tx) => store.insertSeal(tx, rowKey, { tenant, state: 'open', changed_at: 0 }));
  }
}
