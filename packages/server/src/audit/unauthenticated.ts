import type { Clock } from '../platform/clock.ts';

/** What one source tried without a credential, within one minute. */
export interface UnauthenticatedMinute {
  readonly source: string;
  readonly minute: number;
  count: number;
  readonly operations: Set<string>;
}

const minuteMs = 60_000;
const maxSources = 1000;
/** Stands for every further source of a minute, so that nobody can fill the ledger from outside. */
const otherSources = 'others';

/**
 * Counts refusals of callers that nobody knows, by source and minute. A source is recorded when its minute is over: one
 * entry, however often it tried.
 */
export class UnauthenticatedCounter {
  readonly #clock: Clock;
  readonly #minutes = new Map<string, UnauthenticatedMinute>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  count(source: string, operation: string): void {
    const minute = Math.floor(this.#clock.now() / minuteMs) * minuteMs;
    const counted = this.#minutes.size < maxSources ? source : otherSources;
    const name = `${minute} ${counted}`;
    const known = this.#minutes.get(name) ?? { source: counted, minute, count: 0, operations: new Set() };
    known.count++;
    known.operations.add(operation);
    this.#minutes.set(name, known);
  }

  /** Takes the minutes that are over, or all of them when the server stops. */
  take(all: boolean): UnauthenticatedMinute[] {
    const now = this.#clock.now();
    const over = [...this.#minutes].filter(([, { minute }]) => all || minute + minuteMs <= now);
    for (const [name] of over) this.#minutes.delete(name);
    return over.map(([, counted]) => counted);
  }
}
