import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(import.meta.resolve('@trialkeep/server/main'));

/** One of the server's own commands, in a process that can be killed at any moment. */
export class ServerCommand {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #output = '';
  #log = '';

  /** @param compileCache a folder in which Node keeps compiled modules, so that a restart costs less */
  constructor(args: readonly string[], compileCache: string) {
    this.#child = spawn(process.execPath, [entry, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_COMPILE_CACHE: compileCache, TRIALKEEP_LOG_LEVEL: 'warn' },
    });
    this.#closed = once(this.#child, 'close');
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
  }

  /** What it wrote to its log so far. */
  get log(): string {
    return this.#log;
  }

  /** The one JSON line that it answers; undefined where it ended without one. */
  async answer(): Promise<Record<string, unknown> | undefined> {
    const ended = this.#closed.then(() => true);
    while (!this.#output.includes('\n')) {
      const more = once(this.#child.stdout ?? this.#child, 'data').then(() => false);
      if ((await Promise.race([ended, more])) && !this.#output.includes('\n')) return undefined;
    }
    return JSON.parse(this.#output.slice(0, this.#output.indexOf('\n'))) as Record<string, unknown>;
  }

  /** Waits for the end; true where it came by itself and well. */
  async end(): Promise<boolean> {
    await this.#closed;
    return this.#child.exitCode === 0;
  }

  /** `kill -9`; false where it had ended before. */
  async kill(): Promise<boolean> {
    this.#child.kill('SIGKILL');
    await this.#closed;
    return this.#child.signalCode === 'SIGKILL';
  }

  /** Asks it to end, and waits. */
  async stop(): Promise<boolean> {
    this.#child.kill('SIGTERM');
    return this.end();
  }
}

/** A server that listens. */
export interface ListeningServer {
  readonly process: ServerCommand;
  readonly url: string;
}

/** Starts the server on a data directory as it was left; it must come up by itself, and must not be in recovery. */
export async function startReady(dataDirectory: string, compileCache: string): Promise<ListeningServer> {
  const process = new ServerCommand(['serve', '--data', dataDirectory, '--port', '0'], compileCache);
  const answer = await process.answer();
  if (answer === undefined) throw new Error(`The server did not start: ${process.log}`);
  if (answer['state'] !== 'ready') {
    await process.kill();
    throw new Error(`The server is in ${String(answer['state'])}: ${JSON.stringify(answer['reasons'])}`);
  }
  return { process, url: answer['listening'] as string };
}
