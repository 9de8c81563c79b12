/**
 * AWS KMS as moto speaks its protocol, for tests: a server of its own on this machine, with keys that go with it. moto checks signatures
 * and policies only when it is told to; what it encrypts, it encrypts (AES-256-GCM under the key, the context as authenticated data).
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const program = join(homedir(), '.cache', 'trialkeep', 'moto', 'bin', 'moto_server');

/** Why tests against it cannot run here, for `skip`; false where they can. */
export const kmsEmulatorMissing: string | false =
  !existsSync(program) && 'moto is not installed: run tools/test-services.sh.';

export interface KmsEmulator {
  readonly url: string;
  /** From now on every request must be signed by somebody who exists and may do it; `false`: nobody is asked. */
  authorise(isAsked: boolean): Promise<void>;
  stop(): void;
}

/** Starts it on a free port. */
export async function startKmsEmulator(): Promise<KmsEmulator> {
  const child = spawn(program, ['-H', '127.0.0.1', '-p', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', AWS_DEFAULT_REGION: 'eu-central-1' },
  });
  const stop = (): void => void child.kill('SIGKILL');
  process.once('exit', stop);
  const lines = createInterface({ input: child.stderr });
  const url = await new Promise<string>((resolve, reject) => {
    // Read to the end: a full pipe would stop the server.
    lines.on('line', (line) => {
      const found = /Running on (http:\S+)/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('error', reject);
    child.once('exit', () => reject(new Error('moto ended before it listened.')));
  });
  return {
    url,
    stop: () => {
      process.off('exit', stop);
      stop();
    },
    authorise: async (isAsked) => {
      const body = isAsked ? '0' : 'inf';
      const { status } = await fetch(`${url}/moto-api/reset-auth`, { method: 'POST', body });
      if (status !== 200) throw new Error(`moto answered ${status}.`);
    },
  };
}
