import type { Clock } from '../clock.ts';
import type { Database, Tx } from '../database.ts';
import { newId } from '../ids.ts';
import * as store from './store.ts';
import type { JobInput, JobRow } from './store.ts';

/** One run of a job, as its handler sees it. */
export interface Job {
  readonly name: string;
  readonly input: JobInput;
  /** Runs so far, with this one. */
  readonly attempts: number;
  /** The database's time when this run began, milliseconds since 1970. */
  readonly beganAt: number;
  /**
   * Ends the job inside the transaction of its effect, so that the effect happens once however often the job is delivered.
   * Throws {@link JobTaken} where the job is not this run's any more: let it pass, and the effect rolls back.
   */
  complete(tx: Tx): Promise<void>;
  /** As `complete`, for a job that recurs: due again at `dueAt`, milliseconds since 1970. */
  reschedule(tx: Tx, dueAt: number): Promise<void>;
}

/** Does the work of a task. What it does outside the transaction that ends the job must bear being done again. */
export type JobHandler = (job: Job) => Promise<void>;

/** The job was replaced, removed, or taken over after the lease ran out: its effect must not be committed by this run. */
export class JobTaken extends Error {
  constructor(name: string) {
    super(`Job ${name} is not this run's any more.`);
    this.name = 'JobTaken';
  }
}

/** What the runner tells the server's own log. */
export interface JobNotes {
  warn(details: object, message: string): void;
}

/** Milliseconds, but for the number of runs. */
export interface JobTiming {
  /** How long a run that shows no sign of life keeps its job. */
  readonly leaseMs: number;
  /** How often a run shows that it lives. */
  readonly extendMs: number;
  readonly pollMs: number;
  /** The wait after the first failure; it doubles up to the limit. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** Runs at a time. */
  readonly concurrency: number;
}

const usualTiming: JobTiming = {
  leaseMs: 10_000,
  extendMs: 3000,
  pollMs: 1000,
  backoffMs: 1000,
  maxBackoffMs: 300_000,
  concurrency: 2,
};

/** A handler that neither threw nor ended its job. */
const unfinished = 'job.unfinished';
/** A failure that has no code of its own. */
const unknownFailure = 'job.failed';

/** How a run ended that may not have ended its job; without an error where the handler returned. */
interface Failure {
  readonly code: string;
  readonly error?: string;
  readonly taken?: boolean;
}

export interface JobRunnerParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly notes: JobNotes;
  readonly timing?: Partial<JobTiming>;
}

/** Runs the jobs that are due, side by side with the runners of other nodes (docs/decisions/0005-jobs.md). */
export class JobRunner {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #notes: JobNotes;
  readonly #timing: JobTiming;
  readonly #runs = new Set<Promise<void>>();
  #handlers: ReadonlyMap<string, JobHandler> = new Map();
  /** Undefined before the start and from the stop on. */
  #poll: NodeJS.Timeout | undefined;
  #filling: Promise<void> | undefined;
  #again = false;
  #reachable = true;

  constructor({ database, clock, notes, timing }: JobRunnerParts) {
    this.#database = database;
    this.#clock = clock;
    this.#notes = notes;
    this.#timing = { ...usualTiming, ...timing };
  }

  /** Begins to run the jobs of these tasks; those of other tasks are left to nodes that know them. */
  async start(handlers: Readonly<Record<string, JobHandler>>): Promise<void> {
    // No other process has this file open: whoever held a lease is gone.
    const tasks = Object.keys(handlers);
    if (this.#database.dialect === 'sqlite' && tasks.length > 0) {
      await this.#database.single((tx) => store.releaseAll(tx, tasks));
    }
    this.#handlers = new Map(Object.entries(handlers));
    this.#poll = setInterval(() => this.wake(), this.#timing.pollMs);
    this.#poll.unref();
    this.wake();
  }

