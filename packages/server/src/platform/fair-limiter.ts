import { OperationError } from './errors.ts';

/** How many pieces of work there may be. */
export interface FairBounds {
  /** At a time. */
  readonly maxRunning: number;
  /** Of one owner, at a time. */
  readonly maxRunningOfOwner: number;
  /** In line. */
  readonly maxWaiting: number;
  /** Of one owner, in line. */
  readonly maxWaitingOfOwner: number;
}

/** What one owner has under way and in line. */
interface Share {
  running: number;
  readonly waiting: (() => void)[];
}

/**
 * A few pieces of work at a time, and a bounded number in line, as `Limiter` has it; and of each owner fewer than of all, so that none
 * takes every place or the whole line. Owners take turns: who was served last comes last.
 */
export class FairLimiter {
  readonly #bounds: FairBounds;
  readonly #shares = new Map<string, Share>();
  #running = 0;
  #waiting = 0;

  constructor(bounds: FairBounds) {
    this.#bounds = bounds;
  }

  /** @throws OperationError `server.busy` where the line is full */
  async run<T>(owner: string, work: () => Promise<T>): Promise<T> {
    const share = this.#shares.get(owner) ?? { running: 0, waiting: [] };
    if (this.#mayRun(share)) this.#begin(owner, share);
    else await this.#wait(owner, share);
    try {
      return await work();
    } finally {
      share.running -= 1;
      this.#running -= 1;
      if (share.running === 0 && share.waiting.length === 0) this.#shares.delete(owner);
      this.#handOver();
    }
  }

  #mayRun({ running }: Share): boolean {
    return this.#running < this.#bounds.maxRunning && running < this.#bounds.maxRunningOfOwner;
  }

  #begin(owner: string, share: Share): void {
    share.running += 1;
    this.#running += 1;
    this.#shares.delete(owner);
    this.#shares.set(owner, share);
  }

  async #wait(owner: string, share: Share): Promise<void> {
    const { maxWaiting, maxWaitingOfOwner } = this.#bounds;
    if (share.waiting.length >= maxWaitingOfOwner || this.#waiting >= maxWaiting) {
      throw new OperationError('server.busy');
    }
    this.#shares.set(owner, share);
    this.#waiting += 1;
    await new Promise<void>((resolve) => share.waiting.push(resolve));
  }

  /** Gives the place that has become free to who is next, so that nobody who comes just now takes it. */
  #handOver(): void {
    for (const [owner, share] of this.#shares) {
      if (share.waiting.length === 0 || !this.#mayRun(share)) continue;
      this.#waiting -= 1;
      this.#begin(owner, share);
      share.waiting.shift()?.();
      return;
    }
  }
}
