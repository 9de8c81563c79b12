import type { OperationId, Operations, Output } from '@trialkeep/contract';
import type { KeyObject } from 'node:crypto';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context, Implementations } from '../platform/implementation.ts';
import type { LeaseState, RootLeases } from './leases.ts';
import { applyMove, prepareMove } from './move.ts';
import type { MoveParts } from './move.ts';
import * as store from './store.ts';
import type { Wrappings } from './store.ts';

export type TenantRootOperationId = Extract<OperationId, `tenant-root.${string}`>;
type View = Output<Operations['tenant-root.show']>;

export interface TenantRootParts extends MoveParts {
  readonly leases: RootLeases;
}

/** Where nothing else is said: how soon a refusal bites, s. */
const usualLeaseSeconds = 300;

/** Binds the operations on a tenant's own root of trust to their behaviour. */
export function tenantRootImplementations(parts: TenantRootParts): Implementations<TenantRootOperationId> {
  return {
    'tenant-root.show': async (context) => {
      const { tenant, found } = await present(parts, context);
      return view(parts, tenant, found.root);
    },
    'tenant-root.move': (context) => move(parts, context),
    'tenant-root.set-lease': (context) => setLease(parts, context),
  };
}

interface Present {
  readonly tenant: string;
  readonly rowKey: KeyObject;
  readonly found: Wrappings;
}

async function present(
  { hierarchy }: TenantRootParts,
  { caller, facts }: Pick<Context<TenantRootOperationId>, 'caller' | 'facts'>,
): Promise<Present> {
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  return { tenant, rowKey, found: await facts.read((snapshot) => store.find(snapshot, rowKey, tenant)) };
}

function view(
  { folder, leases }: TenantRootParts,
  tenant: string,
  row: Omit<NonNullable<Wrappings['root']>, 'seal'> | undefined,
): View {
  const root = row?.root ?? null;
  const known = leases.state(tenant);
  const state: LeaseState | undefined = known?.root === root ? known : undefined;
  return {
    root,
    kind: root === null ? null : kindOf(folder, tenant, root),
    leaseSeconds: root === null ? 0 : (row?.lease_seconds ?? 0),
    version: row?.version ?? 0,
    changedAt: row?.changed_at ?? null,
    available: folder.list(tenant),
    answer: state?.answer ?? 'unasked',
    askedAt: state?.askedAt ?? null,
    since: state?.since ?? null,
    held: state?.isHeld ?? false,
  };
}

/** Of a root whose folder is not on this node nobody knows the kind. */
function kindOf(folder: TenantRootParts['folder'], tenant: string, root: string): string | null {
  return folder.list(tenant).includes(root) ? folder.describe(tenant, root).kind : null;
}

async function move(
  parts: TenantRootParts,
  context: Context<'tenant-root.move'>,
): Promise<Apply<'tenant-root.move'>> {
  const { input, record, payload } = context;
  const { tenant, rowKey, found } = await present(parts, context);
  const { root: to } = input;
  if (to !== null) record.root = to;
  const old = found.root;
  if (to === (old?.root ?? null)) throw new OperationError('tenant.root_current', { field: '/root' });
  const isOwn = old !== undefined && old.root !== null;
  const leaseSeconds = input.leaseSeconds ?? (isOwn ? old.lease_seconds : usualLeaseSeconds);
  // Between the facts and the flush no other change comes: it would move the epoch on.
  const prepared = await context.once(() => prepareMove(parts, found, to));
  if (to !== null) record.leaseSeconds = leaseSeconds;
  return async (tx, time) => {
    const now = await store.find(tx, rowKey, tenant);
    if ((now.root?.version ?? 0) !== (old?.version ?? 0)) throw new OperationError('server.busy');
    const version = (old?.version ?? 0) + 1;
    await applyMove(tx, parts, now, rowKey, { ...prepared, to, leaseSeconds, version, time });
    payload['old'] = { root: old?.root ?? null, leaseSeconds: old?.lease_seconds };
    Object.assign(record, { state: to === null ? 'instance' : 'own', version });
    const { root: row } = await store.find(tx, rowKey, tenant);
    context.afterCommit.push(() => readAnew(parts, tenant));
    return view(parts, tenant, row);
  };
}

async function setLease(
  parts: TenantRootParts,
  context: Context<'tenant-root.set-lease'>,
): Promise<Apply<'tenant-root.set-lease'>> {
  const { input, record, payload } = context;
  const { tenant, rowKey, found } = await present(parts, context);
  const { leaseSeconds } = input;
  record.leaseSeconds = leaseSeconds;
  const admitted = ({ root }: Wrappings) => {
    if (root === undefined || root.root === null) throw new OperationError('tenant.root_none');
    record.root = root.root;
    if (root.lease_seconds === leaseSeconds) {
      throw new OperationError('tenant.root_current', { field: '/leaseSeconds' });
    }
    return root;
  };
  admitted(found);
  return async (tx, time) => {
    const now = await store.find(tx, rowKey, tenant);
    const { seal: _, ...row } = admitted(now);
    const changed = { ...row, lease_seconds: leaseSeconds, version: row.version + 1, changed_at: time };
    await store.put(tx, rowKey, now.key, changed);
    payload['old'] = { leaseSeconds: row.lease_seconds };
    Object.assign(record, { state: 'own', version: changed.version });
    context.afterCommit.push(() => readAnew(parts, tenant));
    return view(parts, tenant, changed);
  };
}

/** Reads how the key is wrapped now, so that a lease of how it was ends. */
async function readAnew({ hierarchy }: TenantRootParts, tenant: string): Promise<void> {
  hierarchy.forgetTenantKey(tenant);
  await hierarchy.rowKey(tenant);
}
