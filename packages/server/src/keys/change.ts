import type { OperationId } from '@trialkeep/contract';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context } from '../platform/implementation.ts';
import { recordedKey } from './recorded-key.ts';
import type { ResidentParts } from './resident.ts';
import type { KeyEvent } from './states.ts';
import { nextState, stateAt } from './states.ts';
import * as store from './store.ts';
import type { KeyRow } from './store.ts';
import { keyView } from './view.ts';
import type { KeyNaming, KeyView } from './view.ts';

/** What changing keys needs to know of the installation. */
export interface LifecycleParts extends ResidentParts {
  naming(tenant: string): Promise<KeyNaming>;
}

export type KeyChange = Omit<KeyRow, 'seal'>;

/** The operations that change one key, which their input names. */
export type ChangingKeys = Extract<
  OperationId,
  | 'keys.rotate'
  | 'keys.import-version'
  | 'keys.set-rotation'
  | 'keys.suspend'
  | 'keys.resume'
  | 'keys.revoke'
  | 'keys.schedule-destruction'
  | 'keys.cancel-destruction'
>;

/** Reads the key inside the transaction, lets `change` alter it, and writes it back sealed. */
export async function changeKey(
  parts: LifecycleParts,
  context: Context<ChangingKeys>,
  change: (tx: Tx, row: KeyChange, time: number) => Promise<void>,
): Promise<(tx: Tx, time: number) => Promise<KeyView>> {
  const { record, payload, input } = context;
  const tenant = tenantOf(context.caller);
  record.key = input.key;
  const [rowKey, naming] = await Promise.all([parts.hierarchy.rowKey(tenant), parts.naming(tenant)]);
  return async (tx, time) => {
    const row = await store.findKey(tx, rowKey, tenant, input.key);
    if (row === undefined) throw new OperationError('key.unknown', { field: '/key' });
    payload['old'] = { state: stateAt(row, time) };
    await change(tx, row, time);
    await store.updateKey(tx, rowKey, row);
    payload['inventory'] = recordedKey(row);
    record.system = row.system;
    record.version = row.version;
    record.state = stateAt(row, time);
    return keyView(row, naming, time);
  };
}

/** Puts the key into the state after an event; refused where its state does not know the event. */
export function move(row: KeyChange, event: KeyEvent, time: number): void {
  const from = stateAt(row, time);
  const to = nextState(from, event);
  if (to === undefined) {
    throw new OperationError('key.transition_undefined', { field: '/key', detail: `Its state is ${from}.` });
  }
  row.state = to;
}
