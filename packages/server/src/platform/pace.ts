import { stopwatch } from './clock.ts';

/** How long a turn may hold the event loop, ms. */
const maxTurnMs = 8;

/**
 * Lets long pieces of work have the event loop in turns of a few milliseconds: one turn in each of its rounds, however many
 * there are, so that whoever asks for little waits for one turn at most.
 */
export class Pace {
  #last: Promise<void> = Promise.resolve();

  /** Waits for a turn; what it gives says whether that is over. */
  async turn(): Promise<() => boolean> {
    await (this.#last = this.#last.then(() => new Promise(setImmediate)));
    const elapsed = stopwatch();
    return () => elapsed() >= maxTurnMs;
  }
}
