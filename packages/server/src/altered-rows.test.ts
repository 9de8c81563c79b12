import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue } from 'node:sqlite';
import { test } from 'node:test';
import { makeService, makeTenant, refusal, shareServer } from './fixture.test.ts';
import type { TestServer } from './fixture.test.ts';
import { sealRow } from './keys/index.ts';

const shared = shareServer();
const plaintext = Buffer.from('a value').toString('base64');

/** Somebody who has the database file, but none of the keys. */
function behindTheServer(server: TestServer, sql: string, ...values: SQLInputValue[]): void {
  const database = new DatabaseSync(server.instance.directory.database, { timeout: 5000 });
  try {
    assert.notEqual(database.prepare(sql).run(...values).changes, 0, sql);
  } finally {
    database.close();
  }
}

/** A tenant whose facts will be read again, because a change has moved the epoch on. */
async function arrange() {
  const server = await shared();
  const made = await makeTenant(server);
  const refresh = () =>
    server.admit('studies.create', made.custodian, { protocol: `P-${server.clock.time++}` });
  const encrypt = (service = made.service, key = made.key) =>
    server.admit('keys.encrypt', service, { key, plaintext });
  return { server, made, refresh, encrypt };
}

const altered = refusal('server.data_altered');

test('a suspended key that somebody set active is not used [URS-002] [URS-008]', async () => {
  const { server, made, encrypt } = await arrange();
  const { key } = made;
  await server.admit('keys.suspend', made.custodian, { key, reason: 'test' });
  behindTheServer(server, "update key set state = 'active' where id = ?", key);
  await assert.rejects(encrypt(), altered);
  await assert.rejects(server.admit('keys.resume', made.custodian, { key, reason: 'test' }), altered);
});

test('a revocation that somebody took off a key is not undone [URS-004] [URS-008]', async () => {
  const { server, made, encrypt } = await arrange();
  const { key } = made;
  await server.admit('keys.revoke', made.custodian, { key, cause: 'cessation', reason: 'test' });
  behindTheServer(
    server,
    "update key set state = 'active', revoked_at = null, revocation_cause = null where id = ?",
    key,
  );
  await assert.rejects(encrypt(), altered);
});

test('a key whose expiry, version or system somebody changed is not used [URS-002] [URS-008]', async () => {
  const { server, made, encrypt, refresh } = await arrange();
  const { key, custodian } = made;
  await server.admit('keys.rotate', custodian, { key });
  for (const [column, value, before] of [
    ['expires_at', server.clock.time + 1e12, null],
    ['version', 1, 2],
    ['purpose', 'sign', 'encrypt'],
  ] as const) {
    behindTheServer(server, `update key set ${column} = ? where id = ?`, value, key);
    await refresh();
    await assert.rejects(encrypt(), altered);
    behindTheServer(server, `update key set ${column} = ? where id = ?`, before, key);
  }
  await refresh();
  assert.equal((await encrypt()).version, 2);
});

test('a key moved to another tenant is used by neither [URS-049]', async () => {
  const { server, made, encrypt, refresh } = await arrange();
  const other = await makeTenant(server);
  const { ciphertext } = await encrypt();
  behindTheServer(
    server,
    'update key set tenant = ?, system = ? where id = ?',
    other.tenant,
    other.system,
    made.key,
  );
  behindTheServer(server, 'update credential_key set key = ? where key = ?', made.key, other.key);
  await refresh();
  await assert.rejects(encrypt(), refusal('key.unknown'));
  const { keys } = await server.admit('keys.list', made.custodian, {});
  assert.deepEqual(keys, []);
  await assert.rejects(server.admit('keys.decrypt', other.service, { key: made.key, ciphertext }), altered);
});

