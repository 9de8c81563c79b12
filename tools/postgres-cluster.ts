/**
 * A throw-away PostgreSQL server for the tests of one process: made from the binaries that are found when it is first asked for,
 * stopped and removed when the process ends, however it ends. It is reached through a socket in a folder of its own, and keeps
 * PostgreSQL's own settings for durability, without which Trialkeep refuses a server.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, chownSync, existsSync, globSync, mkdtempSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/** How long the server may take to start, ms. */
const startLimitMs = 60_000;
const superuser = 'postgres';

/** Two empty databases, as an installation needs them. */
export interface DatabasePair {
  readonly main: string;
  readonly shred: string;
}

export interface PostgresCluster {
  /** The folder of its socket, which PostgreSQL's tools take as -h. */
  readonly host: string;
  readonly dataFolder: string;
  /** The folder of PostgreSQL's own programs. */
  readonly binaries: string;
  /** A location for TRIALKEEP_DATABASE. */
  url(database: string): string;
  /** A new, empty database with a name of its own. */
  newDatabase(options?: string): string;
  /** Locations of two of them. */
  newPair(): DatabasePair;
  /** Runs SQL as superuser; answers what psql prints without headers, columns separated by |. */
  run(sql: string, database?: string): string;
  /** Changes the server's configuration and has it read, with its access rules; '' takes a setting back. */
  configure(settings: Readonly<Record<string, string>>): Promise<void>;
  /** Ends all sessions at once and starts again, as after a crash. */
  restart(): Promise<void>;
  /** Ends the server, and sessions with it, without shutting down. */
  kill(): void;
  /** Makes a standby a server that takes changes. */
  promote(): void;
}

/** Debian keeps the programs of each version in a folder of its own that is not on PATH. */
function findBinaries(): string | undefined {
  const onPath = (process.env['PATH'] ?? '').split(delimiter);
  const version = (folder: string): number => Number(/postgresql\/(\d+)/.exec(folder)?.[1] ?? 0);
  const debian = globSync('/usr/lib/postgresql/*/bin').sort((one, other) => version(other) - version(one));
  return [...onPath, ...debian].find((folder) =>
    ['postgres', 'initdb', 'psql'].every((name) => folder !== '' && existsSync(join(folder, name))),
  );
}

const binaries = findBinaries();

/** Why tests on PostgreSQL cannot run here, for `skip`; false where they can. */
export const postgresMissing: string | false =
  binaries === undefined ? 'PostgreSQL is not installed: run tools/test-services.sh.' : false;

/** PostgreSQL refuses to run as root: another account of the machine runs it then. */
function account(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  const find = (name: string) => lines.find((line) => line.startsWith(`${name}:`))?.split(':');
  const entry = find('postgres') ?? find('nobody');
  if (entry === undefined)
    throw new Error('There is neither an account postgres nor nobody to run PostgreSQL as.');
  return { uid: Number(entry[2]), gid: Number(entry[3]) };
}

let started: Promise<PostgresCluster> | undefined;

/** The cluster of this process. */
export function postgresCluster(): Promise<PostgresCluster> {
  started ??= start(initialise);
  return started;
}

/** A cluster for tests that kill it or change its settings, which would disturb the others. */
export async function ownPostgresCluster(): Promise<PostgresCluster> {
  return start(initialise);
}

/** A standby of a cluster, which follows it; `promote` makes it a server of its own. */
export async function postgresStandby(primary: PostgresCluster): Promise<PostgresCluster> {
  return start((data, run) =>
    run('pg_basebackup', ['-h', primary.host, '-U', superuser, '-D', data, '-R', '-c', 'fast', '--no-sync']),
  );
}

type RunProgram = (name: string, parameters: readonly string[]) => void;

function initialise(data: string, run: RunProgram): void {
  const access = ['--username', superuser, '--auth', 'trust'];
  run('initdb', ['--pgdata', data, ...access, '--encoding', 'UTF8', '--locale', 'C.UTF-8', '--no-sync']);
}

