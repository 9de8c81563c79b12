import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inputPlaces, operations } from '@trialkeep/contract';
import type { ErrorBody, Operation, OperationId } from '@trialkeep/contract';
import { createClient } from '@trialkeep/sdk/client';
import type { Client } from '@trialkeep/sdk/client';

/**
 * What the tests across processes share: commands and servers as processes of their own, on data directories of their own. Every
 * wait is bounded. When the tests of a file are done, or this process is ended, the processes that it started are killed by their
 * ids and its folders removed.
 */
const launcher = fileURLToPath(new URL('../packages/cli/bin/trialkeep', import.meta.url));
const serverMain = fileURLToPath(import.meta.resolve('@trialkeep/server/main'));

const children = new Set<ChildProcess>();
const folders = new Set<string>();
const undoings: (() => void)[] = [];

function cleanUp(): void {
  for (const child of children) killTree(child);
  for (const undo of undoings.splice(0).reverse()) undo();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}
after(async () => {
  await Promise.all([...children].map(killed));
  cleanUp();
});
process.once('exit', cleanUp);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]));
}

/** A new folder below the system's folder for temporary files. */
export function makeFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'trialkeep-e2e-')));
  folders.add(folder);
  return folder;
}

/** Has something undone when the tests are over, however they end. */
export function undoAtEnd(undo: () => void): void {
  undoings.push(undo);
}

/** How long one child may take before it is killed, ms: far more than any needs. */
const childLimitMs = 120_000;
/** How long one request may take, ms. */
const requestLimitMs = 60_000;

/** A process and those that it started, they and so on, as far as the system tells. */
export function processTree(processId: number): number[] {
  let started: number[] = [];
  try {
    const threads = readdirSync(`/proc/${processId}/task`);
    started = threads.flatMap((thread) =>
      readFileSync(`/proc/${processId}/task/${thread}/children`, 'latin1')
        .split(' ')
        .filter(Boolean)
        .map(Number),
    );
  } catch {
    // It has ended meanwhile, or the system has no such files.
  }
  return [processId, ...started.flatMap(processTree)];
}

/** A killed command cannot end the server that it started. */
function killTree(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  for (const processId of processTree(child.pid)) {
    try {
      process.kill(processId, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  killTree(child);
  await closed;
}

/** What a child wrote and how it ended. */
export interface Ran {
  /** 128 and the signal's number where a signal ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Beside the path, a home and a folder for temporary files, which every child gets. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
  readonly cwd?: string;
  /** The account to run as; needs the superuser. */
  readonly uid?: number;
  /** Told the process id as soon as there is one. */
  onStart?(processId: number): void;
}

/** The home of the children of this file: their profiles, caches and temporary files. */
export const home = makeFolder();
mkdirSync(join(home, 'temporary'));

/** The environment of children: nothing of this process's own but the path. */
export function childEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const path = process.env['PATH'] ?? '';
  const compiled = join(home, 'compile-cache');
  return { PATH: path, HOME: home, TMPDIR: join(home, 'temporary'), NODE_COMPILE_CACHE: compiled, ...more };
}

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  /** What it has written so far. */
  written(): { stdout: Buffer; stderr: Buffer };
}

function startChild(command: string, args: readonly string[], options: RunOptions): Started {
  const child = spawn(command, args, {
    env: childEnvironment(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    ...(options.uid !== undefined && { uid: options.uid, gid: options.uid }),
  });
  children.add(child);
  if (child.pid !== undefined) options.onStart?.(child.pid);
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A child that does not read its input closes it.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin);
  const written = () => ({ stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) });
  const ended = new Promise<Ran>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      children.delete(child);
      const status = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
      resolve({ status, stdout: written().stdout.toString(), stderr: written().stderr.toString() });
    });
  });
  ended.catch(() => children.delete(child));
  return { child, ended, written };
}

async function toItsEnd({ child, ended }: Started, what: string): Promise<Ran> {
  let overdue = false;
  const timer = setTimeout(() => {
    overdue = true;
    killTree(child);
  }, childLimitMs);
  try {
    const ran = await ended;
    if (overdue) throw new Error(`${what} did not end: ${ran.stderr}`);
    return ran;
  } finally {
    clearTimeout(timer);
  }
}

/** Runs the `trialkeep` command as its users do. */
export async function trialkeep(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return toItsEnd(startChild(launcher, argv, options), `trialkeep ${argv[0] ?? ''}`);
}

/** Runs `trialkeep … --json`, which has to succeed, and gives its one JSON object. */
export async function answerOf<Answer>(argv: readonly string[], options: RunOptions = {}): Promise<Answer> {
  const ran = await trialkeep([...argv, '--json'], options);
  if (ran.status !== 0) throw new Error(`trialkeep ${argv.join(' ')}: ${ran.stderr}`);
  return JSON.parse(ran.stdout) as Answer;
}

/** What a command says when it fails. */
export interface Failure {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly fix: string;
  readonly field?: string;
  readonly path?: string;
}

/** Runs `trialkeep … --json`, which has to fail without a result: its one error, with a sentence and a fix. */
export async function failureOf(argv: readonly string[], options: RunOptions = {}): Promise<Failure> {
  const { status, stdout, stderr } = await trialkeep([...argv, '--json'], options);
  // Above it is what the server's own log says.
  const { error } = JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '') as { error: Failure };
  const { code, message, fix } = error;
  if (status === 0 || stdout !== '') throw new Error(`trialkeep ${argv.join(' ')} did not fail: ${stdout}`);
  if (code === 'cli.unexpected' || message.length < 10 || fix.length < 10) {
    throw new Error(`trialkeep ${argv.join(' ')} does not say what is wrong: ${stderr}`);
  }
  return { ...error, status };
}

