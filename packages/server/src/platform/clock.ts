/** The one place that reads the machine's clock; the database's time never goes back behind it (platform/transaction.ts). */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** Milliseconds of a clock that never goes back, and says nothing of the time of day. */
export const steadyMs = (): number => performance.now();

/** Measures how long something takes, ms; it never goes back, and says nothing of the time of day. */
export function stopwatch(): () => number {
  const start = steadyMs();
  return () => steadyMs() - start;
}