/** @param fill makes the data folder */
async function start(fill: (data: string, run: RunProgram) => void): Promise<PostgresCluster> {
  if (binaries === undefined) throw new Error(postgresMissing || '');
  // Short, for a socket's path has some hundred bytes.
  const folder = mkdtempSync(join(tmpdir(), 'tk-pg-'));
  const owner = account();
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
  const data = join(folder, 'data');
  removeAtEnd(folder);
  let server: ChildProcess | undefined;
  fill(data, (name, parameters) =>
    execFileSync(join(binaries, name), parameters, {
      ...owner,
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    }),
  );
  const settings = [
    "listen_addresses = ''",
    `unix_socket_directories = '${folder}'`,
    'shared_buffers = 16MB',
    // After a crash one call, instead of one for each of the thousands of files of the databases.
    'recovery_init_sync_method = syncfs',
    'max_connections = 200',
  ];
  appendFileSync(join(data, 'postgresql.conf'), `${settings.join('\n')}\n`);
  const psql = (database: string, sql: string) =>
    spawnSync(join(binaries, 'psql'), psqlArguments(folder, database), {
      input: sql,
      encoding: 'utf8',
      cwd: folder,
    });
  const launch = async (): Promise<void> => {
    const limit = Date.now() + startLimitMs;
    while (psql('postgres', 'select 1').status !== 0) {
      if (Date.now() > limit) throw new Error(`PostgreSQL does not start in ${data}.`);
      // After a crash it starts only once the last process of the old one has gone.
      if (server === undefined || hasEnded(server)) {
        server = spawn(join(binaries, 'postgres'), ['-D', data], {
          ...owner,
          cwd: folder,
          stdio: 'ignore',
          detached: true,
        });
        server.unref();
      }
      await setTimeout(20);
    }
  };
  await launch();
  return makeCluster({ folder, data, binaries, psql, launch, server: () => server });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function psqlArguments(folder: string, database: string): string[] {
  return ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', folder, '-U', superuser, '-d', database];
}

function makeCluster(parts: {
  folder: string;
  data: string;
  binaries: string;
  psql: (database: string, sql: string) => { status: number | null; stdout: string; stderr: string };
  launch: () => Promise<void>;
  server: () => ChildProcess | undefined;
}): PostgresCluster {
  const { folder } = parts;
  const run = (sql: string, database = 'postgres'): string => {
    const { status, stdout, stderr } = parts.psql(database, sql);
    if (status !== 0) throw new Error(`psql: ${stderr}`);
    return stdout.trim();
  };
  const url = (database: string): string =>
    `postgresql://${superuser}@/${database}?host=${encodeURIComponent(folder)}`;
  const newDatabase = (options = ''): string => {
    const name = `test_${randomBytes(6).toString('hex')}`;
    run(`create database ${name} ${options}`);
    return name;
  };
  const kill = (): void => void parts.server()?.kill('SIGKILL');
  return {
    host: folder,
    dataFolder: parts.data,
    binaries: parts.binaries,
    url,
    newDatabase,
    newPair: () => ({ main: url(newDatabase()), shred: url(newDatabase()) }),
    run,
    configure: async (settings) => {
      const loaded = (): string => run('select pg_conf_load_time()');
      const before = loaded();
      for (const [name, value] of Object.entries(settings)) {
        run(value === '' ? `alter system reset ${name}` : `alter system set ${name} = '${value}'`);
      }
      run('select pg_reload_conf()');
      while (loaded() === before) await setTimeout(10);
    },
    restart: async () => {
      const old = parts.server();
      if (old !== undefined && !hasEnded(old)) {
        // Otherwise nothing might keep this process going meanwhile.
        old.ref();
        const ended = once(old, 'exit');
        old.kill('SIGQUIT');
        await ended;
      }
      await parts.launch();
    },
    kill,
    promote: () => void run('select pg_promote()'),
  };
}

/**
 * Stops the server and removes its folder once this process has ended. The end of the pipe says so, even after SIGKILL; in a
 * process group of its own, so that Ctrl-C does not end the shell before its work is done.
 */
function removeAtEnd(folder: string): void {
  // A server that was killed has left its process id behind, which may be another's by now.
  const script = `
    cat >/dev/null
    read -r server <"$1/data/postmaster.pid"
    runs() { ps -o args= -p "$server" | grep -qF -- "$1/data"; }
    if runs "$1"; then kill -QUIT "$server"; fi
    while runs "$1"; do sleep 0.05; done
    rm -rf -- "$1"`;
  const shell = spawn('/bin/sh', ['-c', script, 'sh', folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  // The pipe's handle, too, must not keep this process going.
  (shell.stdin as Socket).unref();
}
