import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { StartupError } from '../../platform/errors.ts';
import { QuestionError } from './error-codes.ts';
import { loginsOf } from './logins.ts';
import type { Logins } from './logins.ts';
import type { Answers, Question, Reply, Request, TokenAddress } from './protocol.ts';

export interface ModuleProcessOptions {
  readonly address: TokenAddress;
  /** How many questions are under way at most: the sessions of the pool. */
  readonly sessions: number;
  /** How long one answer may take, ms. */
  readonly timeoutMs: number;
  /** Added to the environment of the process. */
  readonly environment: Readonly<Record<string, string>>;
}

/** How long the process may take to start, before it has touched the module, ms. */
const startMs = 60_000;
/** After a failure the module is left alone: so long at first, twice as long each time, up to the most; ms. */
const firstPauseMs = 250;
const longestPauseMs = 5_000;

interface Waiting {
  readonly settle: (reply: Exclude<Reply, { ready: true }>) => void;
  readonly fail: (error: StartupError) => void;
}

/** One start of the process. */
interface Run {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
  readonly waiting: Map<number, Waiting>;
  /** Whether it has answered once: its token has taken the PIN. */
  isIn: boolean;
}

/**
 * The process that holds a PKCS#11 module, replaced when it hangs, crashes or has lost its token. One is started when something
 * is asked; each has the module for itself, so that C_Initialize is called once in it however many roots are open.
 */
export class ModuleProcess {
  readonly #options: ModuleProcessOptions;
  #run: Run | undefined;
  #isClosed = false;
  #lastId = 0;
  #active = 0;
  readonly #queue: (() => void)[] = [];
  #failures = 0;
  /** While the module is left alone: why. */
  #pause: { readonly error: StartupError; readonly timer: NodeJS.Timeout } | undefined;
  readonly #logins: Logins;

  constructor(options: ModuleProcessOptions) {
    this.#options = options;
    this.#logins = loginsOf(options.address);
  }

  /** The id of the process; undefined while none runs. */
  get processId(): number | undefined {
    return this.#run?.child.pid;
  }

  /** @throws StartupError `root.unreachable`, `root.refused`, `root.key_gone`, `root.wrong`, `root.failed` and those of the PIN file */
  async ask<Q extends Question>(question: Q): Promise<Answers[Q['ask']]> {
    await this.#enter();
    try {
      // The first answer of a process takes a login.
      const isIn = this.#run?.isIn === true;
      const answer = isIn ? this.#askNow(question) : this.#logins.inTurn(() => this.#askNow(question));
      return (await answer) as Answers[Q['ask']];
    } finally {
      this.#leave();
    }
  }

  async #askNow(question: Question): Promise<Answers[keyof Answers]> {
    this.#assertMayAsk();
    const run = (this.#run ??= this.#start());
    try {
      const answer = await this.#askRun(run, question);
      this.#failures = 0;
      run.isIn = true;
      return answer;
    } catch (error) {
      this.#note(run, error as StartupError);
      throw error;
    }
  }

  /** Ends the process; what is asked meanwhile fails. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#pause !== undefined) clearTimeout(this.#pause.timer);
    const run = this.#run;
    if (run === undefined) return;
    const { child } = run;
    // Whoever waits for its end is to see it.
    child.ref();
    const ended = new Promise<void>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve();
      else child.once('exit', () => resolve());
    });
    this.#end(run, 'It was closed.');
    await ended;
  }

  /** Waits for a session of the pool. */
  async #enter(): Promise<void> {
    if (this.#active < this.#options.sessions) {
      this.#active += 1;
      return;
    }
    await new Promise<void>((resolve) => this.#queue.push(resolve));
  }

