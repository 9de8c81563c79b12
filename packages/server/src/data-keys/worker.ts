import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Batch, BatchResult } from './wrap-anew.ts';

/** A thread that wraps data keys: a million of them take a minute, in which the event loop has other things to do. */
class WrappingWorker {
  readonly #worker = new Worker(new URL('./worker-thread.ts', import.meta.url));

  /** One batch at a time. Key objects are shared with the thread, their bytes are not copied out of them. */
  async wrapAnew(batch: Batch): Promise<BatchResult> {
    const ended = new AbortController();
    const answer = once(this.#worker, 'message', { signal: ended.signal });
    const gone = once(this.#worker, 'exit', { signal: ended.signal }).then(() => {
      throw new Error('The thread that wraps data keys has ended.');
    });
    this.#worker.postMessage(batch);
    try {
      const [result] = (await Promise.race([answer, gone])) as [BatchResult];
      return result;
    } finally {
      ended.abort();
      await Promise.allSettled([answer, gone]);
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Threads that wait for the next share: to start one takes as long as to wrap thousands of data keys. */
export class WrappingWorkers {
  readonly #idle: WrappingWorker[] = [];

  /** Lends a thread; one that fails is not lent again. */
  async use<T>(work: (worker: Pick<WrappingWorker, 'wrapAnew'>) => Promise<T>): Promise<T> {
    const worker = this.#idle.pop() ?? new WrappingWorker();
    try {
      const result = await work(worker);
      this.#idle.push(worker);
      return result;
    } catch (error) {
      await worker.close();
      throw error;
    }
  }

  /** Ends those that wait. */
  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((worker) => worker.close()));
  }
}
