import type { KeyObject } from 'node:crypto';
import { beginStudyErasure } from '../erasure/index.ts';
import { listStudyErasures } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';

export interface ErasedTenant {
  readonly tenant: string;
  readonly rowKey: KeyObject;
  readonly log: number;
  readonly time: number;
}

/**
 * Every study of the tenant that is not erased, or on the way to it, goes with its subjects.
 *
 * @returns the studies: each needs an entry of its own in the same transaction, or it would be erased in the database alone
 */
export async function beginErasures(
  tx: Tx,
  { tenant, rowKey, log, time }: ErasedTenant,
): Promise<readonly string[]> {
  const known = await listStudyErasures(tx, rowKey, tenant);
  const going = new Set(
    known.filter(({ state }) => state === 'erasing' || state === 'erased').map(({ study }) => study),
  );
  const begun = (await store.studiesOf(tx, tenant)).filter((study) => !going.has(study));
  for (const study of begun) {
    const row = { study, tenant, state: 'erasing', due_at: time, changed_at: time } as const;
    await beginStudyErasure(tx, { rowKey, log, time }, row);
  }
  return begun;
}
