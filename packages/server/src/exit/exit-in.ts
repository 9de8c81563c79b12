import type { KeyObject } from 'node:crypto';
import type { OperationId } from '@trialkeep/contract';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context } from '../platform/implementation.ts';
import * as store from './store.ts';
import type { Exit } from './store.ts';

/** Reads the exit that the input names, in a state out of those; refused otherwise. */
export async function exitIn(
  tx: Tx,
  rowKey: KeyObject,
  {
    caller,
    input,
  }: { readonly caller: Context<OperationId>['caller']; readonly input: { readonly exit: string } },
  states: readonly Exit['state'][],
): Promise<Exit> {
  const row = await store.find(tx, rowKey, tenantOf(caller));
  if (row === undefined || row.id !== input.exit)
    throw new OperationError('exit.unknown', { field: '/exit' });
  if (states.includes(row.state)) return row;
  throw new OperationError('exit.state', { detail: `It is ${row.state}.` });
}
