/** What tests of tenants' own roots share. */
import assert from 'node:assert/strict';
import { changeOwn, sealDraft } from '../audit/index.ts';
import type { Node } from '../installation.fixture.test.ts';
import { applyMove, prepareMove } from './move.ts';
import * as store from './store.ts';

/** Moves a tenant's key as `tenant-root.move` does once people have approved it, on a node without people. */
export async function moveKey(
  { instance, rooms }: Pick<Node, 'instance' | 'rooms'>,
  tenant: string,
  to: string | null,
  leaseSeconds: number,
): Promise<void> {
  const { hierarchy, instanceKey, ledger, database, tenantRoots } = instance;
  const log = await ledger.openOfTenant(tenant);
  assert.ok(log);
  const rowKey = await hierarchy.rowKey(tenant);
  const before = await database.read((snapshot) => store.find(snapshot, rowKey, tenant));
  const parts = { hierarchy, instanceKey, folder: tenantRoots.folder };
  const prepared = await prepareMove(parts, before, to);
  await changeOwn(ledger, rooms.facts, log.id, async (tx, time) => {
    const found = await store.find(tx, rowKey, tenant);
    const version = (found.root?.version ?? 0) + 1;
    await applyMove(tx, parts, found, rowKey, { ...prepared, to, leaseSeconds, version, time });
    const state = to === null ? 'instance' : 'own';
    const recorded = { state, version, ...(to !== null && { root: to, leaseSeconds }) };
    const draft = { operation: 'tenant-root.move', outcome: 'success', recorded } as const;
    return { result: undefined, draft: sealDraft(draft, log.origin, {}, log.payloadKey) };
  });
}

/** Gives a tenant's key another lease, as `tenant-root.set-lease` does once people have approved it. */
export async function setLease(
  { instance, rooms }: Pick<Node, 'instance' | 'rooms'>,
  tenant: string,
  leaseSeconds: number,
): Promise<void> {
  const { hierarchy, ledger } = instance;
  const log = await ledger.openOfTenant(tenant);
  assert.ok(log);
  const rowKey = await hierarchy.rowKey(tenant);
  await changeOwn(ledger, rooms.facts, log.id, async (tx, time) => {
    const { key, root } = await store.find(tx, rowKey, tenant);
    assert.ok(root);
    const { seal: _, ...row } = root;
    const version = row.version + 1;
    await store.put(tx, rowKey, key, { ...row, lease_seconds: leaseSeconds, version, changed_at: time });
    const recorded = { state: 'own', version, leaseSeconds, ...(row.root !== null && { root: row.root }) };
    const draft = { operation: 'tenant-root.set-lease', outcome: 'success', recorded } as const;
    return { result: undefined, draft: sealDraft(draft, log.origin, {}, log.payloadKey) };
  });
}
