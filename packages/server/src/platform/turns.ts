import { OperationError } from './errors.ts';

/** One thing at a time for each name, in the order of asking. */
export class Turns {
  readonly #last = new Map<number, Promise<unknown>>();
  readonly #waiting = new Map<number, number>();
  readonly #maxWaiting: number;

  /** @param maxWaiting how many may wait for one name; a further one gets `server.busy` */
  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  async take<T>(name: number, work: () => Promise<T>): Promise<T> {
    const waiting = this.#waiting.get(name) ?? 0;
    if (waiting >= this.#maxWaiting) throw new OperationError('server.busy');
    this.#waiting.set(name, waiting + 1);
    const turn = (this.#last.get(name) ?? Promise.resolve()).then(work, work);
    this.#last.set(
      name,
      turn.catch(() => undefined),
    );
    try {
      return await turn;
    } finally {
      const left = (this.#waiting.get(name) ?? 1) - 1;
      if (left > 0) this.#waiting.set(name, left);
      else {
        this.#waiting.delete(name);
        this.#last.delete(name);
      }
    }
  }
}
