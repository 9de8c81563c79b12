import type { KeyObject } from 'node:crypto';
import type { Tx } from '../platform/database.ts';
import { move } from './change.ts';
import type { NewKey } from './hierarchy.ts';
import { stateAt } from './states.ts';
import { revokeRow } from './end.ts';
import * as store from './store.ts';
import type { KeyRow } from './store.ts';

/** What drills call the keys that they make up. */
const description = 'Made up for a drill';

/** Makes a key that protects nothing real, for a drill. It never rotates. */
export async function insertMadeUpKey(
  tx: Tx,
  rowKey: KeyObject,
  {
    id,
    tenant,
    system,
    made,
    time,
  }: Pick<KeyRow, 'id' | 'tenant' | 'system'> & { made: NewKey; time: number },
): Promise<void> {
  await store.insertKey(tx, rowKey, {
    id,
    tenant,
    system,
    description,
    algorithm: 'AES_256',
    purpose: 'encrypt',
    state: 'active',
    version: 1,
    created_at: time,
    activates_at: null,
    expires_at: null,
    rotation_period_days: 90,
    rotation_due_at: time,
    revocation_cause: null,
    revoked_at: null,
    use_logged: 0,
    own_rotation: 1,
    recipient_period_days: null,
    destruction_due_at: null,
    imported: 0,
    exportable: 0,
    protection: 'software',
  });
  await store.insertVersion(tx, rowKey, {
    id: made.versionId,
    key: id,
    version: 1,
    wrapped_secret: made.wrapped,
    created_at: time,
  });
}

/** Destroys a key that its drill says was made up for it, whatever became of it; nothing is under it that anybody would miss. */
export async function destroyMadeUpKey(tx: Tx, rowKey: KeyObject, row: KeyRow, time: number): Promise<void> {
  if (row.revoked_at === null) revokeRow(row, 'cessation', time);
  if (stateAt(row, time) !== 'destroyed') move(row, 'destroy', time);
  await store.destroySecrets(tx, row.id);
  await store.updateKey(tx, rowKey, row);
}
