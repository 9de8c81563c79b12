import { OperationError } from '../platform/errors.ts';
import type { Caller, Validity } from '../platform/implementation.ts';
import { keyStateTable, stateAt } from './states.ts';
import type { KeyRow, KeyVersion } from './store.ts';

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
  if (!caller.roles.includes('data-recovery') && !named.has(key.id)) {
    throw new OperationError('key.unknown', { field: '/key' });
  }
  if (key.destruction_due_at !== null) {
    const date = new Date(key.destruction_due_at).toISOString();
    throw new OperationError('key.destruction_pending', { field: '/key', detail: `It is due at ${date}.` });
  }
  if (caller.roles.includes('data-recovery')) {
    const outOfUse = state === 'deactivated' || state === 'compromised';
    if (use.kind === 'protect' || !outOfUse) {
      throw new OperationError('key.unusable', { field: '/key', detail: `Its state is ${state}.` });
    }
    if (use.reason === undefined) throw new OperationError('reason.required', { field: '/reason' });
    return [];
  }
  if (key.revoked_at !== null) throw new OperationError('key.revoked', { field: '/key' });
  if (permits[use.kind] !== 'yes') {
    throw new OperationError('key.unusable', { field: '/key', detail: `Its state is ${state}.` });
  }
  const until = use.kind === 'protect' && key.expires_at !== null ? key.expires_at : Number.MAX_SAFE_INTEGER;
  return [{ from: key.activates_at ?? 0, until, refusal: 'key.unusable' }];
}

const dayMs = 86_400_000;

/**
 * How long a version of the key may process: its recipient usage period lasts so many days beyond the originator's, which ends when a
 * newer version protects or the key expires (SP 800-57 part 1 rev. 5, section 5.3.6). Where a recovery has lost versions, the next one
 * that there is counts; a version that is neither the current one nor followed by any has had its time. Data recovery reads on.
 *
 * @throws OperationError `key.recipient_period_over`
 */
export function processingWindow(
  { roles }: Pick<Caller, 'roles'>,
  { row, versions }: { readonly row: KeyRow; readonly versions: readonly KeyVersion[] },
  version: number,
  now: number,
): Validity[] {
  const days = row.recipient_period_days;
  if (days === null || roles.includes('data-recovery')) return [];
  // In the order of their numbers.
  const successor = versions.find((candidate) => candidate.version > version);
  const ends = [successor?.created_at, row.expires_at].filter((end) => typeof end === 'number');
  const isFollowed = successor !== undefined || version >= row.version;
  if (isFollowed && ends.length === 0) return [];
  const until = isFollowed ? Math.min(...ends) + days * dayMs : 0;
  const refusal = 'key.recipient_period_over';
  if (now >= until) throw new OperationError(refusal, { field: '/key' });
  return [{ from: 0, until, refusal }];
}
