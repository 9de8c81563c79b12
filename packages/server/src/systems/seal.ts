import type { OperationId, Operations, Output } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context, Implementations } from '../platform/implementation.ts';
import * as store from './store.ts';

export type SealOperationId = Extract<OperationId, `tenants.${'seal' | 'unseal' | 'seal-state'}`>;
type SealView = Output<Operations['tenants.seal']>;

/** Binds the sealing of tenants to its behaviour: one person stops all use of keys at once, more people lift that. */
export function sealImplementations(hierarchy: Hierarchy): Implementations<SealOperationId> {
  return {
    'tenants.seal-state': async (context) => view(await present(hierarchy, context)),
    'tenants.seal': (context) => change(hierarchy, context, 'sealed'),
    'tenants.unseal': (context) => change(hierarchy, context, 'open'),
  };
}

/** Refuses the use of keys while the caller's tenant is sealed. */
export async function refuseSealed(hierarchy: Hierarchy, context: Context<OperationId>): Promise<void> {
  if ((await present(hierarchy, context))?.state === 'sealed') throw new OperationError('tenant.sealed');
}

async function present(hierarchy: Hierarchy, { caller, facts }: Context<OperationId>) {
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  return facts.get('seal of the tenant', (snapshot) => store.findSeal(snapshot, rowKey, tenant));
}

async function change(
  hierarchy: Hierarchy,
  { caller, record, payload }: Context<'tenants.seal' | 'tenants.unseal'>,
  state: SealView['state'],
): Promise<Apply<'tenants.seal'>> {
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  return async (tx, time) => {
    const old = await store.findSeal(tx, rowKey, tenant);
    payload['old'] = { state: old?.state ?? 'open' };
    const row = { tenant, state, changed_at: time };
    await store.putSeal(tx, rowKey, row);
    record.state = state;
    return view(row);
  };
}

function view(row: Pick<store.SealRow, 'state' | 'changed_at'> | undefined): SealView {
  return { state: row?.state ?? 'open', changedAt: row?.changed_at ?? null };
}
