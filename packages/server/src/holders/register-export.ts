import type { KeyObject } from 'node:crypto';
import { maxHolders } from '@trialkeep/contract';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import * as store from './store.ts';

/**
 * Registers who a key was exported to, in the transaction that exports it: its certificate of destruction names them until somebody
 * attests that they have it no more. Gives the id.
 *
 * @throws OperationError `holder.too_many`
 */
export async function registerExport(
  tx: Tx,
  rowKey: KeyObject,
  to: {
    readonly log: number;
    readonly key: string;
    readonly name: string;
    readonly contact: string;
    readonly actor: string;
    readonly time: number;
  },
): Promise<string> {
  if ((await store.countRegistered(tx, to.log)) >= maxHolders) throw new OperationError('holder.too_many');
  const id = newId();
  await store.insert(tx, rowKey, {
    id,
    log: to.log,
    kind: 'export',
    name: to.name,
    contact: to.contact,
    about: 'key',
    thing: to.key,
    study: null,
    state: 'registered',
    registered_by: to.actor,
    registered_at: to.time,
    expires_at: null,
    changed_at: to.time,
  });
  return id;
}
