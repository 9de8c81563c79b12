import { OperationError } from './errors.ts';

/** Who asks: somebody who has shown a secret that is known here, or anybody at all. */
export type Asker = 'known' | 'stranger';

/**
 * A few pieces of work at a time, and a bounded number in line: beyond that, `server.busy`. Those who are known have a line of
 * their own, and go first.
 */
export class Limiter {
  readonly #maxAtOnce: number;
  readonly #maxWaiting: number;
  readonly #waiting: Record<Asker, (() => void)[]> = { known: [], stranger: [] };
  #running = 0;

  /** @param maxWaiting in either line */
  constructor(maxAtOnce: number, maxWaiting: number) {
    this.#maxAtOnce = maxAtOnce;
    this.#maxWaiting = maxWaiting;
  }

  async run<T>(asker: Asker, work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#maxAtOnce) {
      const line = this.#waiting[asker];
      if (line.length >= this.#maxWaiting) throw new OperationError('server.busy');
      await new Promise<void>((resolve) => line.push(resolve));
    } else {
      this.#running += 1;
    }
    try {
      return await work();
    } finally {
      // Hands its place over, so that nobody who comes just now takes it.
      const next = this.#waiting.known.shift() ?? this.#waiting.stranger.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
