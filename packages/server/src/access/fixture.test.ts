/** What the tests of people share: a database with three logs, and the way of the gate through the slice, without its ledger. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue } from 'node:sqlite';
import type { TestContext } from 'node:test';
import type { Input, OperationId, Operation, Operations, Output, Role } from '@trialkeep/contract';
import { operations } from '@trialkeep/contract';
import { generateCredential, generateKey } from '@trialkeep/crypto';
import { Hierarchy } from '../keys/index.ts';
import { createDatabase, openDatabase } from '../platform/database.ts';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { FactsCache } from '../platform/facts.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Context, Log, Recorded, Validity } from '../platform/implementation.ts';
import { ShredStore } from '../shred/index.ts';
import { Authenticator, createCredential, grants, peopleImplementations } from './index.ts';
import type { Authenticated } from './index.ts';
import type { PeopleOperation } from '../people.fixture.test.ts';
import { Passwords } from './passwords.ts';

/** As cheap as the registry allows. */
export const cheap = { cost: { m: 19_456, t: 2 } } as const;
/** What a request left behind, as the gate would record it. */
export interface Trace {
  record: Recorded;
  payload: Record<string, unknown>;
}

export interface Slice {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly authenticator: Authenticator;
  readonly clock: { time: number; now(): number };
  readonly logs: { readonly one: Log; readonly two: Log; readonly instance: Log };
  /** A custodian's credential in either tenant, and an administrator's. */
  readonly managers: { readonly one: string; readonly two: string; readonly instance: string };
  /** Of the newest request that came as far as acting. */
  readonly trace: Trace;
  /** Another process on the same database. */
  another(): Slice;
  admit<Id extends PeopleOperation>(
    operation: Id,
    secret: string,
    input: Input<Operations[Id]>,
  ): Promise<Output<Operations[Id]>>;
  /** Somebody who has the database file, but none of the keys. */
  behindTheServer(statement: string, ...values: SQLInputValue[]): void;
}

