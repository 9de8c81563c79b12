import type { Clock } from './clock.ts';

/** Addresses that are remembered; an address that asks seldom is forgotten first. */
const maxAddresses = 10_000;

/** So many requests a second from each address, and a burst of twice as many. Remembers a bounded number of addresses. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #clock: Clock;
  /** What is left of an address's burst, and as of when; the address that asked last is last. */
  readonly #buckets = new Map<string, { left: number; atMs: number }>();

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#clock = clock;
  }

  /** @returns whether one more request of this address is within the limit; it is counted then */
  admit(address: string): boolean {
    const nowMs = this.#clock.now();
    const most = 2 * this.#perSecond;
    const { left, atMs } = this.#buckets.get(address) ?? { left: most, atMs: nowMs };
    // A clock that was set back gives nothing and takes nothing.
    const filled = Math.min(most, left + (Math.max(0, nowMs - atMs) / 1000) * this.#perSecond);
    const admitted = filled >= 1;
    this.#buckets.delete(address);
    this.#buckets.set(address, { left: admitted ? filled - 1 : filled, atMs: nowMs });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > maxAddresses && oldest !== undefined) this.#buckets.delete(oldest);
    return admitted;
  }
}
