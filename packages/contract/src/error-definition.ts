/** What a client needs to act on an error: the HTTP status, one sentence, and the fix. */
export interface ErrorDefinition {
  readonly status: number;
  readonly message: string;
  readonly fix: string;
  /** Set where this is no fault but a state that a client knows how to go on from. */
  readonly state?: PendingState;
}

/** What a client does not report as a fault: each has a next step. */
export const pendingStates = [
  'approval-needed',
  'signature-needed',
  'sealed',
  'in-recovery',
  'try-again',
] as const;
export type PendingState = (typeof pendingStates)[number];
