import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import { postgresCluster } from '../tools/postgres-cluster.ts';
import type { PostgresCluster } from '../tools/postgres-cluster.ts';
import { makeFolder, newInstallation, ServerProcess } from './harness.ts';
import type { Installation } from './harness.ts';

type Environment = Readonly<Record<string, string>>;

/** One server of an installation: killed, paused and started again on what it left. */
export class ServerNode {
  readonly data: string;
  readonly #env: Environment;
  #server: ServerProcess | undefined;

  constructor(data: string, env: Environment) {
    this.data = data;
    this.#env = env;
  }

  /** The process that runs. */
  get server(): ServerProcess {
    if (this.#server === undefined) throw new Error(`The server of ${this.data} does not run.`);
    return this.#server;
  }

  /** What its processes find in their environment, for commands on its data directory. */
  get environment(): Environment {
    return this.#env;
  }

  /** Where it listens; another port after each start. */
  get url(): string {
    return this.server.url;
  }

  get isUp(): boolean {
    return this.#server !== undefined;
  }

  /** Starts it, by another program where one is named; it has to come up by itself, and not in recovery. */
  async start(more: Environment = {}, main?: string): Promise<void> {
    const options = { env: { ...this.#env, ...more }, ...(main !== undefined && { main }) };
    const server = await ServerProcess.start(this.data, options);
    this.#server = server;
    if (server.state !== 'ready')
      throw new Error(`The server is in ${server.state}: ${String(server.output)}`);
  }

  /** Waits for a server that ends by itself, or was told to; gives the exit status. */
  async ended(): Promise<number> {
    const { server } = this;
    const status = await server.ended();
    this.#server = undefined;
    return status;
  }

  async kill(): Promise<void> {
    const { server } = this;
    this.#server = undefined;
    await server.kill();
  }

  async stop(): Promise<number> {
    const { server } = this;
    this.#server = undefined;
    return server.stop();
  }
}

/** An installation and all of its servers. */
export interface Site extends Installation {
  /** At least one. */
  readonly nodes: readonly ServerNode[];
  /** Starts those that do not run. */
  startAll(): Promise<void>;
  /** Counts in the main database: `select count(*) as count …`. */
  count(sql: string): Promise<number>;
  /** Changes the main database behind the servers' back. */
  alter(sql: { readonly sqlite: string; readonly postgres: string }): Promise<void>;
  /** Starts every server anew, so much later by every clock that counts. */
  advance(days: number): Promise<void>;
}

const dayMs = 86_400_000;

/** What makes a process's clock go ahead. */
function clockAhead(days: number): Environment {
  const script = `Date.now=(now=>()=>now()+${days * dayMs})(Date.now)`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${script}` };
}

/** What makes one database's clock go ahead. */
function databaseClockAhead(days: number): string {
  return `set allow_system_table_mods = on;
    create or replace function pg_catalog.clock_timestamp() returns timestamptz language sql volatile
      as $$ select statement_timestamp() + interval '${days} days' $$`;
}

async function startAll(nodes: readonly ServerNode[], more: Environment = {}): Promise<void> {
  await Promise.all(nodes.filter(({ isUp }) => !isUp).map((node) => node.start(more)));
}

/** One server on SQLite. */
export async function sqliteSite(): Promise<Site> {
  const installation = await newInstallation();
  const node = new ServerNode(installation.data, {});
  await node.start();
  /** The file is for one process at a time. */
  const alone = async <T>(work: (database: DatabaseSync) => T): Promise<T> => {
    await node.stop();
    const database = new DatabaseSync(join(node.data, 'state', 'trialkeep.db'));
    try {
      return work(database);
    } finally {
      database.close();
      await node.start();
    }
  };
  return {
    ...installation,
    nodes: [node],
    startAll: () => startAll([node]),
    count: (sql) => alone((database) => Number(database.prepare(sql).get()?.['count'])),
    alter: ({ sqlite }) => alone((database) => database.exec(sqlite)),
    advance: async (days) => {
      await node.stop();
      await node.start(clockAhead(days));
    },
  };
}

/** An installation on the databases of the test's own server. */
export interface PostgresSite extends Site {
  readonly cluster: PostgresCluster;
  readonly nodes: readonly [ServerNode, ServerNode];
  /** Runs SQL in the main database as superuser; answers as `psql -At` does. */
  query(sql: string): string;
  /**
   * Has something begun that comes to a write, which sleeps there for three seconds inside its transaction; gives the node whose
   * transaction that is, while it sleeps. The next write of the kind does not.
   */
  catchAt(write: Write, begin: () => unknown): Promise<ServerNode>;
}

/** A write of a row: `when` is SQL about `new`. */
export interface Write {
  readonly event: 'insert' | 'update';
  readonly table: string;
  readonly when: string;
}

/** The row of `sleepers` is what lets it sleep, so that nothing has to be dropped under the locks of others. */
const sleepOnWrite = ({ event, table, when }: Write): string => `
  create table if not exists sleepers ();
  create or replace function sleep() returns trigger language plpgsql as
    $$ begin if exists (select from sleepers) then perform pg_sleep(3); end if; return new; end $$;
  drop trigger if exists sleep on ${table};
  create trigger sleep before ${event} on ${table} for each row when (${when}) execute function sleep();
  insert into sleepers default values;`;
const sleeper = `select application_name from pg_stat_activity where wait_event = 'PgSleep'`;

/** What is special about a site. */
export interface SiteOptions {
  /** Settings of both nodes. */
  readonly env?: Environment;
  /** The cluster of the process, unless the test disturbs it. */
  readonly cluster?: PostgresCluster;
  /** The folder of the socket under which a node knows the cluster. */
  hostOf?(name: string): string;
}

/** Two servers on one PostgreSQL, the second made as docs/how-to/run-on-postgresql.md says. */
export async function postgresSite(options: SiteOptions = {}): Promise<PostgresSite> {
  const cluster = options.cluster ?? (await postgresCluster());
  const { env, hostOf = () => cluster.host } = options;
  const urlOf = (name: string, database: string): string => {
    const [own, wanted] = [cluster.host, hostOf(name)].map(encodeURIComponent) as [string, string];
    return `${cluster.url(database).replace(own, wanted)}&application_name=${name}`;
  };
  const [main, shred] = [cluster.newDatabase(), cluster.newDatabase()];
  const envOf = (name: string): Environment => ({
    TRIALKEEP_DATABASE: urlOf(name, main),
    TRIALKEEP_SHRED_DATABASE: urlOf(name, shred),
    ...env,
  });
  const folder = makeFolder();
  const installation = await newInstallation(join(folder, 'node-1'), { env: envOf('node-1') });
  const copy = join(folder, 'node-2');
  mkdirSync(copy, { mode: 0o700 });
  for (const name of ['trialkeep.json', 'root', 'anchor']) {
    cpSync(join(installation.data, name), join(copy, name), { recursive: true });
  }
  const nodes = [
    new ServerNode(installation.data, envOf('node-1')),
    new ServerNode(copy, envOf('node-2')),
  ] as const;
  await startAll(nodes);
  const query = (sql: string): string => cluster.run(sql, main);
  return {
    ...installation,
    nodes,
    cluster,
    query,
    catchAt: async (write, begin) => {
      query(sleepOnWrite(write));
      await begin();
      await until(`${write.event} of ${write.table}`, () => query(sleeper) !== '');
      const name = query(sleeper);
      query('delete from sleepers');
      const node = nodes[name === 'node-1' ? 0 : 1];
      return node;
    },
    startAll: () => startAll(nodes),
    count: async (sql) => Number(query(sql)),
    alter: async ({ postgres }) => void query(postgres),
    advance: async (days) => {
      await Promise.all(nodes.map((node) => node.stop()));
      query(databaseClockAhead(days));
      await startAll(nodes, clockAhead(days));
    },
  };
}

/** Waits for what has to happen by itself; far longer than it needs. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const limit = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > limit) throw new Error(`It has not happened within a minute: ${what}.`);
    await pause(50);
  }
}
