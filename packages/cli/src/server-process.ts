import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import module from 'node:module';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { CliError } from './errors.ts';
import { Interruption } from './io.ts';
import { protectedNode } from './protected-process.ts';

/** Where an installation lies unless another directory is named. */
export const defaultDataDirectory = 'trialkeep-data';
export const defaultHost = '127.0.0.1';
export const defaultPort = 7420;

type Env = Readonly<Record<string, string | undefined>>;

export interface ServerProcessOptions {
  readonly env: Env;
  /** Called for each line of the server's log. */
  onLog?(line: string): void;
  /** Ends the process, with the signal of the `Interruption` where that is the reason. */
  readonly signal?: AbortSignal;
  /** Its standard input: for secrets, which travel in no argument. */
  readonly input?: string;
}

/** A running server. */
export interface RunningServer {
  /** Where it listens. */
  readonly url: string;
  readonly state: 'ready' | 'recovery' | 'sealed';
  /** Why it is in recovery. */
  readonly reasons: readonly string[];
  readonly processId: number | undefined;
  /** Resolves with the exit status once the process has ended; 128 and the signal's number where a signal ended it. */
  readonly ended: Promise<number>;
  /** Sends a signal, SIGTERM unless another is named, and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number>;
}

/** What the server process said when it failed, with its own code. */
export class ServerProcessError extends Error {
  override readonly name = 'ServerProcessError';
  readonly code: string;
  readonly fix: string;

  constructor({ code, message, fix }: { code: string; message: string; fix: string }) {
    super(message);
    this.code = code;
    this.fix = fix;
  }
}

/**
 * Starts a server as a process of its own and waits until it listens.
 *
 * @throws ServerProcessError where it says why it did not start; CliError `cli.server_missing`, `cli.server_failed`
 */
export async function startServer(
  options: ServerProcessOptions & {
    dataDirectory: string;
    host?: string;
    port?: number;
    /** Starts although the witnesses that a policy requires cannot be asked. */
    withoutWitnesses?: boolean;
  },
): Promise<RunningServer> {
  const { dataDirectory, host = defaultHost, port = defaultPort } = options;
  const args = ['serve', '--data', dataDirectory, '--host', host, '--port', String(port)];
  if (options.withoutWitnesses === true) args.push('--without-witnesses');
  const { child, ended, answer } = runProcess(serverEntry(), args, options);
  const { listening, state, reasons } = (await answer) as {
    listening: string;
    state: RunningServer['state'];
    reasons: string[];
  };
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number> => {
    child.kill(signal);
    return ended;
  };
  return { url: listening, state, reasons, processId: child.pid, ended, stop };
}

/**
 * Runs one of the server's own commands to its end.
 *
 * @returns what it answered
 * @throws ServerProcessError where it says what went wrong; CliError `cli.server_missing`, `cli.server_failed`
 */
export async function runServerCommand(
  args: readonly string[],
  options: ServerProcessOptions,
): Promise<object> {
  return runToEnd(serverEntry(), args, options);
}

/** Runs a process that answers with one JSON line to its end. @returns what it answered @throws as `runServerCommand` */
export async function runToEnd(
  entry: string,
  args: readonly string[],
  options: ServerProcessOptions,
): Promise<object> {
  const { ended, answer, failure } = runProcess(entry, args, options);
  const result = await answer;
  const status = await ended;
  if (status !== 0) throw await failureOf(status, failure);
  return result;
}

/** A process of this product that was started: a server, a witness, a mirror. */
export interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<number>;
  /** The one JSON line that the process writes to standard output. */
  readonly answer: Promise<object>;
  /** The error that it ended with, if it said one. */
  readonly failure: Promise<ServerProcessError | undefined>;
}

/** Starts a process. @param entry the file that it runs */
export function runProcess(entry: string, args: readonly string[], options: ServerProcessOptions): Run {
  const child = spawn(...protectedNode(entry, args, options.env), {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: childEnvironment(options.env),
    // A process group of its own: Ctrl-C reaches this process, which passes it on once.
    detached: true,
  });
  // It may end without having read; what it says then counts.
  child.stdin.on('error', () => undefined).end(options.input ?? '');
  const interrupt = (): void => {
    const reason: unknown = options.signal?.reason;
    const signal = reason instanceof Interruption ? reason.processSignal : 'SIGTERM';
    child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
  };
  options.signal?.addEventListener('abort', interrupt, { once: true });
  if (options.signal?.aborted === true) interrupt();

  const failure = readLog(child.stderr, options);
  const firstLine = readFirstLine(child.stdout);
  const ended = endOf(child).finally(() => options.signal?.removeEventListener('abort', interrupt));
  const answer = (async () => {
    try {
      const line = await firstLine;
      if (line !== undefined) return line;
    } catch (error) {
      child.kill();
      throw error;
    }
    const status = await ended;
    options.signal?.throwIfAborted();
    throw await failureOf(status, failure);
  })();
  return { child, ended, answer, failure };
}

async function failureOf(status: number, failure: Run['failure']): Promise<Error> {
  return (await failure) ?? new CliError('cli.server_failed', { detail: `exit status ${status}` });
}

function serverEntry(): string {
  try {
    return fileURLToPath(import.meta.resolve('@trialkeep/server/main'));
  } catch (cause) {
    throw new CliError('cli.server_missing', { cause });
  }
}

/** The environment without credentials, which are none of the server's, and with this process's compile cache. */
function childEnvironment(env: Env): NodeJS.ProcessEnv {
  const { TRIALKEEP_URL: _url, TRIALKEEP_CREDENTIAL: _credential, ...rest } = env;
  const cache = module.getCompileCacheDir();
  return { ...(cache !== undefined && { NODE_COMPILE_CACHE: cache }), ...rest };
}

async function endOf(child: ChildProcess): Promise<number> {
  try {
    const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return status ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  } catch (cause) {
    throw new CliError('cli.server_failed', { detail: 'it could not be started', cause });
  }
}

/** The first line of a stream as a JSON object; undefined where there is none. What follows is read and dropped. */
function readFirstLine(stream: Readable): Promise<object | undefined> {
  const lines = createInterface({ input: stream });
  return new Promise((resolve, reject) => {
    lines.once('line', (line) => {
      const value = parseObject(line);
      if (value !== undefined) resolve(value);
      else reject(new CliError('cli.server_failed', { detail: 'its answer is not JSON' }));
    });
    lines.once('close', () => resolve(undefined));
  });
}

/** Passes the log on, line by line, and returns the error that the process ended with, if it said one. */
async function readLog(
  stream: Readable,
  { onLog }: ServerProcessOptions,
): Promise<ServerProcessError | undefined> {
  let failure: ServerProcessError | undefined;
  for await (const line of createInterface({ input: stream })) {
    const error = errorOf(line);
    if (error === undefined) onLog?.(line);
    else failure = error;
  }
  return failure;
}

function errorOf(line: string): ServerProcessError | undefined {
  if (!line.startsWith('{"error":')) return undefined;
  const parsed: { error?: unknown } | undefined = parseObject(line);
  const { code, message, fix } = (parsed?.error ?? {}) as Record<string, unknown>;
  if (typeof code !== 'string' || typeof message !== 'string' || typeof fix !== 'string') return undefined;
  return new ServerProcessError({ code, message, fix });
}

function parseObject(line: string): object | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
