import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'node:test';
import { pino } from 'pino';
import { createInstance, openInstance } from './instance/index.ts';
import { dataDirectory } from './platform/config.ts';
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