  /** Looks for due jobs now: after a commit that added one. Without it they are found by the next poll. */
  wake(): void {
    if (this.#poll === undefined || this.#handlers.size === 0) return;
    this.#again = true;
    this.#filling ??= this.#fill().finally(() => {
      this.#filling = undefined;
      // Asked for since the last look.
      if (this.#again) this.wake();
    });
  }

  /** Takes no more jobs, and returns once the runs under way have ended. */
  async stop(): Promise<void> {
    clearInterval(this.#poll);
    this.#poll = undefined;
    await this.#filling;
    await Promise.all(this.#runs);
  }

  /** Claims until nothing is due or enough is under way. */
  async #fill(): Promise<void> {
    try {
      while (this.#again) {
        this.#again = false;
        while (this.#poll !== undefined && this.#runs.size < this.#timing.concurrency) {
          const row = await this.#claim();
          if (row === undefined) break;
          const run = this.#run(row).finally(() => {
            this.#runs.delete(run);
            this.wake();
          });
          this.#runs.add(run);
        }
      }
      this.#reachable = true;
    } catch (error) {
      // Once: a database that is away stays away for many polls.
      if (this.#reachable) this.#notes.warn({ error: String(error) }, 'Jobs cannot be claimed for now.');
      this.#reachable = false;
    }
  }

  #claim(): Promise<JobRow | undefined> {
    const run = { tasks: [...this.#handlers.keys()], lease: newId(), leaseMs: this.#timing.leaseMs };
    return this.#database.single((tx) => store.claim(tx, this.#clock, run));
  }

  async #run(row: JobRow): Promise<void> {
    let extension: Promise<void> | undefined;
    // One at a time: a slow database is not asked more often for being slow.
    const extend = (): void => {
      extension ??= this.#extend(row).finally(() => (extension = undefined));
    };
    const extending = setInterval(extend, this.#timing.extendMs);
    extending.unref();
    let failure: Failure = { code: unfinished };
    try {
      await this.#handlers.get(row.task)?.(jobOf(row, row.leased_until - this.#timing.leaseMs));
    } catch (error) {
      failure = { code: codeOf(error), error: String(error), taken: error instanceof JobTaken };
    } finally {
      clearInterval(extending);
    }
    await this.#giveBack(row, failure);
  }

  /** A lease that could not be extended runs out, and another run takes over: nothing is lost. */
  async #extend(row: JobRow): Promise<void> {
    try {
      await this.#database.single((tx) => store.extend(tx, this.#clock, row, this.#timing.leaseMs));
    } catch (error) {
      this.#notes.warn({ job: row.name, error: String(error) }, 'The lease of a job could not be extended.');
    }
  }

  /** Whether a run has ended its job only the database knows: what this run still holds was not ended. */
  async #giveBack(row: JobRow, { code, error, taken }: Failure): Promise<void> {
    const { backoffMs, maxBackoffMs } = this.#timing;
    const delayMs = Math.min(backoffMs * 2 ** (row.attempts - 1), maxBackoffMs);
    const details = { job: row.name, attempts: row.attempts, failure: code, error };
    try {
      const held = await this.#database.single((tx) =>
        store.giveBack(tx, this.#clock, row, { delayMs, failure: code }),
      );
      if (held) this.#notes.warn({ ...details, delayMs }, 'A job failed; it will be tried again.');
      else if (error !== undefined && taken !== true)
        this.#notes.warn(details, 'A run failed whose job is done or is not its own any more.');
    } catch (cause) {
      const told = { ...details, cause: String(cause) };
      this.#notes.warn(told, 'A job could not be given back; its lease will run out.');
    }
  }
}

function jobOf(row: JobRow, beganAt: number): Job {
  const held = (is: boolean): void => {
    if (!is) throw new JobTaken(row.name);
  };
  return {
    name: row.name,
    input: JSON.parse(row.input) as JobInput,
    attempts: row.attempts,
    beganAt,
    complete: async (tx) => held(await store.complete(tx, row)),
    reschedule: async (tx, dueAt) => held(await store.reschedule(tx, row, dueAt)),
  };
}

/** The code that every error of this server carries; never a message, which may quote what it was about. */
function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : unknownFailure;
}
