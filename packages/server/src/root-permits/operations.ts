import type { OperationId, Operations, Output } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Context, Implementations } from '../platform/implementation.ts';
import * as store from './store.ts';
import type { PermitRow } from './store.ts';

export type RootPermitOperationId = Extract<OperationId, `roots.${string}`>;
type PermitView = Output<Operations['roots.permit-change']>;

/** How long a permit may be used: the machine has to be reached, and the server stopped. */
const permitMs = 3 * 86_400_000;

/** Binds dual control over changes of roots of trust to its behaviour. */
export function rootPermitImplementations(hierarchy: Hierarchy): Implementations<RootPermitOperationId> {
  return {
    'roots.permit-change': (context) => permit(hierarchy, context),
    'roots.list-permits': async ({ facts }) => {
      const rowKey = await hierarchy.rowKey(null);
      const rows = await facts.read((snapshot) => store.list(snapshot, rowKey));
      return { permits: rows.map(view) };
    },
  };
}

function view(row: Omit<PermitRow, 'seal'>): PermitView {
  const { id, change, root } = row;
  return { id, change, root, grantedAt: row.granted_at, expiresAt: row.expires_at, usedAt: row.used_at };
}

/** People have approved it when this is carried out; the change itself is made on the machine, and uses it up. */
async function permit(
  hierarchy: Hierarchy,
  { input, record }: Context<'roots.permit-change'>,
): Promise<Apply<'roots.permit-change'>> {
  const { change, root } = input;
  // What is activated or retired is there already; what is made has no id yet.
  if ((change === 'activate' || change === 'retire') !== (root !== undefined))
    throw new OperationError('root_permit.root', { field: '/root' });
  const rowKey = await hierarchy.rowKey(null);
  return async (tx, time) => {
    const row = {
      id: newId(),
      change,
      root: root ?? null,
      approval: record.approval ?? null,
      granted_at: time,
      expires_at: time + permitMs,
      used_at: null,
    };
    await store.put(tx, rowKey, row);
    record.dueAt = row.expires_at;
    return view(row);
  };
}
