import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { sealDraft } from './audit/index.ts';
import { makeScene, makeTenant } from './ledger-fixture.test.ts';
import { testOnStores } from './platform/fixture.test.ts';
import type { Store } from './platform/fixture.test.ts';
import { createInstance, openInstance } from './instance/index.ts';
import { dataDirectory } from './platform/config.ts';
import type { Recorded } from './platform/implementation.ts';
import { reconcile } from './reconcile.ts';
import type { ListRows, StatedRow } from './reconcile.ts';
import { startServer } from './app.ts';

/** No rows but those of keys and credentials. */
const nothing = {
  persons: async () => [],
  sessions: async () => [],
  approvals: async () => [],
  tenantSeal: async () => 'open' as const,
};

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
    assert.deepEqual(await reconcile({ ...honest, ...nothing }), []);
    await honest.close();

    const database = new DatabaseSync(file);
    const columns = Object.keys(before);
    database
      .prepare(`update key set ${columns.map((column) => `${column} = ?`).join(', ')} where id = ?`)
      .run(...Object.values(before), key);
    database.close();
    const altered = await openInstance(path, parts);
    const reasons = await reconcile({ ...altered, ...nothing });
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

/** A node whose tenant's log says what became of some things. */
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
  return { node, id, tenant };
}

testOnStores(
  'people, sessions, approvals and seals are what the ledger says became of them [URS-004] [URS-080]',
  async (t, under) => {
    const { node, id, tenant } = await makeRecorded(t, under);
    const rowsOf =
      (row: StatedRow): ListRows =>
      async (_snapshot, _rowKey, log) =>
        log === id ? [row, { id: 'unrecorded', state: 'active' }] : [];
    const honest = {
      persons: rowsOf({ id: 'p', state: 'left', version: 4 }),
      sessions: rowsOf({ id: 's', state: 'ended' }),
      approvals: rowsOf({ id: 'a', state: 'denied' }),
      tenantSeal: async () => 'sealed' as const,
    };
    assert.deepEqual(await reconcile({ ...node, ...honest }), []);
    const altered = [
      [{ persons: rowsOf({ id: 'p', state: 'active', version: 4 }) }, /^Person p is active .* left in/],
      [{ persons: rowsOf({ id: 'p', state: 'left', version: 3 }) }, /^Person p is at change 3 .* 4 in/],
      [{ sessions: rowsOf({ id: 's', state: 'active' }) }, /^Session s is active .* ended in/],
      [{ approvals: rowsOf({ id: 'a', state: 'pending' }) }, /^Approval a is pending .* denied in/],
      [{ tenantSeal: async () => 'open' as const }, new RegExp(`^Tenant ${tenant} is open .* sealed in`)],
    ] as const;
    for (const [change, sentence] of altered) {
      const reasons = await reconcile({ ...node, ...honest, ...change });
      assert.equal(reasons.length, 1);
      assert.match(reasons[0] ?? '', sentence);
    }
  },
);
