import type { OperationId } from '@trialkeep/contract';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context, Implementations } from '../platform/implementation.ts';
import * as lifecycle from './lifecycle.ts';
import type { LifecycleParts } from './lifecycle.ts';
import { stateAt } from './states.ts';
import * as store from './store.ts';
import * as use from './use.ts';
import type { UseParts } from './use.ts';
import { keyView } from './view.ts';

export type KeyOperationId = Extract<OperationId, `keys.${string}`>;

/** Binds the key operations of the contract to their behaviour. */
export function keyImplementations(parts: LifecycleParts & UseParts): Implementations<KeyOperationId> {
  return {
    'keys.create': (context) => lifecycle.create(parts, context),
    'keys.rotate': (context) => lifecycle.rotate(parts, context),
    'keys.suspend': (context) => lifecycle.suspend(parts, context),
    'keys.resume': (context) => lifecycle.resume(parts, context),
    'keys.revoke': (context) => lifecycle.revoke(parts, context),
    'keys.destroy': (context) => lifecycle.destroy(parts, context),
    'keys.list': async (context) => list(parts, context),
    'keys.show': async (context) => show(parts, context),
    'keys.encrypt': (context) => use.encrypt(parts, context),
    'keys.decrypt': (context) => use.decrypt(parts, context),
    'keys.generate-data-key': (context) => use.generate(parts, context),
    'keys.decrypt-data-key': (context) => use.release(parts, context),
  };
}

async function list(parts: LifecycleParts, { input, caller, facts, now }: Context<'keys.list'>) {
  const tenant = tenantOf(caller);
  const [rowKey, naming] = await Promise.all([parts.hierarchy.rowKey(tenant), parts.naming(tenant)]);
  const rows = await facts.read((snapshot) => store.listKeys(snapshot, rowKey, tenant, input.system));
  return { keys: rows.map((row) => keyView(row, naming, now)) };
}

async function show(parts: LifecycleParts, { input, caller, facts, now, record }: Context<'keys.show'>) {
  const tenant = tenantOf(caller);
  record.key = input.key;
  const [rowKey, naming] = await Promise.all([parts.hierarchy.rowKey(tenant), parts.naming(tenant)]);
  const found = await facts.get(`key ${input.key}`, async (snapshot) => {
    const row = await store.findKey(snapshot, rowKey, tenant, input.key);
    return row && { row, versions: await store.listVersions(snapshot, rowKey, input.key) };
  });
  if (found === undefined) throw new OperationError('key.unknown', { field: '/key' });
  const current = stateAt(found.row, now) === 'active' ? found.row.version : 0;
  return {
    key: keyView(found.row, naming, now),
    versions: found.versions.map(({ id, version, created_at }) => ({
      id,
      version,
      state: version === current ? ('active' as const) : ('deactivated' as const),
      createdAt: created_at,
    })),
  };
}
