import type { Operation, OperationId } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import type { Context } from '../platform/implementation.ts';
import * as store from './store.ts';

/** What changes nothing that is copied, is needed to leave, or takes rights away; `urgent` changes beside. */
const changesWhileLeaving: ReadonlySet<string> = new Set<OperationId>([
  'tenants.copy-exit',
  'tenants.confirm-exit',
  'tenants.shred',
  'tenants.cancel-exit',
  'approvals.approve',
  'approvals.deny',
  'approvals.cancel',
  'evidence.make',
  'holds.place',
  'holds.release',
  'holders.register',
  'holders.attest',
  'sessions.create',
  'sessions.end',
  'uses.report',
]);

/** What is left of a tenant whose keys are destroyed: its ledger, and the documents about its end. */
const afterShredding: ReadonlySet<string> = new Set<OperationId>([
  'tenants.exit-state',
  'ledger.query',
  'ledger.checkpoint',
  'ledger.verifier-key',
  'ledger.tile',
  'ledger.proof',
  'ledger.consistency',
  'ledger.bounds',
  'evidence.make',
  'evidence.list',
  'evidence.fetch',
  'holders.list',
  'holders.attest',
  'sessions.create',
  'sessions.end',
]);

/**
 * Refuses what a tenant that leaves does not do any more: a key, or anything protected, that came after the copy would be lost with
 * the rest.
 *
 * @throws OperationError `tenant.leaving`, `tenant.shredded`
 */
export async function refuseLeaving(
  hierarchy: Hierarchy,
  operation: Pick<Operation, 'id' | 'effect' | 'permission' | 'urgent'>,
  { caller, facts }: Pick<Context<OperationId>, 'caller' | 'facts'>,
): Promise<void> {
  const { tenant } = caller.log;
  if (tenant === null) return;
  const rowKey = await hierarchy.rowKey(tenant);
  const exit = await facts.get('exit of the tenant', (tx) => store.find(tx, rowKey, tenant));
  if (exit === undefined || exit.state === 'cancelled') return;
  if (exit.state === 'shredding' || exit.state === 'shredded') {
    if (!afterShredding.has(operation.id)) throw new OperationError('tenant.shredded');
    return;
  }
  if (operation.effect === 'read') return;
  if (operation.effect === 'change') {
    if (operation.urgent === true || changesWhileLeaving.has(operation.id)) return;
    throw new OperationError('tenant.leaving');
  }
  const protects = operation.permission === 'keys:protect' || operation.id.startsWith('keys.re-encrypt');
  if (protects || exit.uses === 'none') throw new OperationError('tenant.leaving');
}
