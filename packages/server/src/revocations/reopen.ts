import type { Operations, Output } from '@trialkeep/contract';
import { changeClosure, findClosure } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { placeOf } from './revoke.ts';
import type { RevocationParts } from './revoke.ts';
import { studyExists } from './store.ts';

/**
 * Lets keys be used again in the context of a study. Its keys, if any were revoked, stay so. What people approve is the end of one
 * closure: it ends none that was made, or renewed, since, however late it runs.
 */
export async function reopenStudy(
  parts: Pick<RevocationParts, 'hierarchy'>,
  context: Context<'revocations.reopen-study'>,
): Promise<Apply<'revocations.reopen-study'>> {
  const { input, record, facts } = context;
  const { study, closedAt } = input;
  record.study = study;
  const { rowKey, tenant } = await placeOf(parts, context);
  const closure = async (tx: Tx) => {
    const row = await findClosure(tx, rowKey, tenant, study);
    if (row?.state === 'closed' && row.changed_at === closedAt) return row;
    throw new OperationError('study.not_closed', { field: '/closedAt' });
  };
  await facts.read(async (snapshot) => {
    if (!(await studyExists(snapshot, tenant, study)))
      throw new OperationError('study.unknown', { field: '/study' });
    await closure(snapshot);
  });
  return async (tx, time): Promise<Output<Operations['revocations.reopen-study']>> => {
    const { state, cause } = await closure(tx);
    context.payload['old'] = { state, cause };
    record.state = 'open';
    const changedAt = await changeClosure(tx, rowKey, { study, tenant, state: 'open', cause, time });
    return { study, state: 'open', changedAt };
  };
}
