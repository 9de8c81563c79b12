import { OperationError } from './errors.ts';

/** Who waits for a turn. */
export interface TurnTaker {
  /** Turns of one name are taken one after the other. */
  readonly name: number;
  /** Bounded apart from others, so that no owner keeps the rest from their turns. */
  readonly owner: string;
  /** Never turned away. */
  readonly urgent: boolean;
}

/** One thing at a time for each name, in the order of asking. */
export class Turns {
  readonly #last = new Map<number, Promise<unknown>>();
  readonly #waiting = new Map<string, number>();
  readonly #maxWaiting: number;

  /** @param maxWaiting how many turns one owner may wait for; a further one gets `server.busy` */
  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  async take<T>({ name, owner, urgent }: TurnTaker, work: () => Promise<T>): Promise<T> {
    const waiting = this.#waiting.get(owner) ?? 0;
    if (waiting >= this.#maxWaiting && !urgent) throw new OperationError('server.busy');
    this.#waiting.set(owner, waiting + 1);
    const turn = (this.#last.get(name) ?? Promise.resolve()).then(work, work);
    const done = turn.catch(() => undefined);
    this.#last.set(name, done);
    try {
      return await turn;
    } finally {
      const left = (this.#waiting.get(owner) ?? 1) - 1;
      if (left > 0) this.#waiting.set(owner, left);
      else this.#waiting.delete(owner);
      if (this.#last.get(name) === done) this.#last.delete(name);
    }
  }
}
