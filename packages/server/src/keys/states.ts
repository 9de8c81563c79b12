import type { KeyState } from '@trialkeep/contract';

/**
 * What each state of a key permits, and how a key gets from one to another: SP 800-57 part 1 rev. 5, sections 7.1 to 7.6.
 * docs/key-states.md is generated from these two tables.
 */
export interface StatePermits {
  /** Encrypt, sign, wrap. */
  readonly protect: 'yes' | 'no';
  /** Decrypt, verify, unwrap: by services, or only by data recovery with a reason. */
  readonly process: 'yes' | 'data-recovery' | 'no';
  readonly meaning: string;
}

export const keyStateTable: Record<KeyState, StatePermits> = {
  'pre-activation': { protect: 'no', process: 'no', meaning: 'Generated; its activation date has not come.' },
  active: { protect: 'yes', process: 'yes', meaning: 'In use.' },
  suspended: { protect: 'no', process: 'no', meaning: 'Stopped for the time being; can be resumed.' },
  deactivated: {
    protect: 'no',
    process: 'yes',
    meaning: 'Protects nothing new. After a revocation services may not process either, only data recovery.',
  },
  compromised: {
    protect: 'no',
    process: 'data-recovery',
    meaning: 'The key material is no longer trusted.',
  },
  destroyed: { protect: 'no', process: 'no', meaning: 'The key material is gone.' },
};

export type KeyEvent = 'activate' | 'expire' | 'suspend' | 'resume' | 'revoke' | 'compromise' | 'destroy';

export interface Transition {
  readonly from: KeyState;
  readonly event: KeyEvent;
  readonly to: KeyState;
}

/**
 * A transition that is not listed is refused. `activate` and `expire` happen by date. Revoking a key before its activation
 * deactivates it, where SP 800-57 would destroy it at once: here destruction needs approval.
 */
export const transitions: readonly Transition[] = [
  { from: 'pre-activation', event: 'activate', to: 'active' },
  { from: 'pre-activation', event: 'revoke', to: 'deactivated' },
  { from: 'pre-activation', event: 'compromise', to: 'compromised' },
  { from: 'active', event: 'suspend', to: 'suspended' },
  { from: 'active', event: 'expire', to: 'deactivated' },
  { from: 'active', event: 'revoke', to: 'deactivated' },
  { from: 'active', event: 'compromise', to: 'compromised' },
  { from: 'suspended', event: 'resume', to: 'active' },
  { from: 'suspended', event: 'revoke', to: 'deactivated' },
  { from: 'suspended', event: 'compromise', to: 'compromised' },
  { from: 'deactivated', event: 'revoke', to: 'deactivated' },
  { from: 'deactivated', event: 'compromise', to: 'compromised' },
  { from: 'deactivated', event: 'destroy', to: 'destroyed' },
  { from: 'compromised', event: 'destroy', to: 'destroyed' },
];

/** The state after an event, or undefined where the transition does not exist. */
export function nextState(from: KeyState, event: KeyEvent): KeyState | undefined {
  return transitions.find((transition) => transition.from === from && transition.event === event)?.to;
}

/** The parts of a key that its state at a moment follows from. */
export interface KeyDates {
  readonly state: KeyState;
  readonly activates_at: number | null;
  readonly expires_at: number | null;
}

/** The state at a moment: a key activates and expires by its dates, without anybody doing anything. */
export function stateAt(key: KeyDates, time: number): KeyState {
  if (key.state !== 'active') return key.state;
  if (key.activates_at !== null && time < key.activates_at) return 'pre-activation';
  if (key.expires_at !== null && time >= key.expires_at) return 'deactivated';
  return 'active';
}
