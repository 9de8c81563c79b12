import type { KeyObject } from 'node:crypto';
import { dropAccess, endSession, revokeCredential } from '../access/index.ts';
import { changeClosure, endKey, recordedKey } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Recorded, RecordedItem } from '../platform/implementation.ts';
import type { Ending } from './plan.ts';

/** What something ends for, and when. */
export interface End {
  readonly rowKey: KeyObject;
  readonly tenant: string;
  readonly cause: string;
  /** The transaction's. */
  readonly time: number;
}

/**
 * Ends things whose rows were read in this transaction, or under the epoch that it compares.
 */
export async function endAll(tx: Tx, endings: readonly Ending[], end: End): Promise<void> {
  const { rowKey, tenant, cause, time } = end;
  for (const ending of endings) {
    if (ending.kind === 'key') await endKey(tx, rowKey, ending.row, end);
    else if (ending.kind === 'credential') await revokeCredential(tx, rowKey, ending.row);
    else if (ending.kind === 'person') {
      await dropAccess(tx, rowKey, ending.row, { state: 'left', roles: [] });
    } else if (ending.kind === 'study') {
      await changeClosure(tx, rowKey, { study: ending.study, tenant, state: 'closed', cause, time });
    } else await endSession(tx, rowKey, ending.row);
  }
}

/** What the entry of each thing says. */
export function itemOf(ending: Ending, cause: string): RecordedItem {
  const said = { reason: cause, state: ending.to };
  const record = (more: Recorded): Recorded => ({ ...said, ...more });
  switch (ending.kind) {
    case 'key': {
      const { id, system, version } = ending.row;
      const payload = { old: { state: ending.old }, inventory: recordedKey(ending.row) };
      return { record: record({ key: id, system, version }), payload };
    }
    case 'credential': {
      const { id, system, name } = ending.row;
      const more = system === null ? { credential: id } : { credential: id, system };
      return { record: record(more), payload: { name, old: { state: ending.row.state } } };
    }
    case 'person': {
      const { id, state, roles, revision } = ending.row;
      return { record: record({ person: id, version: revision + 1 }), payload: { old: { state, roles } } };
    }
    case 'session': {
      const { id, person, state } = ending.row;
      return { record: record({ session: id, person }), payload: { old: { state } } };
    }
    case 'study':
      return { record: record({ study: ending.study }), payload: { old: { state: ending.old } } };
  }
}
