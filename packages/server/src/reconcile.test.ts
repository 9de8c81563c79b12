import assert from 'node:assert/strict';
import type { KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { sealDraft } from './audit/index.ts';
import { sealRow } from './keys/index.ts';
import { makeScene, makeTenant } from './ledger.fixture.test.ts';
import { testOnStores } from './platform/fixture.test.ts';
import type { Store } from './platform/fixture.test.ts';
import { createInstance, openInstance } from './instance/index.ts';
import { dataDirectory } from './platform/config.ts';
import type { Recorded } from './platform/implementation.ts';
import { reconcile } from './reconcile.ts';
import { startServer } from './app.ts';

/** A server on a new data directory, with a tenant, a system and a key; `call` answers the body of a success. */
async function makeKey(path: string) {
  const made = await createInstance(path, 'evaluation', 'eu-central-1');
  const server = await startServer({
    dataDirectory: path,
    host: '127.0.0.1',
    port: 0,
    logger: pino({ level: 'silent' }),
    onFatal: () => assert.fail('The server cannot go on.'),
  });
  const call = async (secret: string, target: string, body: object) => {
    const response = await fetch(server.url + target, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 200, await response.clone().text());
    return (await response.json()) as Record<string, { secret: string; id: string } & string>;
  };
  const tenant = await call(made.administrator.secret, '/v1/tenants', { name: 'T' });
  const custodian = tenant['custodian']?.secret ?? '';
  const system = await call(custodian, '/v1/systems', { name: 'EDC', type: 'edc', vendor: 'V' });
  const key = await call(custodian, '/v1/keys', { system: system['id'] });
  return { server, call, custodian, key: String(key['id']) };
}

test('a key row put back as it was before the revocation is noticed at start [URS-004, URS-080]', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-reconcile-'));
  const path = join(folder, 'data');
  try {
    const { server, call, custodian, key } = await makeKey(path);
    const file = dataDirectory(path).database;
    const before = rowOf(file, key);
    await call(custodian, `/v1/keys/${key}/revoke`, { cause: 'cessation', reason: 'test' });
    await server.close();

    const parts = { clock: { now: () => Date.now() }, notes: { warn: () => undefined } };
    const honest = await openInstance(path, parts);
    assert.deepEqual(await reconcile(honest), []);
    await honest.close();

    const database = new DatabaseSync(file);
    const columns = Object.keys(before);
    database
      .prepare(`update key set ${columns.map((column) => `${column} = ?`).join(', ')} where id = ?`)
      .run(...Object.values(before), key);
    database.close();
    const altered = await openInstance(path, parts);
    const reasons = await reconcile(altered);
    await altered.close();
    assert.equal(reasons.length, 1);
    assert.match(reasons[0] ?? '', new RegExp(`Key ${key} .*deactivated`));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function rowOf(file: string, key: string) {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database
      .prepare('select state, version, revocation_cause, revoked_at, seal from key where id = ?')
      .get(key) as Record<string, string | number | null | Uint8Array>;
  } finally {
    database.close();
  }
}

type Row = Readonly<Record<string, string | number | null | Uint8Array>>;

/** The tables of rows that say a state, each with the columns that its seal covers. */
const sealedColumns = {
  person: 'id log name login state roles password totp revision created_at',
  session: 'id log person secret_hash level state created_at expires_at',
  approval: 'id log operation hash requester requester_password needed state requested_at expires_at failure',
  tenant_seal: 'tenant state changed_at',
} as const;

/** A row under a seal of its own, as one out of an older copy of the table is. */
function sealed(rowKey: KeyObject, table: keyof typeof sealedColumns, row: Row): Row {
  const fields = sealedColumns[table].split(' ').map((column) => {
    const value = row[column];
    assert.notEqual(value, undefined, `${table}.${column}`);
    return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : (value ?? null);
  });
  return { ...row, seal: sealRow(rowKey, table, fields) };
}

/** A node whose tenant's log says what became of some things; `put` writes a row in the place of the one with its id. */
async function makeRecorded(t: TestContext, under: Store) {
  const node = await (await makeScene(t, under)).start();
  const { log: id, tenant, opened } = await makeTenant(node);
  await opened();
  const log = node.ledger.log(id);
  const record = (operation: string, recorded: Recorded) =>
    node.ledger.appender.append(
      id,
      1,
      sealDraft({ operation, outcome: 'success', recorded }, log.origin, {}, log.payloadKey),
    );
  await record('people.leave', { person: 'p', version: 4, state: 'left' });
  await record('sessions.end', { person: 'p', session: 's', state: 'ended' });
  await record('approvals.deny', { approval: 'a', state: 'denied' });
  await record('tenants.seal', { state: 'sealed' });
  const rowKey = await node.hierarchy.rowKey(tenant);
  const put = async (table: keyof typeof sealedColumns, row: Row): Promise<void> => {
    const values = sealed(rowKey, table, row) as never;
    const key = (table === 'tenant_seal' ? 'tenant' : 'id') as never;
    await node.database.write((tx) =>
      tx
        .insertInto(table)
        .values(values)
        .onConflict((conflict) => conflict.column(key).doUpdateSet(values))
        .execute(),
    );
  };
  return { node, log: id, tenant, put };
}

/** Rows as the ledger of `makeRecorded` has them. */
function honestRows(log: number, tenant: string) {
  const known = {
    name: 'P',
    login: 'p',
    roles: '[]',
    password: 'w',
    totp: null,
    failures: 0,
    locked_until: 0,
  };
  const secret = { secret_hash: Buffer.from('s'), level: 2 };
  const kept = { operation: 'o', request: Buffer.from('r'), hash: 'h', needed: 2, failure: null };
  const times = { requested_at: 1, expires_at: 2 };
  return {
    person: { id: 'p', log, ...known, state: 'left', revision: 4, created_at: 1 },
    session: { id: 's', log, person: 'p', ...secret, state: 'ended', created_at: 1, expires_at: 2 },
    approval: { id: 'a', log, ...kept, requester: 'p', requester_password: 'w', state: 'denied', ...times },
    tenantSeal: { tenant, state: 'sealed', changed_at: 1 },
  };
}

testOnStores(
  'people, sessions, approvals and seals are what the ledger says became of them [URS-004] [URS-080]',
  async (t, under) => {
    const { node, log, tenant, put } = await makeRecorded(t, under);
    const open = new RegExp(`^Tenant ${tenant} is open .* sealed in`);
    const { person, session, approval, tenantSeal } = honestRows(log, tenant);
    await put('person', person);
    await put('session', session);
    await put('approval', approval);
    const [missing, ...others] = await reconcile(node);
    assert.match(missing ?? '', open, 'A tenant without a row is open.');
    assert.deepEqual(others, []);
    await put('tenant_seal', tenantSeal);
    const id = 'unrecorded';
    await put('person', { ...person, id, login: id, state: 'active' });
    await put('session', { ...session, id, secret_hash: Buffer.from(id), state: 'active' });
    await put('approval', { ...approval, id, state: 'pending' });
    assert.deepEqual(await reconcile(node), []);
    const altered = [
      ['person', person, { state: 'active' }, /^Person p is active .* left in/],
      ['person', person, { revision: 3 }, /^Person p is at change 3 .* 4 in/],
      ['session', session, { state: 'active' }, /^Session s is active .* ended in/],
      ['approval', approval, { state: 'pending' }, /^Approval a is pending .* denied in/],
      ['tenant_seal', tenantSeal, { state: 'open' }, open],
    ] as const;
    for (const [table, row, change, sentence] of altered) {
      await put(table, { ...row, ...change });
      const reasons = await reconcile(node);
      assert.equal(reasons.length, 1);
      assert.match(reasons[0] ?? '', sentence);
      await put(table, row);
    }
    assert.deepEqual(await reconcile(node), []);
  },
);