test('a credential whose state, role or end somebody changed is not believed [URS-012] [URS-019]', async () => {
  const { server, made, refresh } = await arrange();
  const issued = await server.admit('credentials.issue', made.custodian, { name: 'reader', role: 'auditor' });
  const { id } = issued.credential;
  const read = () => server.admit('keys.list', issued.secret, {});
  for (const change of ["role = 'custodian'", 'expires_at = 1e15', 'created_at = 1']) {
    behindTheServer(server, `update credential set ${change} where id = ?`, id);
    await refresh();
    await assert.rejects(read(), altered);
    behindTheServer(
      server,
      "update credential set role = 'auditor', expires_at = null, created_at = ? where id = ?",
      issued.credential.createdAt,
      id,
    );
  }
  await refresh();
  await read();
  await server.admit('credentials.revoke', made.custodian, { credential: id, reason: 'test' });
  behindTheServer(server, "update credential set state = 'active' where id = ?", id);
  await assert.rejects(read(), altered);
});

test('a key that somebody added to a credential is not granted [URS-012]', async () => {
  const { server, made, encrypt, refresh } = await arrange();
  const { id: second } = await server.admit('keys.create', made.custodian, { system: made.system });
  const bystander = await makeService(server, made.custodian, made.system, [second]);
  behindTheServer(
    server,
    'insert into credential_key (credential, key, seal) select credential, ?, seal from credential_key where key = ?',
    second,
    made.key,
  );
  await refresh();
  await assert.rejects(encrypt(made.service, second), altered);
  assert.equal((await encrypt(bystander, second)).version, 1);
});

test('versions of a key that somebody renumbered are not used [URS-003]', async () => {
  const { server, made, encrypt, refresh } = await arrange();
  await server.admit('keys.rotate', made.custodian, { key: made.key });
  behindTheServer(server, 'update key_version set version = version + 10 where key = ?', made.key);
  await refresh();
  await assert.rejects(encrypt(), altered);
});

test('a version of a key whose date somebody changed is not used; older seals do not cover it [URS-003] [URS-008]', async () => {
  const { server, made, encrypt, refresh } = await arrange();
  const { ciphertext } = await encrypt();
  await server.admit('keys.rotate', made.custodian, { key: made.key });
  const { service, key } = made;
  const open = async () => (await server.admit('keys.decrypt', service, { key, ciphertext })).version;
  const later = 'update key_version set created_at = created_at + 1 where key = ?';
  behindTheServer(server, later, key);
  await refresh();
  await assert.rejects(open(), altered);
  const rowKey = await server.instance.hierarchy.rowKey(made.tenant);
  const versions = await server.instance.database.read((tx) =>
    tx.selectFrom('key_version').select(['id', 'version']).where('key', '=', key).execute(),
  );
  for (const { id, version } of versions) {
    const seal = sealRow(rowKey, 'key_version', [id, key, version]);
    behindTheServer(server, 'update key_version set seal = ? where id = ?', seal, id);
  }
  await refresh();
  assert.equal(await open(), 1);
  behindTheServer(server, 'update key_version set version = version + 10 where key = ?', key);
  await refresh();
  await assert.rejects(open(), altered);
});

test('a wrapped secret put in the place of another opens nothing [URS-008] [URS-049]', async () => {
  const { server, made, encrypt } = await arrange();
  const { id: second } = await server.admit('keys.create', made.custodian, { system: made.system });
  const service = await makeService(server, made.custodian, made.system, [made.key, second]);
  behindTheServer(
    server,
    'update key_version set wrapped_secret = (select wrapped_secret from key_version where key = ?) where key = ?',
    second,
    made.key,
  );
  await assert.rejects(encrypt(service), altered);
  // A ciphertext that names the version: the damage is the server's, and must not look like the caller's mistake.
  const versions = await server.admit('keys.show', made.custodian, { key: made.key });
  const named = Buffer.alloc(200);
  named.set([1, 1]);
  named.set(Buffer.from(versions.versions[0]?.id.replaceAll('-', '') ?? '', 'hex'), 2);
  const ciphertext = named.toString('base64');
  await assert.rejects(server.admit('keys.decrypt', service, { key: made.key, ciphertext }), altered);
  assert.equal((await encrypt(service, second)).key, second);
});
