import { readFileSync } from 'node:fs';
import type { ClientBase, PoolConfig } from 'pg';
import { DatabaseError } from '../database-error.ts';
import { connectionRefused } from './failure.ts';
import type { PostgresLocation } from './location.ts';
import { readPassword } from './password-file.ts';
import { typeParsers } from './types.ts';

/** A server that does not answer is given up; a fail-over takes longer, and requests try again. */
const connectTimeoutMs = 5000;
/** A node that was paused inside a transaction must not hold a tenant's head for longer. */
const idleInTransactionTimeoutMs = 5000;
/** Longer than a paused node can hold a lock, so that those who wait for it outlast it. */
const lockTimeoutMs = 10_000;
/** No statement of ours comes near it; migrations have none. */
const statementTimeoutMs = 30_000;
/** The server's own limit comes first, unless the server or the network has vanished. */
const answerTimeoutMs = 35_000;
/** SQLSTATE invalid_password. */
const passwordMissing = '28P01';
/** Notices a vanished server on connections that nobody uses. */
const keepAliveMs = 10_000;

/** How a connection is made, whatever PG… variables say: only PGPASSFILE counts. */
export function clientSettings(location: PostgresLocation): PoolConfig {
  const { tls } = location;
  return {
    user: location.user,
    host: location.host,
    port: location.port,
    database: location.database,
    password: passwordFor(location),
    application_name: location.applicationName,
    ssl: tls === undefined ? false : readTlsFiles(tls),
    types: typeParsers,
    connectionTimeoutMillis: connectTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
    lock_timeout: lockTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: answerTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveMs,
  };
}

/** Called when the server asks for a password; without one the driver refuses. */
function passwordFor(location: PostgresLocation): () => Promise<string> {
  return async () => {
    const password = readPassword(location, process.env);
    if (password === undefined) {
      throw new DatabaseError(
        'The server asks for a password, and no password file has one.',
        passwordMissing,
      );
    }
    return password;
  };
}

function readTlsFiles({ ca, certificate, key }: NonNullable<PostgresLocation['tls']>) {
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2' as const,
    ...(ca !== undefined && { ca: readFileSync(ca) }),
    ...(certificate !== undefined && { cert: readFileSync(certificate) }),
    ...(key !== undefined && { key: readFileSync(key) }),
  };
}

/** Which history a server continues: another system, or another timeline after a promotion or a restore. */
export type History = string;

interface SessionRow {
  readonly fsync: string;
  readonly full_page_writes: string;
  readonly synchronous_commit: string;
  readonly standby: number;
  readonly history: string;
}

/**
 * The session's settings that a role or a database may have changed. Warnings must reach the client, for one on COMMIT
 * says that no standby has it; `synchronous_commit` stays what it was found to be, however the server is configured meanwhile.
 */
const settle = `
  select set_config('search_path', 'public', false), set_config('client_min_messages', 'warning', false),
    set_config('bytea_output', 'hex', false), set_config('default_transaction_isolation', 'read committed', false),
    set_config('default_transaction_read_only', 'off', false),
    set_config('synchronous_commit', current_setting('synchronous_commit'), false) as synchronous_commit,
    current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
    pg_is_in_recovery() as standby,
    (select system_identifier::text from pg_control_system()) || '/' ||
      case when pg_is_in_recovery() then '' else left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) end as history`;

/**
 * Settles a new connection's session, and makes sure that what this server confirms is kept.
 *
 * @returns what speaks against the server, in words, and the history that it continues
 */
export async function settleSession(client: ClientBase): Promise<{ refusals: string[]; history: History }> {
  const { rows } = await client.query<SessionRow>(settle);
  const row = rows[0] as SessionRow;
  const refusals: string[] = [];
  if (row.fsync !== 'on') refusals.push('fsync is off');
  if (row.full_page_writes !== 'on') refusals.push('full_page_writes is off');
  if (['off', 'local'].includes(row.synchronous_commit)) {
    refusals.push(`synchronous_commit is ${row.synchronous_commit}`);
  }
  if (row.standby !== 0) refusals.push('it is a standby, which takes no changes');
  return { refusals, history: row.history };
}

/** For a connection that is made while the server runs. */
export function refusedSession(refusals: readonly string[]): DatabaseError {
  return new DatabaseError(`The database server cannot be used: ${refusals.join('; ')}.`, connectionRefused);
}
