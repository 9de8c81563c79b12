import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CliError } from '../errors.ts';
import type { Io } from '../io.ts';
import { runServerCommand, startServer } from '../server-process.ts';
import type { RunningServer, ServerProcessOptions } from '../server-process.ts';

/** The installation that the main job runs on, made at the first run. */
export class Installation {
  readonly dataDirectory: string;
  /** What this run leaves behind: sealed files, the exported ledger, backups. */
  readonly runFolder: string;
  /** Whether it was made by this run. */
  readonly isNew: boolean;
  readonly passphraseFile: string;
  /** The credential of the installation's administrator. */
  readonly administrator: string;
  readonly #process: ServerProcessOptions;
  readonly #port: number;
  #server: RunningServer | undefined;

  private constructor(made: {
    dataDirectory: string;
    runFolder: string;
    isNew: boolean;
    administrator: string;
    process: ServerProcessOptions;
    port: number;
  }) {
    this.dataDirectory = made.dataDirectory;
    this.runFolder = made.runFolder;
    this.isNew = made.isNew;
    this.passphraseFile = join(made.dataDirectory, 'root', 'passphrase');
    this.administrator = made.administrator;
    this.#process = made.process;
    this.#port = made.port;
  }

  static async prepare(io: Io, directory: string, port: number): Promise<Installation> {
    const dataDirectory = resolve(directory);
    const process = { env: io.env, signal: io.signal };
    const credentialFile = join(dataDirectory, 'administrator.credential');
    const isNew = !existsSync(join(dataDirectory, 'trialkeep.json'));
    let administrator: string;
    if (isNew) {
      const made = await runServerCommand(['init', '--data', dataDirectory], process);
      administrator = (made as { administrator: { secret: string } }).administrator.secret;
      await writeFile(credentialFile, `${administrator}\n`, { mode: 0o600, flag: 'wx' });
    } else if (existsSync(credentialFile)) {
      administrator = (await readFile(credentialFile, 'utf8')).trim();
    } else {
      throw new CliError('cli.start_foreign', { path: dataDirectory });
    }
    const runs = join(dataDirectory, 'runs');
    await mkdir(runs, { recursive: true, mode: 0o700 });
    const last = Math.max(
      0,
      ...(await readdir(runs)).map((name) => (/^[0-9]+$/.test(name) ? Number(name) : 0)),
    );
    const runFolder = join(runs, String(last + 1));
    await mkdir(runFolder, { mode: 0o700 });
    return new Installation({ dataDirectory, runFolder, isNew, administrator, process, port });
  }

  /** The server, which must be running. */
  get server(): RunningServer {
    if (this.#server === undefined) throw new Error('The server is not running.');
    return this.#server;
  }

  /** Starts the server; the first time on the port that was asked for, afterwards on the same one. */
  async start(): Promise<RunningServer> {
    const port = this.#server === undefined ? this.#port : Number(new URL(this.#server.url).port);
    this.#server = await startServer({ ...this.#process, dataDirectory: this.dataDirectory, port });
    return this.#server;
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  async backup(name: string): Promise<string> {
    const folder = join(this.runFolder, 'backups', name);
    await mkdir(join(this.runFolder, 'backups'), { recursive: true, mode: 0o700 });
    await runServerCommand(['backup', '--data', this.dataDirectory, '--to', folder], this.#process);
    return folder;
  }

  async restore(folder: string): Promise<void> {
    await runServerCommand(['restore', '--data', this.dataDirectory, '--from', folder], this.#process);
  }
}
