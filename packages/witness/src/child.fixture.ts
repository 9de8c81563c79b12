import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Role } from './keys.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));

/** A witness or a mirror as a process of its own. */
export interface Child {
  readonly url: string;
  /** Ends it at once, wherever it is, and waits for the end. */
  kill(): Promise<void>;
  /** Asks it to end. @returns its exit status */
  stop(): Promise<number | null>;
}

/** Starts a process that listens on a free port of the loopback. @throws Error with what it said where it does not */
export async function startChild(role: Role, folder: string, args: readonly string[] = []): Promise<Child> {
  const words = [role, 'serve', '--data', folder, '--port', '0', '--requests-per-second', '1000000', ...args];
  const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const line = await firstLine(child);
  if (line === undefined) throw new Error(said.join(''));
  const { listening } = JSON.parse(line) as { listening: string };
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    child.kill(signal);
    await once(child, 'close');
    return child.exitCode;
  };
  return {
    url: listening,
    kill: async () => void (await end('SIGKILL')),
    stop: async () => end('SIGTERM'),
  };
}

async function firstLine({ stdout }: ChildProcess): Promise<string | undefined> {
  if (stdout === null) return undefined;
  for await (const line of createInterface({ input: stdout })) return line;
  return undefined;
}