export async function makeSlice(t: TestContext): Promise<Slice> {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-access-'));
  const file = join(folder, 'main.db');
  createDatabase(file, 'main');
  createDatabase(join(folder, 'shred.db'), 'shred');
  const database = openDatabase(file, 'main');
  const shred = ShredStore.open(join(folder, 'shred.db'));
  t.after(async () => {
    await database.close();
    await shred.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const hierarchy = new Hierarchy({
    epochs: unusedEpochs,
    instanceKey: generateKey('AES_256'),
    database,
    shred,
  });
  const one = await insertLog(database, hierarchy, newId());
  const two = await insertLog(database, hierarchy, newId());
  const instance = await insertLog(database, hierarchy, null);
  const clock = { time: 1_800_000_000_000, now: () => clock.time };
  const logs = { one, two, instance };
  const managers = {
    one: await insertManager(database, hierarchy, one, 'custodian'),
    two: await insertManager(database, hierarchy, two, 'custodian'),
    instance: await insertManager(database, hierarchy, instance, 'instance-administrator'),
  };
  const behindTheServer = (statement: string, ...values: SQLInputValue[]): void => {
    const connection = new DatabaseSync(file, { timeout: 5000, enableForeignKeyConstraints: false });
    const { changes } = connection.prepare(statement).run(...values);
    if (statement.startsWith('update')) assert.notEqual(changes, 0, statement);
    connection.exec('update head set epoch = epoch + 1');
    connection.close();
  };
  return process({ database, hierarchy, clock, logs, managers, behindTheServer });
}

/** Opening real ones takes longer than most of these tests. */
const unused = () => assert.fail('Nothing here needs an epoch key.');
const unusedEpochs = { current: unused, open: unused, refresh: unused };

/** One process on the database. */
function process(parts: Omit<Slice, 'authenticator' | 'trace' | 'another' | 'admit'>): Slice {
  const { database, hierarchy, clock, logs } = parts;
  const facts = new FactsCache(database);
  const logOf = async (id: number): Promise<Log> => {
    const log = Object.values(logs).find((candidate) => candidate.id === id);
    assert.ok(log);
    return log;
  };
  const passwords = new Passwords(cheap);
  const authenticator = new Authenticator({ database, hierarchy, facts, logOf, clock, passwords });
  const implementations = peopleImplementations({ hierarchy, passwords });
  const trace: Trace = { record: {}, payload: {} };
  const admit = async (id: PeopleOperation, secret: string, input: object): Promise<unknown> => {
    const operation: Operation = operations[id];
    for (const log of Object.values(logs)) facts.drop(log.id);
    const known =
      operation.permission === 'sign-in'
        ? await authenticator.signIn(input as Parameters<Authenticator['signIn']>[0], clock.time)
        : await authenticator.authenticate(`Bearer ${secret}`, clock.time);
    if (known === undefined) {
      throw new OperationError(operation.permission === 'sign-in' ? 'auth.failed' : 'auth.required');
    }
    if (known.refusal !== undefined) throw new OperationError(known.refusal);
    if (!grants(known.caller, operation.permission)) throw new OperationError('access.denied');
    const context = contextOf(known, input, clock.time);
    Object.assign(trace, { record: context.record, payload: context.payload });
    const run = implementations[id] as unknown as (context: object) => Promise<unknown>;
    const acted = await run(context);
    if (operation.effect !== 'change') return acted;
    const work = database.write(async (tx) => {
      await known.proof?.spend(tx);
      const head = { log: known.caller.log.id, epoch: known.caller.facts.epoch };
      const moved = await tx
        .updateTable('head')
        .set({ epoch: head.epoch + 1 })
        .where('log', '=', head.log)
        .where('epoch', '=', head.epoch)
        .returning('log')
        .executeTakeFirst();
      assert.ok(moved, 'stale');
      return (acted as Apply<OperationId>)(tx, clock.time);
    });
    return work.finally(() => facts.drop(known.caller.log.id));
  };
  return {
    ...parts,
    authenticator,
    trace,
    another: () => process(parts),
    admit: admit as Slice['admit'],
  };
}

function contextOf({ caller, validity }: Authenticated, input: object, now: number) {
  const context = {
    input,
    caller,
    protocol: 'trialkeep' as const,
    facts: caller.facts,
    now,
    record: {} as Recorded,
    payload: {},
    validity: [...validity] as Validity[],
    once: async <T>(work: () => Promise<T>): Promise<T> => work(),
    signature: undefined,
    payloadUnder: 'subject' as const,
    items: [],
    afterCommit: [],
  };
  return context satisfies Omit<Context<OperationId>, 'input'>;
}

async function insertLog(database: Database, hierarchy: Hierarchy, tenant: string | null): Promise<Log> {
  const origin = `test/${tenant ?? 'instance'}`;
  return database.write(async (tx) => {
    if (tenant !== null) {
      const { versionId, wrapped } = hierarchy.newTenantKey(tenant);
      const row = { account: tenant, name: tenant, key_version: versionId, wrapped_key: wrapped };
      await tx
        .insertInto('tenant')
        .values({ id: tenant, ...row, created_at: 0 })
        .execute();
    }
    const unused = new Uint8Array(1);
    const { id } = await tx
      .insertInto('log')
      .values({
        tenant,
        origin,
        payload_key_version: '',
        wrapped_payload_key: unused,
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    await tx.insertInto('head').values({ log: id, size: 0, epoch: 1, time: 0 }).execute();
    return { id, tenant, origin };
  });
}

async function insertManager(
  database: Database,
  hierarchy: Hierarchy,
  { id, tenant }: Log,
  role: Role,
): Promise<string> {
  const rowKey = await hierarchy.rowKey(tenant);
  const secret = generateCredential();
  await database.write((tx) => createCredential(tx, rowKey, { log: id, name: role, role, secret, time: 0 }));
  return secret;
}
