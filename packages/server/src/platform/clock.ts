/** The one place that reads the machine's clock; the database's time never goes back behind it (platform/transaction.ts). */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
