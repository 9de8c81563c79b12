import { availableParallelism } from 'node:os';
import { JobRunner } from '../platform/jobs/index.ts';
import type { JobHandler } from '../platform/jobs/index.ts';
import { followHandler, followRotations } from './follow.ts';
import { followTask } from './follow-job.ts';
import type { RewrapParts } from './parts.ts';
import { rewrapTask } from './rewraps.ts';
import { rewrapHandler } from './run.ts';
import { WrappingWorkers } from './worker.ts';

/** Wraps registered data keys anew, in threads, beside whatever else the server does. */
export class Rewraps {
  readonly #parts: RewrapParts;
  readonly #runner: JobRunner;
  readonly #workers = new WrappingWorkers();
  readonly #stopping = new AbortController();

  constructor(parts: RewrapParts) {
    this.#parts = parts;
    const { database, clock, notes } = parts;
    // Of its own: a rewrap of millions keeps no other work waiting.
    const concurrency = Math.max(1, Math.min(4, availableParallelism() - 1));
    this.#runner = new JobRunner({ database, clock, notes, timing: { concurrency } });
  }

  handlers(): Record<string, JobHandler> {
    const { signal } = this.#stopping;
    return {
      [rewrapTask]: rewrapHandler(this.#parts, this.#workers, signal),
      [followTask]: followHandler(this.#parts, () => this.wake()),
    };
  }

  async start(): Promise<void> {
    await followRotations(this.#parts.database);
    await this.#runner.start(this.handlers());
  }

  wake(): void {
    this.#runner.wake();
  }

  /** What is under way stops after its batch, and goes on at the next start or on another node. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#runner.stop();
    await this.#workers.close();
  }
}