  #leave(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#active -= 1;
    else next();
  }

  #assertMayAsk(): void {
    if (this.#isClosed) throw new StartupError('root.unreachable', 'It was closed.');
    this.#logins.assertNotRefused();
    if (this.#pause !== undefined) throw new StartupError(this.#pause.error.code, this.#pause.error.detail);
  }

  #start(): Run {
    const { environment, sessions } = this.#options;
    const child = fork(new URL('./worker.ts', import.meta.url), [], {
      // Nothing of a debugger or a test runner; what everything runs under is in NODE_OPTIONS.
      execArgv: [
        '--disable-sigusr1',
        ...process.execArgv.filter((argument) => argument.startsWith('--secure-heap')),
      ],
      // Calls that block do it in threads: as many as sessions.
      env: { ...process.env, UV_THREADPOOL_SIZE: String(Math.max(4, sessions)), ...environment },
      serialization: 'advanced',
      // Standard output is for answers; a library that writes there, or holds it open after the end, must not.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const waiting = new Map<number, Waiting>();
    const ready = new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(unreachable('Its process did not start.')), startMs);
      child.once('message', () => {
        clearTimeout(late);
        resolve();
      });
      child.once('exit', () => {
        clearTimeout(late);
        reject(unreachable('Its process ended at once.'));
      });
    });
    ready.catch(() => undefined);
    const run: Run = { child, ready, waiting, isIn: false };
    child.on('message', (reply: Reply) => {
      if ('id' in reply) waiting.get(reply.id)?.settle(reply);
    });
    child.on('error', () => this.#end(run, 'Its process cannot be started or spoken to.'));
    child.on('exit', (status, signal) => this.#end(run, `Its process ended (${signal ?? status}).`));
    return run;
  }

  async #askRun(run: Run, question: Question): Promise<Answers[keyof Answers]> {
    // Only what is asked keeps this process from ending.
    run.child.ref();
    run.child.channel?.ref();
    const id = (this.#lastId += 1);
    const pinState = this.#logins.state();
    let timer: NodeJS.Timeout | undefined;
    try {
      await run.ready;
      return await new Promise<Answers[keyof Answers]>((resolve, reject) => {
        const settle: Waiting['settle'] = (reply) => {
          if (!('error' in reply)) return resolve(reply.answer);
          const { code, detail, isAlone } = reply.error;
          const error = isAlone ? new QuestionError(code, detail) : new StartupError(code, detail);
          if (reply.error.isPinRefused) this.#logins.refuse(error, pinState);
          reject(error);
        };
        run.waiting.set(id, { settle, fail: reject });
        timer = setTimeout(() => this.#end(run, 'It did not answer in time.'), this.#options.timeoutMs);
        const request: Request = { id, address: this.#options.address, question };
        if (run.child.connected) run.child.send(request);
        else this.#end(run, 'Its process has ended.');
      });
    } finally {
      clearTimeout(timer);
      run.waiting.delete(id);
      if (run.waiting.size === 0) {
        run.child.unref();
        run.child.channel?.unref();
      }
    }
  }

  /** Ends one start of the process, whatever it is doing, and fails what waits for it. */
  #end(run: Run, why: string): void {
    if (this.#run === run) this.#run = undefined;
    run.child.kill('SIGKILL');
    const waiting = [...run.waiting.values()];
    run.waiting.clear();
    for (const { fail } of waiting) fail(unreachable(why));
  }

  /** Draws the consequence of a failure: a new process, a pause, or no further attempt. */
  #note(run: Run, error: StartupError): void {
    if (error.code !== 'root.unreachable' || error instanceof QuestionError || this.#isClosed) return;
    if (this.#run === run) this.#end(run, error.detail ?? '');
    if (this.#pause !== undefined) return;
    const pauseMs = Math.min(firstPauseMs * 2 ** this.#failures, longestPauseMs);
    this.#failures += 1;
    const timer = setTimeout(() => {
      this.#pause = undefined;
    }, pauseMs);
    timer.unref();
    this.#pause = { error, timer };
  }
}

function unreachable(detail: string): StartupError {
  return new StartupError('root.unreachable', detail);
}
