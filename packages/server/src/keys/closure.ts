import type { OperationId } from '@trialkeep/contract';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context } from '../platform/implementation.ts';
import { findClosure } from './closure-store.ts';
import type { Hierarchy } from './hierarchy.ts';
import { findStudyErasure } from './study-erasure-store.ts';

/**
 * Refuses the use of keys in the context of a study that was closed, or that is erased or about to be. Data recovery reads on in one
 * that was closed: closing, like revoking, is not destroying.
 *
 * @throws OperationError `study.closed`, `study.erasing`
 */
export async function refuseClosedStudy(
  hierarchy: Hierarchy,
  { caller, facts, record }: Pick<Context<OperationId>, 'caller' | 'facts' | 'record'>,
): Promise<void> {
  const { study } = record;
  if (study === undefined) return;
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  const erasure = await facts.get(`erasure of ${study}`, (snapshot) =>
    findStudyErasure(snapshot, rowKey, tenant, study),
  );
  if (erasure !== undefined && erasure.state !== 'cancelled') {
    throw new OperationError('study.erasing', { field: '/context/study' });
  }
  if (caller.roles.includes('data-recovery')) return;
  const closure = await facts.get(`closure of ${study}`, (snapshot) =>
    findClosure(snapshot, rowKey, tenant, study),
  );
  if (closure?.state === 'closed') throw new OperationError('study.closed', { field: '/context/study' });
}
