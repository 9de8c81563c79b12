import type { KeyObject } from 'node:crypto';
import { getCompileCacheDir } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { KeySource } from '../seal/keys.ts';
import { failureOf, Stopped } from './job.ts';
import type { Failure, WantedKey } from './job.ts';
import { advanceIn, doJob, toThread } from './protocol.ts';
import type {
  FromThread,
  JobInput,
  JobKind,
  JobOutput,
  KeyAnswers,
  SharedState,
  ThreadData,
  ToThread,
} from './protocol.ts';

/** More threads than this compete for the disk rather than share the work. */
const mostThreads = 4;
/** So that a thread has something to do while it waits for keys, and while its answer is read. */
const jobsPerThread = 2;
/** A thread takes a second of the processor until it is up to speed, so that another one has to be worth it: some thousands of small files. */
const jobsBeforeAnother = 128;

/** A small young generation: what is done with is collected soon, and with it the memory of its buffers. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 } as const;

export interface ThreadOptions {
  /** 0 to 64; with 0 the jobs are done in the calling thread, which they hold up. As many as there are processors, at most 4, by default. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Job {
  readonly id: number;
  readonly kind: JobKind;
  readonly input: JobInput<JobKind>;
  readonly done: (output: unknown) => void;
  readonly failed: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly jobs: Map<number, Job>;
}

/** Threads that do the work on files. They are started when there is work for them. */
export class Threads {
  readonly #count: number;
  readonly #keys: KeySource;
  readonly #signal: AbortSignal | undefined;
  readonly #shared: SharedState = {
    stopped: new Int32Array(new SharedArrayBuffer(4)),
    bytes: new BigInt64Array(new SharedArrayBuffer(8)),
  };
  readonly #threads: Thread[] = [];
  readonly #waiting: Job[] = [];
  #runningHere = 0;
  #lastId = 0;
  /** Why a thread was lost. */
  #lost: Error | undefined;
  #room: (() => void) | undefined;
  readonly #abort = (): void => void Atomics.store(this.#shared.stopped, 0, 1);

  constructor(keys: KeySource, { threads, signal }: ThreadOptions) {
    this.#count = Math.min(threads ?? Math.min(mostThreads, availableParallelism()), 64);
    this.#keys = keys;
    this.#signal = signal;
    if (signal?.aborted === true) this.#abort();
    signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** Bytes of plaintext that are done. */
  get doneBytes(): number {
    return Number(Atomics.load(this.#shared.bytes, 0));
  }

  /** @throws the signal's reason, the errors of the key source, and what a job cannot go on after */
  async run<Kind extends JobKind>(kind: Kind, input: JobInput<Kind>): Promise<JobOutput<Kind>> {
    try {
      const output = await (this.#count === 0 ? this.#runHere(kind, input) : this.#runThere(kind, input));
      return output as JobOutput<Kind>;
    } catch (error) {
      if (error instanceof Stopped) this.#signal?.throwIfAborted();
      throw error;
    } finally {
      this.#tellRoom();
    }
  }

  /** Resolves once a further job would be begun soon. */
  async room(): Promise<void> {
    while (this.#waiting.length > 0 || this.#runningHere >= jobsPerThread) {
      await new Promise<void>((resolve) => (this.#room = resolve));
    }
  }

  /** Asks all jobs to end. */
  stop(): void {
    this.#abort();
  }

  async close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#abort);
    await Promise.all(this.#threads.splice(0).map(({ worker }) => worker.terminate()));
  }

  async #runHere<Kind extends JobKind>(kind: Kind, input: JobInput<Kind>): Promise<JobOutput<Kind>> {
    const advance = advanceIn(this.#shared);
    this.#runningHere += 1;
    try {
      return await doJob(kind, input, { advance, openingKeys: (messages) => this.#openingKeys(messages) });
    } finally {
      this.#runningHere -= 1;
    }
  }

  #runThere(kind: JobKind, input: JobInput<JobKind>): Promise<unknown> {
    return new Promise((done, failed) => {
      if (this.#lost !== undefined) return failed(this.#lost);
      const job = { id: (this.#lastId += 1), kind, input, done, failed };
      // What to do next is learnt by looking, so that goes first.
      if (kind === 'list' || kind === 'look') this.#waiting.unshift(job);
      else this.#waiting.push(job);
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#freeThread();
      const job = thread && this.#waiting.shift();
      if (job === undefined) return;
      thread?.jobs.set(job.id, job);
      thread?.worker.postMessage(toThread(job.id, job.kind, job.input));
    }
  }

  /** The one with the fewest jobs; a new one rather than one that is busy. */
  #freeThread(): Thread | undefined {
    const [least] = [...this.#threads].sort((a, b) => a.jobs.size - b.jobs.size);
    if (least !== undefined && least.jobs.size === 0) return least;
    const wanted = Math.min(this.#count, 1 + Math.floor(this.#lastId / jobsBeforeAnother));
    if (this.#threads.length < wanted) return this.#start();
    return least !== undefined && least.jobs.size < jobsPerThread ? least : undefined;
  }

  #start(): Thread {
    const versioned = getCompileCacheDir();
    const compileCache = versioned === undefined ? undefined : dirname(versioned);
    const workerData: ThreadData = { shared: this.#shared, compileCache };
    const worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData, resourceLimits });
    const thread: Thread = { worker, jobs: new Map() };
    worker.on('message', (message: FromThread) => void this.#hear(thread, message));
    worker.on('error', (error) => this.#lose(thread, error));
    worker.on('exit', (code) => this.#lose(thread, new Error(`A thread ended with ${code}.`)));
    this.#threads.push(thread);
    return thread;
  }

  /** After a crash, as for want of memory, the next thread would fare no better: all work ends. */
  #lose(thread: Thread, error: unknown): void {
    const index = this.#threads.indexOf(thread);
    if (index < 0) return;
    this.#threads.splice(index, 1);
    this.#lost ??= error instanceof Error ? error : new Error(String(error));
    this.stop();
    for (const job of [...thread.jobs.values(), ...this.#waiting.splice(0)]) job.failed(error);
    this.#tellRoom();
  }

  async #hear(thread: Thread, message: FromThread): Promise<void> {
    const job = thread.jobs.get(message.id);
    if (job === undefined) return;
    if ('wanted' in message) {
      const keys = await this.#openingKeys(message.wanted).catch((error: unknown) => {
        job.failed(error);
        this.stop();
        return message.wanted.map((): Failure => ({ failure: 'seal.no_key' }));
      });
      thread.worker.postMessage({ id: message.id, keys } satisfies ToThread);
      return;
    }
    thread.jobs.delete(message.id);
    if ('output' in message) job.done(JSON.parse(message.output));
    else job.failed('error' in message ? message.error : new Stopped());
    this.#dispatch();
    this.#tellRoom();
  }

  #tellRoom(): void {
    this.#room?.();
    this.#room = undefined;
  }

  /** Each use is put on the record by itself, all at once, so that what records them can write them together. */
  #openingKeys(wanted: readonly WantedKey[]): Promise<KeyAnswers> {
    const openingKey = async ({ message, uses }: WantedKey): Promise<KeyObject | Failure> => {
      try {
        const key = await this.#keys.openingKey(message, { signal: this.#signal });
        await Promise.all(Array.from({ length: uses }, async () => key?.reportUse?.()));
        return key?.dataKey ?? { failure: 'seal.no_key' };
      } catch (error) {
        return failureOf(error);
      }
    };
    return Promise.all(wanted.map(openingKey));
  }
}
