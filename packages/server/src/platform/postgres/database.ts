import { Kysely, sql } from 'kysely';
import pg from 'pg';
import type { Client, Pool } from 'pg';
import type { Database } from '../database.ts';
import { DatabaseError } from '../database-error.ts';
import { StartupError } from '../errors.ts';
import { migrations, neededStep } from '../migrations.ts';
import type { StoreName } from '../migrations.ts';
import { PooledDialect, StatementNames } from './dialect.ts';
import { step } from '../tracing/steps.ts';
import { failureOf } from './failure.ts';
import { describeLocation } from './location.ts';
import type { PostgresLocation } from './location.ts';
import { clientSettings, refusedSession, settleSession } from './session.ts';
import type { History } from './session.ts';

/** The oldest that is tested, and the first in which not everybody may make tables in the schema `public`. */
const oldestVersion = 15;
/** Connections of one node to each of its databases, at most. Appends to one ledger wait for each other anyway. */
const maxConnections: Record<StoreName, number> = { main: 20, shred: 4 };
/** Settings are looked at when a connection is made: no connection is older than this, s. */
const maxConnectionAge_s = 30 * 60;
/** Key of the advisory lock that nodes take before they bring the tables up to date: the bytes "TKP1". */
const migrationLock = 0x544b5031;
/** An answer that tells a database that is in use apart from an unused one comes at once; a migration may take its time. */
const noLimit = { statement_timeout: 0, query_timeout: 0, lock_timeout: 0 };

/**
 * Marks a database as ours: which store it is, at which step, which step a program has to know to work with it, and which installation it
 * belongs to.
 */
const marker = `
  create table trialkeep_store (
    singleton bigint primary key check (singleton = 1),
    store text collate "C" not null,
    installation text collate "C" not null,
    version bigint not null,
    needs bigint
  )`;
interface MarkerRow {
  readonly store: string;
  readonly installation: string;
  readonly version: number;
  /** Not there where a program has made the database that knew of no such thing: then it takes one that knows its version. */
  readonly needs?: number | null;
}

/**
 * Makes the tables in an empty database.
 *
 * @throws StartupError `database.not_empty`, and what keeps a server from being used
 */
export async function createPostgres(
  location: PostgresLocation,
  store: StoreName,
  installation: string,
): Promise<void> {
  await prepare(location, async (client) => {
    if ((await tablesOf(client)) > 0)
      throw new StartupError('database.not_empty', describeLocation(location));
    await client.query(marker);
    const steps = migrations(store, 'postgres');
    for (const step of steps) await client.query(step.sql);
    const version = steps.at(-1)?.version ?? 0;
    const values = [store, installation, version, neededStep(steps)];
    await client.query('insert into trialkeep_store values (1, $1, $2, $3, $4)', values);
  });
}

/** Opens a database of ours; `onDown` is told when the server goes on with another history than the one that was opened. */
export async function openPostgres<T>(
  location: PostgresLocation,
  store: StoreName,
  onDown: (error: DatabaseError) => void,
): Promise<Database<T>> {
  const newest = migrations(store, 'postgres').at(-1)?.version ?? 0;
  const history = await prepare(location, (client) => bringUpToDate(client, location, store));
  const pool = makePool(location, maxConnections[store], history, onDown);
  const names = new StatementNames();
  const [reader, writer, single] = (['read', 'write', 'single'] as const).map(
    (mode) => new Kysely<T>({ dialect: new PooledDialect(pool, names, mode) }),
  ) as [Kysely<T>, Kysely<T>, Kysely<T>];
  return {
    dialect: 'postgres',
    read: (work) => step('database.read', () => reader.transaction().execute(work)),
    write: (work) => step('database.write', () => writer.transaction().execute(work)),
    assertKnown: async () => {
      const { rows } = await reader.transaction().execute((snapshot) => neededNow.execute(snapshot));
      if ((rows[0]?.needs ?? 0) <= newest) return;
      onDown(refusedSession(['a newer program has changed it so that this one cannot go on']));
    },
    single: (work) => step('database.single', () => single.transaction().execute(work)),
    close: async () => pool.end(),
  };
}

/**
 * Makes sure that two databases are the two stores of one installation.
 *
 * @throws StartupError `database.other_installation` where the two do not belong together, or are one
 */
export async function assertPair(main: PostgresLocation, shred: PostgresLocation): Promise<void> {
  const installationOf = (location: PostgresLocation, store: StoreName): Promise<string> =>
    withClient(location, async (client) => (await readMarker(client, location, store)).installation);
  if ((await installationOf(main, 'main')) === (await installationOf(shred, 'shred'))) return;
  throw new StartupError(
    'database.other_installation',
    `${describeLocation(main)}, ${describeLocation(shred)}`,
  );
}

