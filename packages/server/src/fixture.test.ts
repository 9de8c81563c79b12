/** What the tests of the whole server share: the one way in, over a real installation, with a clock that the test sets. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import type { Input, OperationId, Operations, Output } from '@trialkeep/contract';
import { Passwords } from './access/index.ts';
import { wire } from './wire.ts';
import type { Rooms } from './wire.ts';
import { createInstance, openInstance } from './instance/index.ts';
import type { OpenInstance } from './instance/index.ts';
import { OperationError } from './platform/errors.ts';
import type { Implementations } from './platform/implementation.ts';

/** An entry as the ledger holds it. */
export type Entry = Record<string, string | number | undefined>;

export interface TestServer {
  readonly instance: OpenInstance;
  /** ms; set it to let time pass. */
  readonly clock: { time: number; now(): number };
  readonly implementations: Implementations;
  readonly rooms: Rooms;
  /** The first administrator's credential. */
  readonly administrator: string;
  /** What the server said in its own log. */
  readonly notes: string[];
  /** One request through the gate, by the holder of the credential. */
  admit<Id extends OperationId>(
    operation: Id,
    credential: string,
    input: Input<Operations[Id]>,
  ): Promise<Output<Operations[Id]>>;
  /** Every entry of a tenant's log, in order. */
  entries(tenant: string): Promise<Entry[]>;
  /** Does by itself what is due now. */
  runJobs(): Promise<void>;
}

/** Puts other behaviour in an operation's place. */
export type Hook = (bound: Implementations) => Implementations;

/** A new installation, opened; closed and removed after the test. */
export async function makeServer(t: TestContext, hook?: Hook): Promise<TestServer> {
  const { server, close } = await openServer(hook);
  t.after(close);
  return server;
}

/** One installation for all tests of a file, each with a tenant of its own; opened when it is first asked for. */
export function shareServer(hook?: Hook): () => Promise<TestServer> {
  let opened: ReturnType<typeof openServer> | undefined;
  after(async () => (await opened)?.close());
  return async () => {
    opened ??= openServer(hook);
    return (await opened).server;
  };
}

async function openServer(
  hook: Hook = (bound) => bound,
): Promise<{ server: TestServer; close: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-server-'));
  const data = join(folder, 'data');
  const made = await createInstance(data, 'evaluation', 'eu-central-1');
  const clock = { time: Date.now() + 60_000, now: () => clock.time };
  const notes: string[] = [];
  const note = (details: object, message: string): void =>
    void notes.push(`${message} ${JSON.stringify(details)}`);
  const instance = await openInstance(data, { clock, notes: { warn: note } });
  const notesOf = { info: () => undefined, warn: note, error: note };
  // As cheap as the registry allows: tests check passwords by the dozen.
  const passwords = new Passwords({ cost: { m: 19_456, t: 2 } });
  const rooms = wire(instance, { clock, notes: notesOf, hook, passwords });
  const { gate, implementations } = rooms;
  const server: TestServer = {
    instance,
    clock,
    implementations,
    rooms,
    administrator: made.administrator.secret,
    notes,
    admit: (operation, credential, input) =>
      gate.admit({
        operation,
        authorization: `Bearer ${credential}`,
        input,
        source: '192.0.2.1',
        requestId: 'request',
      }),
    entries: (tenant) => readEntries(instance, tenant),
    runJobs: async () => {
      await rooms.jobs.start(rooms.handlers);
      while ((await dueJobs(instance, clock.now())) > 0) await setTimeout(5);
      await rooms.jobs.stop();
    },
  };
  const close = async (): Promise<void> => {
    await instance.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { server, close };
}

async function dueJobs({ database }: OpenInstance, now: number): Promise<number> {
  const rows = await database.read((snapshot) =>
    snapshot.selectFrom('job').select('name').where('due_at', '<=', now).execute(),
  );
  return rows.length;
}

async function readEntries({ database, ledger }: OpenInstance, tenant: string): Promise<Entry[]> {
  const log = ledger.logOfTenant(tenant);
  assert.ok(log);
  const rows = await database.read((snapshot) =>
    snapshot
      .selectFrom('ledger_entry')
      .select('bytes')
      .where('log', '=', log.id)
      .orderBy('position')
      .execute(),
  );
  return rows.map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString('utf8')) as Entry);
}

/** A tenant with a system, a key and a service that may use it. */
export async function makeTenant(server: TestServer) {
  const name = `tenant ${randomUUID()}`;
  const { tenant, custodian } = await server.admit('tenants.create', server.administrator, { name });
  const credential = custodian.secret;
  const { id: system } = await server.admit('systems.create', credential, {
    name: 'edc',
    type: 'edc',
    vendor: 'vendor',
  });
  const { id: key } = await server.admit('keys.create', credential, { system });
  const service = await makeService(server, credential, system, [key]);
  return { tenant: tenant.id, custodian: credential, system, key, service };
}

/** A credential of a service that names these keys. */
export async function makeService(
  server: TestServer,
  custodian: string,
  system: string,
  keys: readonly string[],
): Promise<string> {
  const issued = await server.admit('credentials.issue', custodian, {
    name: 'service',
    role: 'service',
    system,
    keys: [...keys],
  });
  return issued.secret;
}

/** For `assert.rejects`. */
export function refusal(code: string): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof OperationError)) throw error;
    assert.equal(error.code, code);
    return true;
  };
}
