/** An installation in this process: what a server opens, without its HTTP. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wire } from '../../packages/server/src/wire.ts';
import type { Rooms } from '../../packages/server/src/wire.ts';
import type { TransparencyLog } from '../../packages/server/src/audit/index.ts';
import { createInstance, openInstance } from '../../packages/server/src/instance/index.ts';
import type { OpenInstance } from '../../packages/server/src/instance/index.ts';
import { systemClock } from '../../packages/server/src/platform/clock.ts';
import type { DatabaseLocations } from '../../packages/server/src/platform/database.ts';
import { parsePostgresUrl } from '../../packages/server/src/platform/postgres/location.ts';
import { postgresCluster, postgresMissing } from '../../tools/postgres-cluster.ts';
import { undoAtEnd } from './processes.ts';

export const databaseNames = ['sqlite', 'postgres'] as const;
export type DatabaseName = (typeof databaseNames)[number];

export interface Installation {
  readonly database: DatabaseName;
  /** The data directory. */
  readonly data: string;
  readonly instance: OpenInstance;
  readonly rooms: Rooms;
  /** The log of its one tenant. */
  readonly log: TransparencyLog;
  /** The secret of a credential that may read the tenant's ledger. */
  readonly auditor: string;
  close(): Promise<void>;
}

/** Why a database cannot be measured here; false where it can. */
export const missing = (database: DatabaseName): string | false =>
  database === 'postgres' ? postgresMissing : false;

/** A folder below `parent`, removed when the process ends. */
export function makeFolder(parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, 'trialkeep-ledger-'));
  undoAtEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const notes = {
  info: (): void => undefined,
  warn: (details: object, message: string): void => console.error(message, details),
  error: (details: object, message: string): void => console.error(message, details),
};

/** A new installation with one tenant. */
export async function openInstallation(database: DatabaseName, parent?: string): Promise<Installation> {
  const data = join(makeFolder(parent), 'data');
  const databases = database === 'postgres' ? await newDatabases() : undefined;
  const { administrator } = await createInstance(data, 'evaluation', 'eu-central-1', databases);
  const opening = { clock: systemClock, notes, ...(databases !== undefined && { databases }) };
  const instance = await openInstance(data, opening);
  const rooms = wire(instance, { clock: systemClock, notes });
  const request = (secret: string, input: object) => ({
    authorization: `Bearer ${secret}`,
    input,
    source: '192.0.2.1',
    requestId: 'benchmark',
  });
  const { tenant, custodian } = await rooms.gate.admit({
    operation: 'tenants.create',
    ...request(administrator.secret, { name: 'Benchmark' }),
  });
  const auditor = await rooms.gate.admit({
    operation: 'credentials.issue',
    ...request(custodian.secret, { name: 'auditor', role: 'auditor' }),
  });
  const log = await instance.ledger.openOfTenant(tenant.id);
  if (log === undefined) throw new Error('The tenant has no log.');
  const close = async (): Promise<void> => {
    await rooms.jobs.stop();
    await instance.close();
  };
  return { database, data, instance, rooms, log, auditor: auditor.secret, close };
}

async function newDatabases(): Promise<DatabaseLocations> {
  const { main, shred } = (await postgresCluster()).newPair();
  const name = 'TRIALKEEP_DATABASE';
  return { main: parsePostgresUrl(main, name), shred: parsePostgresUrl(shred, name) };
}