function makePool(
  location: PostgresLocation,
  max: number,
  history: History,
  onDown: (error: DatabaseError) => void,
): Pool {
  const onConnect = async (client: pg.ClientBase): Promise<void> => {
    const found = await settleSession(client);
    if (found.refusals.length > 0) throw refusedSession(found.refusals);
    if (found.history === history) return;
    const error = refusedSession(['it was promoted or restored since this node started']);
    onDown(error);
    throw error;
  };
  const settings = { ...clientSettings(location), max, maxLifetimeSeconds: maxConnectionAge_s, onConnect };
  const pool = new pg.Pool(settings);
  // A connection that breaks while nobody uses it leaves the pool; whoever needs one next makes one, or learns why not.
  pool.on('error', () => undefined);
  return pool;
}

/** Runs `work` in a transaction of its own, alone among all nodes, on a server that may be used; returns its history. */
async function prepare(
  location: PostgresLocation,
  work: (client: Client) => Promise<void>,
): Promise<History> {
  return withClient(location, async (client) => {
    await assertServer(client, location);
    const { refusals, history } = await settleSession(client);
    if (refusals.length > 0) {
      throw new StartupError('database.settings', `${describeLocation(location)}: ${refusals.join('; ')}.`);
    }
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock($1)', [migrationLock]);
    await work(client);
    await client.query('commit');
    return history;
  });
}

async function withClient<R>(location: PostgresLocation, work: (client: Client) => Promise<R>): Promise<R> {
  try {
    const client = new pg.Client({ ...clientSettings(location), ...noLimit });
    // A connection that breaks is the error of the statement that needs it.
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await work(client);
    } finally {
      await client.end();
    }
  } catch (error) {
    throw postgresStartupError(error, location);
  }
}

async function assertServer(client: Client, location: PostgresLocation): Promise<void> {
  const { rows } = await client.query<{ version: string; encoding: string }>(
    `select current_setting('server_version_num') as version, current_setting('server_encoding') as encoding`,
  );
  const { version, encoding } = rows[0] ?? { version: '0', encoding: '' };
  const refusals: string[] = [];
  if (Number(version) < oldestVersion * 10_000) refusals.push(`its version is below ${oldestVersion}`);
  if (encoding !== 'UTF8') refusals.push(`the encoding of the database is ${encoding}, and not UTF8`);
  if (refusals.length === 0) return;
  throw new StartupError('database.settings', `${describeLocation(location)}: ${refusals.join('; ')}.`);
}

/** How many tables, views and sequences of anybody a database holds. */
async function tablesOf(client: Client): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `select count(*) as count from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where nspname <> 'information_schema' and nspname not like 'pg\\_%'`,
  );
  return rows[0]?.count ?? 0;
}

async function readMarker(client: Client, location: PostgresLocation, store: StoreName): Promise<MarkerRow> {
  const where = describeLocation(location);
  const { rows: found } = await client.query<{ there: number }>(
    `select to_regclass('public.trialkeep_store') is not null as there`,
  );
  if (found[0]?.there !== 1) {
    throw new StartupError((await tablesOf(client)) === 0 ? 'database.empty' : 'database.foreign', where);
  }
  const { rows } = await client.query<MarkerRow>('select * from public.trialkeep_store');
  const [row] = rows;
  if (row === undefined) throw new StartupError('database.damaged', where);
  if (row.store !== store) {
    throw new StartupError('database.other_installation', `${where} holds the ${row.store} store.`);
  }
  return row;
}

async function bringUpToDate(client: Client, location: PostgresLocation, store: StoreName): Promise<void> {
  const { version: present, needs } = await readMarker(client, location, store);
  const steps = migrations(store, 'postgres');
  const newest = steps.at(-1)?.version ?? 0;
  if ((needs ?? present) > newest) throw new StartupError('database.newer', describeLocation(location));
  if (present >= newest) return;
  for (const step of steps.filter(({ version }) => version > present)) await client.query(step.sql);
  await client.query('alter table trialkeep_store add column if not exists needs bigint');
  await client.query('update trialkeep_store set version = $1, needs = $2', [newest, neededStep(steps)]);
}

/** What the marker says to a program that has the database open: null where it is from before anybody said it. */
const neededNow = sql<{ readonly needs: number | null }>`select needs from public.trialkeep_store`;

/** What a failing connection or statement means to somebody who starts the server. */
export function postgresStartupError(error: unknown, location: PostgresLocation): StartupError {
  if (error instanceof StartupError) return error;
  const failure = failureOf(error);
  const detail = `${describeLocation(location)}: ${failure.message}`;
  const { code, kind } = failure;
  if (code === '3D000') return new StartupError('database.empty', detail, failure);
  if (/^(28|42501)/.test(String(code))) return new StartupError('database.login_refused', detail, failure);
  if (kind === 'damaged') return new StartupError('database.damaged', detail, failure);
  if (kind === 'unavailable') return new StartupError('database.unreachable', detail, failure);
  return new StartupError('database.failed', detail, failure);
}
