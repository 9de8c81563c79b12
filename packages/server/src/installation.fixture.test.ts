/** What tests share that hold for either store: an installation on each, with as many nodes as the store bears. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Input, OperationId, Operations } from '@trialkeep/contract';
import { setTimeout } from 'node:timers/promises';
import { postgresCluster, postgresMissing } from '../../../tools/postgres-cluster.ts';
import { wire } from './wire.ts';
import type { Rooms } from './wire.ts';
import { createInstance, openInstance } from './instance/index.ts';
import type { OpenInstance } from './instance/index.ts';
import { systemClock } from './platform/clock.ts';
import type { Clock } from './platform/clock.ts';
import { dataDirectory, databaseLocations } from './platform/config.ts';

export interface Store {
  readonly name: 'SQLite' | 'PostgreSQL';
  /** Why it is not tested here. */
  readonly skip: string | false;
}

export const stores: readonly Store[] = [
  { name: 'SQLite', skip: false },
  { name: 'PostgreSQL', skip: postgresMissing },
];

export interface Installation {
  /** The data directory of its first node. */
  readonly data: string;
  /** What its processes find in their environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The first administrator's credential. */
  readonly administrator: string;
}

/** A new installation; removed after the test. */
export async function makeInstallation(t: TestContext, { name }: Store): Promise<Installation> {
  const data = join(makeFolder(t), 'data');
  const pair = name === 'PostgreSQL' ? (await postgresCluster()).newPair() : undefined;
  const env: Record<string, string> =
    pair === undefined ? {} : { TRIALKEEP_DATABASE: pair.main, TRIALKEEP_SHRED_DATABASE: pair.shred };
  const locations = pair && databaseLocations(dataDirectory(data), env);
  const made = await createInstance(data, 'evaluation', 'eu-central-1', locations);
  return { data, env, administrator: made.administrator.secret };
}

/** A node: an opened instance and what is wired to it. */
export interface Node {
  readonly instance: OpenInstance;
  readonly rooms: Rooms;
  /** What it said in its own log; but for that it has no folder of epoch keys to share. */
  readonly notes: string[];
  /** Stops its jobs, and closes it unless another node still uses it; also done after the test. */
  close(): Promise<void>;
}

/** Opens the installation; it is closed, with its jobs stopped, after the test. */
export async function openNode(
  t: TestContext,
  { data, env }: Pick<Installation, 'data' | 'env'>,
  clock: Clock = systemClock,
): Promise<Node> {
  const notes: string[] = [];
  const warn = (details: object, message: string): void => {
    // Tests share their process's environment, and so they have no folder of epoch keys to share.
    if (message.startsWith('TRIALKEEP_EPOCH_FOLDER')) return;
    notes.push(`${message} ${JSON.stringify(details)}`);
  };
  const databases = databaseLocations(dataDirectory(data), env);
  const instance = await openInstance(data, { clock, notes: { warn }, databases });
  return wireNode(t, { instance, clock, notes, close: () => instance.close() });
}

function wireNode(
  t: TestContext,
  parts: { instance: OpenInstance; clock: Clock; notes: string[]; close: () => Promise<void> },
): Node {
  const { instance, clock, notes } = parts;
  const note = (details: object, message: string): void =>
    void notes.push(`${message} ${JSON.stringify(details)}`);
  const rooms = wire(instance, { clock, notes: { info: () => undefined, warn: note, error: note } });
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= rooms.jobs.stop().then(parts.close));
  t.after(close);
  return { instance, rooms, notes, close };
}

/** A second node beside the first: of one process where the store bears no other, else with a data directory of its own. */
export async function openSecond(
  t: TestContext,
  installation: Installation,
  first: Node,
  clock: Clock = systemClock,
): Promise<Node> {
  if (first.instance.database.dialect === 'sqlite') {
    return wireNode(t, { instance: first.instance, clock, notes: [], close: async () => undefined });
  }
  const data = join(makeFolder(t), 'data');
  mkdirSync(data, { mode: 0o700 });
  for (const part of ['trialkeep.json', 'root', 'anchor']) {
    cpSync(join(installation.data, part), join(data, part), { recursive: true });
  }
  return openNode(t, { data, env: installation.env }, clock);
}

/** A tenant with a system, and the credential of its custodian. */
export async function makeTenant({ rooms }: Node, administrator: string) {
  const request = (authorization: string, input: object) => ({
    authorization: `Bearer ${authorization}`,
    input,
    source: '192.0.2.1',
    requestId: 'request',
  });
  const { tenant, custodian } = await rooms.gate.admit({
    operation: 'tenants.create',
    ...request(administrator, { name: 'tenant' }),
  });
  const system = await rooms.gate.admit({
    operation: 'systems.create',
    ...request(custodian.secret, { name: 'edc', type: 'edc', vendor: 'vendor' }),
  });
  const createKey = async (input: object = {}): Promise<string> => {
    const asked = request(custodian.secret, { system: system.id, ...input });
    return (await rooms.gate.admit({ operation: 'keys.create', ...asked })).id;
  };
  const change = async (operation: 'keys.suspend' | 'keys.resume' | 'keys.rotate', key: string) => {
    const input = operation === 'keys.rotate' ? { key } : { key, reason: 'test' };
    await rooms.gate.admit({ operation, ...request(custodian.secret, input) });
  };
  const admit = async <Id extends OperationId>(operation: Id, input: Input<Operations[Id]>) =>
    rooms.gate.admit({ operation, ...request(custodian.secret, input) });
  return { tenant: tenant.id, system: system.id, createKey, change, admit };
}

/** An entry as the ledger holds it. */
export type Entry = Record<string, string | number | undefined>;

/** Every entry of a tenant's log, in order. */
export async function entriesOf({ database, ledger }: OpenInstance, tenant: string): Promise<Entry[]> {
  const log = await ledger.openOfTenant(tenant);
  assert.ok(log);
  const rows = await database.read((tx) =>
    tx.selectFrom('ledger_entry').select('bytes').where('log', '=', log.id).orderBy('position').execute(),
  );
  return rows.map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString('utf8')) as Entry);
}

/** Waits for what a test expects, however long it takes. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await setTimeout(20);
}

export function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-node-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
