import { setTimeout } from 'node:timers/promises';

/** Callers that wait for their entry, from which on the machine counts as busy: somebody is kept waiting by each transaction. */
const busyFrom = 8;
/** A busy machine gives batches a quarter of its time. */
const restPerWork = 3;
/** The longest rest, ms: however busy the machine is, the rewrap comes to its end. */
const maxRestMs = 2000;

/** How long to rest after a batch that took `workMs`, where so many callers wait for a flush; ms. */
export function restMs(workMs: number, waiting: number): number {
  return waiting < busyFrom ? 0 : Math.min(maxRestMs, Math.ceil(workMs * restPerWork));
}

/** Rests, or returns at once where the server stops. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await setTimeout(ms, undefined, { signal }).catch(() => undefined);
}
