import type { PendingState, SignatureMeaning } from '@trialkeep/contract';
import { TrialkeepError } from '../errors.ts';

/** What each state carries, so that a client can go on from it. A state of the contract that is missing here does not compile. */
interface PendingFacts extends Record<PendingState, object> {
  /** The request is kept under this id, and nothing is to be sent again. */
  'approval-needed': { readonly approval: string };
  /** Nothing was done: the operation is to be sent again with a signature under this hash. */
  'signature-needed': { readonly meaning: SignatureMeaning; readonly hash: string };
  /** Nothing was done: no key of the tenant can be used until people lift the seal. */
  sealed: object;
  /** Nothing was done: somebody has to restore the server. */
  'in-recovery': object;
  /** Nothing was done: the same can be sent again after so many milliseconds. */
  'try-again': { readonly afterMs: number };
}

/** A state that is no fault: an operation was not done, or not yet. `next` is the sentence that says how to go on. */
export type Pending = {
  [State in PendingState]: { readonly state: State; readonly next: string } & PendingFacts[State];
}[PendingState];

/** When to try again where the server does not say, ms. */
const defaultRetryMs = 1000;

/** The state with a next step that an error stands for; undefined where it is a fault. */
export function pendingOf(error: unknown): Pending | undefined {
  if (!(error instanceof TrialkeepError) || error.state === undefined) return undefined;
  const { state, fix: next, approval, signature, retryAfterMs = defaultRetryMs } = error;
  switch (state) {
    case 'approval-needed':
      return approval === undefined ? undefined : { state, approval, next };
    case 'signature-needed':
      return signature === undefined ? undefined : { state, ...signature, next };
    case 'sealed':
    case 'in-recovery':
      return { state, next };
    case 'try-again':
      return { state, afterMs: retryAfterMs, next };
  }
}
