import type { KeyObject } from 'node:crypto';
import type { Tx } from '../platform/database.ts';
import { move } from './change.ts';
import type { KeyChange } from './change.ts';
import { cancelRotation } from './rotation.ts';
import type { KeyEvent } from './states.ts';
import { nextState, stateAt, transitions } from './states.ts';
import * as store from './store.ts';

/** Causes after which the key material itself is no longer trusted. */
const compromisingCauses: ReadonlySet<string> = new Set(['device-compromise', 'breach']);

function eventOf(cause: string): KeyEvent {
  return compromisingCauses.has(cause) ? 'compromise' : 'revoke';
}

/** Ends a key for services, in the row alone; the first revocation's date and cause stay on it. */
export function revokeRow(row: KeyChange, cause: string, time: number): void {
  move(row, eventOf(cause), time);
  row.revocation_cause ??= cause;
  row.revoked_at ??= time;
}

/**
 * The state that a revocation for this cause brings the key into; undefined where it would add nothing: the key is revoked, and no
 * less trusted for it, or gone.
 */
export function stateAfterRevocation(row: KeyChange, cause: string, time: number): string | undefined {
  const from = stateAt(row, time);
  const to = nextState(from, eventOf(cause));
  return row.revoked_at !== null && to === from ? undefined : to;
}

/** The first keys of the systems that a revocation for this cause would end, oldest first, of those behind `after`; their seals checked. */
export async function revocableKeys(
  tx: Tx,
  rowKey: KeyObject,
  tenant: string,
  which: {
    readonly systems: readonly string[];
    readonly cause: string;
    readonly after: store.KeyRow | undefined;
    readonly limit: number;
  },
): Promise<store.KeyRow[]> {
  const { systems, cause, after, limit } = which;
  const event = eventOf(cause);
  const leaving = transitions.filter((transition) => transition.event === event);
  // Where an event leaves the state as it is, it adds nothing to a key that is revoked.
  const once = leaving.filter(({ from, to }) => from === to).map(({ from }) => from);
  const states = leaving.map(({ from }) => from);
  return store.listKeysIn(tx, rowKey, tenant, { systems, states, once, after, limit });
}

/** Revokes a key whose row was read in this transaction, or under the epoch that it compares. */
export async function endKey(
  tx: Tx,
  rowKey: KeyObject,
  row: KeyChange,
  { cause, time }: { readonly cause: string; readonly time: number },
): Promise<void> {
  revokeRow(row, cause, time);
  await cancelRotation(tx, row.id);
  await store.updateKey(tx, rowKey, row);
}
