import { OperationError } from '../platform/errors.ts';
import type { Caller, Validity } from '../platform/implementation.ts';
import { keyStateTable, stateAt } from './states.ts';
import type { KeyRow } from './store.ts';

/** What the caller wants to do with the key. */
export interface KeyUse {
  readonly kind: 'protect' | 'process';
  readonly reason: string | undefined;
}

/**
 * Whether this caller may use the key now, and for how long that holds. `keys` are the keys that the caller's credential names.
 * A service sees no other key than those (URS-012); data recovery reads under every key that is no longer in use.
 */
export function permitUse(
  caller: Pick<Caller, 'roles'>,
  named: ReadonlySet<string>,
  key: KeyRow | undefined,
  use: KeyUse,
  now: number,
): Validity[] {
  if (key === undefined) throw new OperationError('key.unknown', { field: '/key' });
  const state = stateAt(key, now);
  const permits = keyStateTable[state];
  if (caller.roles.includes('data-recovery')) {
    const outOfUse = state === 'deactivated' || state === 'compromised';
    if (use.kind === 'protect' || !outOfUse) {
      throw new OperationError('key.unusable', { field: '/key', detail: `Its state is ${state}.` });
    }
    if (use.reason === undefined) throw new OperationError('reason.required', { field: '/reason' });
    return [];
  }
  if (!named.has(key.id)) throw new OperationError('key.unknown', { field: '/key' });
  if (key.revoked_at !== null) throw new OperationError('key.revoked', { field: '/key' });
  if (permits[use.kind] !== 'yes') {
    throw new OperationError('key.unusable', { field: '/key', detail: `Its state is ${state}.` });
  }
  const until = use.kind === 'protect' && key.expires_at !== null ? key.expires_at : Number.MAX_SAFE_INTEGER;
  return [{ from: key.activates_at ?? 0, until, refusal: 'key.unusable' }];
}
