import type { KeyObject } from 'node:crypto';
import type { RecordedStates } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';

/** Says where a party that has to be able to open data is not demanded, or is, unlike in the ledger. */
export async function compareSecondRecipients(
  snapshot: Tx,
  rowKey: KeyObject,
  tenant: string,
  { secondRecipient: recorded }: Pick<RecordedStates, 'secondRecipient'>,
): Promise<string[]> {
  const rows = new Map((await store.list(snapshot, rowKey, tenant)).map(({ id, state }) => [id, state]));
  return [...recorded].flatMap(([id, { state }]) => {
    const row = rows.get(id) ?? 'gone';
    // One that was lost is demanded as before.
    const isSame = row === state || (row === 'lost' && state === 'registered');
    return isSame ? [] : [`Second recipient ${id} is ${row} in the database and ${state} in the ledger.`];
  });
}
