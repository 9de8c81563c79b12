import type { KeyObject } from 'node:crypto';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';

/** Operations that make something whose row only the database had. */
const makers: ReadonlyMap<string, 'study' | 'system' | 'subject'> = new Map([
  ['studies.create', 'study'],
  ['systems.create', 'system'],
  ['subjects.create', 'subject'],
]);

/**
 * Seals a tenant, and begins the erasure of participants, in a database that was put back, where the ledger says that this was done
 * since; what the shred store still has of them is the caller's. Gives what is gone for good.
 */
export async function recoverRegistry(
  tx: Tx,
  { tenant, rowKey }: { readonly tenant: string; readonly rowKey: KeyObject },
  entries: readonly Entry[],
): Promise<string[]> {
  const done = entries.filter(({ outcome }) => outcome === 'success');
  const seal = done.findLast(({ operation }) => /^tenants\.(?:un)?seal$/.test(operation));
  const row = await store.findSeal(tx, rowKey, tenant);
  if (seal?.state !== undefined && row !== undefined && row.state !== seal.state) {
    const state = seal.state as typeof row.state;
    await store.updateSeal(tx, rowKey, { tenant, state, changed_at: seal.time });
  }
  for (const { operation, study, subject } of done) {
    if (operation !== 'subjects.erase' || study === undefined || subject === undefined) continue;
    await store.beginErasure(tx, study, subject);
  }
  const lost: string[] = [];
  for (const { operation, ...entry } of done) {
    const kind = makers.get(operation);
    const id = kind && entry[kind];
    if (kind === undefined || id === undefined) continue;
    if (!(await store.isRegistered(tx, kind, id))) lost.push(`The ${kind} ${id}: register it anew.`);
  }
  return lost;
}
