/** The processes of the benchmark's own. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const undoings: (() => void)[] = [];
process.once('exit', () => undoings.splice(0).forEach((undo) => undo()));
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // A child that ends in its own way listens too.
    if (process.listenerCount(signal) === 1) process.exit(1);
  });
}

/** Has something undone when this process ends. */
export function undoAtEnd(undo: () => void): void {
  undoings.push(undo);
}

const program = fileURLToPath(new URL('./child.ts', import.meta.url));

/** Starts `child.ts`, which is killed with this process at the latest, and gives the first line of its answer. */
export async function startChild(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ child: ChildProcess; answer: unknown }> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  undoAtEnd(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${args[0] ?? ''} ended with status ${String(code)}.`);
  });
  // Whoever has its answer no longer looks at how it ends.
  ended.catch(() => undefined);
  const said = once(createInterface({ input: child.stdout }), 'line') as Promise<[string]>;
  const [line] = await Promise.race([said, ended]);
  return { child, answer: JSON.parse(line) as unknown };
}

/** Runs `child.ts` to its end. */
export async function runChild(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const { child, answer } = await startChild(args, env);
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return answer;
}

export async function endChild(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
