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

/** One thing at a time for each name, what is urgent first, the rest in the order of asking. */
export class Turns {
  readonly #lines = new Map<number, Line>();
  readonly #waiting = new Map<string, number>();
  readonly #maxWaiting: number;

  /** @param maxWaiting how many turns one owner may wait for; a further one gets `server.busy` */
  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  /** Turns that are being taken or waited for, of every name. */
  get size(): number {
    let size = 0;
    for (const turns of this.#waiting.values()) size += turns;
    return size;
  }

  async take<T>({ name, owner, urgent }: TurnTaker, work: () => Promise<T>): Promise<T> {
    const waiting = this.#waiting.get(owner) ?? 0;
    if (waiting >= this.#maxWaiting && !urgent) throw new OperationError('server.busy');
    this.#waiting.set(owner, waiting + 1);
    try {
      await this.#arrive(name, urgent);
      try {
        return await work();
      } finally {
        this.#leave(name);
      }
    } finally {
      const left = (this.#waiting.get(owner) ?? 1) - 1;
      if (left > 0) this.#waiting.set(owner, left);
      else this.#waiting.delete(owner);
    }
  }

  async #arrive(name: number, urgent: boolean): Promise<void> {
    const line = this.#lines.get(name);
    if (line === undefined) {
      this.#lines.set(name, { urgent: [], others: [] });
      return;
    }
    await new Promise<void>((resolve) => (urgent ? line.urgent : line.others).push(resolve));
  }

  /** Hands the turn over, so that nobody who comes just now takes it. */
  #leave(name: number): void {
    const line = this.#lines.get(name);
    const next = line?.urgent.shift() ?? line?.others.shift();
    if (next === undefined) this.#lines.delete(name);
    else next();
  }
}

/** Those who wait behind the one whose turn it is. */
interface Line {
  readonly urgent: (() => void)[];
  readonly others: (() => void)[];
}