/** The server's own entry, for those who make another program of it. */
export const ownServerMain = serverMain;

/** A server in a process of its own. */
export class ServerProcess {
  readonly url: string;
  readonly state: 'ready' | 'recovery';
  readonly processId: number;
  readonly #started: Started;

  private constructor(started: Started, answer: { listening: string; state: 'ready' | 'recovery' }) {
    this.#started = started;
    this.url = answer.listening;
    this.state = answer.state;
    this.processId = started.child.pid ?? 0;
  }

  /** Starts the server's own entry, or that of another program, on a free port, and waits until it listens. */
  static async start(
    dataDirectory: string,
    options: { env?: Readonly<Record<string, string>>; args?: readonly string[]; main?: string } = {},
  ): Promise<ServerProcess> {
    const { main = serverMain } = options;
    const args = [main, 'serve', '--data', dataDirectory, '--port', '0', ...(options.args ?? [])];
    const started = startChild(process.execPath, args, options);
    const line = await firstLine(started);
    return new ServerProcess(started, JSON.parse(line) as { listening: string; state: 'ready' | 'recovery' });
  }

  /** All that it has written to standard output and standard error. */
  get output(): Buffer {
    const { stdout, stderr } = this.#started.written();
    return Buffer.concat([stdout, stderr]);
  }

  /** Ends it as an operator does; gives the exit status. */
  async stop(): Promise<number> {
    this.#started.child.kill('SIGTERM');
    return (await toItsEnd(this.#started, 'the server')).status;
  }

  /** Tells it to stop, and goes on; `ended` says when it has. */
  terminate(): void {
    this.#started.child.kill('SIGTERM');
  }

  /** Its exit status, once it has ended. */
  async ended(): Promise<number> {
    return (await this.#started.ended).status;
  }

  /** Ends it as a power failure does. */
  async kill(): Promise<void> {
    await killed(this.#started.child);
  }

  /** Stops it in the middle of whatever it does, as a machine that is suspended does. */
  pause(): void {
    this.#started.child.kill('SIGSTOP');
  }

  /** Lets it go on, as if no time had passed. */
  resume(): void {
    this.#started.child.kill('SIGCONT');
  }
}

async function firstLine({ child, ended, written }: Started): Promise<string> {
  const line = () => /^.*(?=\n)/.exec(written().stdout.toString())?.[0];
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => killTree(child), childLimitMs);
    const look = (): void => {
      const found = line();
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    };
    child.stdout?.on('data', look);
    ended.then(({ status, stderr }) => {
      clearTimeout(timer);
      reject(new Error(`The server ended with status ${status}: ${stderr}`));
    }, reject);
  });
}

/** An installation as `trialkeep self init` makes it. */
export interface Installation {
  readonly data: string;
  readonly administrator: { readonly id: string; readonly secret: string };
}

export async function newInstallation(
  data = join(makeFolder(), 'data'),
  options: RunOptions = {},
): Promise<Installation> {
  const made = await answerOf<Pick<Installation, 'administrator'>>(['self', 'init', '--data', data], options);
  return { data, administrator: made.administrator };
}

/** A client under one credential. */
export function clientOf(server: Pick<ServerProcess, 'url'>, credential: string): Client {
  return createClient({ url: server.url, credential, timeoutMs: requestLimitMs });
}

/** The environment in which a command asks the server under a credential. */
export function asCaller(server: Pick<ServerProcess, 'url'>, credential: string): Record<string, string> {
  return { TRIALKEEP_URL: server.url, TRIALKEEP_CREDENTIAL: credential };
}

/** What came back, as it came. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface RawRequest {
  readonly method?: string;
  /** The whole Authorization header. */
  readonly authorization?: string | undefined;
  readonly body?: string;
  readonly type?: string;
}

/** Sends a request as it is, checked by nobody on the way. */
export async function send(
  server: Pick<ServerProcess, 'url'>,
  target: string,
  { method = 'GET', authorization, body, type = 'application/json' }: RawRequest = {},
): Promise<Answer> {
  const response = await fetch(server.url + target, {
    method,
    headers: {
      ...(authorization !== undefined && { authorization }),
      ...(body !== undefined && { 'content-type': type }),
    },
    body: body ?? null,
    signal: AbortSignal.timeout(requestLimitMs),
  });
  return { status: response.status, text: await response.text() };
}

/** Asks for an operation, with inputs that nobody checks on the way. */
export async function ask(
  server: Pick<ServerProcess, 'url'>,
  id: OperationId,
  input: object,
  authorization?: string,
): Promise<Answer> {
  const operation: Operation = operations[id];
  const inPath = new Set(inputPlaces(operation).path);
  const values = input as Readonly<Record<string, unknown>>;
  const target = operation.path.replaceAll(/\{(\w+)\*?\}/g, (_, name: string) => String(values[name]));
  const others = Object.entries(input).filter(([name]) => !inPath.has(name));
  if (operation.method === 'GET') {
    const query = new URLSearchParams(others.map(([name, value]): [string, string] => [name, String(value)]));
    return send(server, query.size === 0 ? target : `${target}?${query}`, { authorization });
  }
  const body = JSON.stringify(Object.fromEntries(others));
  return send(server, target, { method: 'POST', authorization, body });
}

/** The error that an unsuccessful answer carries. */
export function errorOf({ status, text }: Answer): ErrorBody['error'] & { readonly status: number } {
  return { status, ...(JSON.parse(text) as ErrorBody).error };
}
