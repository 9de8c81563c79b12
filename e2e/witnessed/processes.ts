import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { childEnvironment, makeFolder, undoAtEnd } from '../harness.ts';

const main = fileURLToPath(import.meta.resolve('@trialkeep/witness/main'));
const run = promisify(execFile);

/** A witness or a mirror: a process of its own, with its own key and storage, that is killed and started again on what it left. */
export class CosignerProcess {
  readonly role: 'witness' | 'mirror';
  readonly name: string;
  readonly folder: string;
  /** Ed25519, then ML-DSA-44. */
  readonly verifierKeys: readonly string[];
  url = '';
  #port = 0;
  #child: ChildProcess | undefined;

  private constructor(
    role: 'witness' | 'mirror',
    name: string,
    folder: string,
    verifierKeys: readonly string[],
  ) {
    this.role = role;
    this.name = name;
    this.folder = folder;
    this.verifierKeys = verifierKeys;
  }

  /** Makes one for the logs with these verifier keys, and starts it. */
  static async make(
    role: 'witness' | 'mirror',
    name: string,
    logs: readonly string[],
  ): Promise<CosignerProcess> {
    const folder = join(makeFolder(), role);
    const answer = await command(role, ['init', '--data', folder, '--name', name]);
    const { verifierKeys } = JSON.parse(answer) as { verifierKeys: string[] };
    const made = new CosignerProcess(role, name, folder, verifierKeys);
    for (const keys of logs) await made.add(keys);
    await made.start();
    return made;
  }

  /** Has it know a log, by the text that `ledger.verifier-key` answers. */
  async add(keys: string): Promise<void> {
    await command(this.role, ['log-add', '--data', this.folder, ...keys.trim().split('\n')]);
  }

  async start(): Promise<void> {
    const rate = ['--requests-per-second', '100000'];
    const args = [main, this.role, 'serve', '--data', this.folder, '--port', String(this.#port), ...rate];
    const child = spawn(process.execPath, args, {
      env: childEnvironment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    undoAtEnd(() => void child.kill('SIGKILL'));
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    this.url = (JSON.parse(line) as { listening: string }).listening;
    this.#port = Number(new URL(this.url).port);
  }

  /** Ends it as a power failure does. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

async function command(role: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [main, role, ...args], { env: childEnvironment() });
  return stdout;
}
