import { fileURLToPath } from 'node:url';
import { CliError } from './errors.ts';
import { runProcess, runToEnd } from './server-process.ts';
import type { ServerProcessOptions } from './server-process.ts';

/** The two kinds of process of `@trialkeep/witness`. */
export type WitnessRole = 'witness' | 'mirror';

/** A witness or a mirror that listens. */
export interface RunningWitness {
  readonly url: string;
  readonly name: string;
  /** How many logs are configured. */
  readonly logs: number;
  readonly processId: number | undefined;
  /** Resolves with the exit status once the process has ended; 128 and the signal's number where a signal ended it. */
  readonly ended: Promise<number>;
}

/**
 * Starts a witness or a mirror as a process of its own and waits until it listens.
 *
 * @throws ServerProcessError where it says why it did not start; CliError `cli.witness_missing`, `cli.server_failed`
 */
export async function startWitness(
  role: WitnessRole,
  args: readonly string[],
  options: ServerProcessOptions,
): Promise<RunningWitness> {
  const { child, ended, answer } = runProcess(witnessEntry(), [role, 'serve', ...args], options);
  const { listening, name, logs } = (await answer) as { listening: string; name: string; logs: number };
  return { url: listening, name, logs, processId: child.pid, ended };
}

/** Runs one of the commands on a data directory to its end. @returns what it answered @throws as `startWitness` */
export async function runWitnessCommand(
  role: WitnessRole,
  args: readonly string[],
  options: ServerProcessOptions,
): Promise<object> {
  return runToEnd(witnessEntry(), [role, ...args], options);
}

function witnessEntry(): string {
  try {
    return fileURLToPath(import.meta.resolve('@trialkeep/witness/main'));
  } catch (cause) {
    throw new CliError('cli.witness_missing', { cause });
  }
}
