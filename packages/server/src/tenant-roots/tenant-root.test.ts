import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { tellingEntries } from '../audit/index.ts';
import {
  approveAndRun,
  arrange,
  askFor,
  plaintext,
  rejection,
  signInAgain,
  stateOf,
} from '../dual-control.fixture.test.ts';
import type { Arranged } from '../dual-control.fixture.test.ts';
import { makeServer, makeService } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import { reconcile } from '../reconcile.ts';
import { recoverTenantRoot } from './recover.ts';

const reason = 'The sponsor holds its own key.';

/** A tenant with people, a subject, and a service with a key that encrypts. */
async function arrangeUser(t: TestContext) {
  const arranged = await arrange(await makeServer(t));
  const { server, custodian, system } = arranged;
  const { id: key } = await server.admit('keys.create', custodian, { system });
  const service = await makeService(server, custodian, system, [key]);
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1', title: 'One' });
  const { alias: subject } = await server.admit('subjects.create', custodian, { study, number: '1001' });
  const context = { study, subject };
  return { ...arranged, key, service, context };
}

async function newRoot({ server, tenant }: Arranged): Promise<string> {
  return (await server.instance.tenantRoots.folder.make(tenant, { kind: 'passphrase' })).id;
}

async function move(arranged: Arranged, root: string | null, leaseSeconds?: number): Promise<void> {
  const input = { root, ...(leaseSeconds !== undefined && { leaseSeconds }), reason };
  const approval = await askFor(arranged, 'tenant-root.move', input);
  await approveAndRun(arranged, approval);
  assert.equal((await stateOf(arranged, approval)).state, 'executed');
}

/** Takes a root away from this node; gives what puts it back. */
async function takeAway({ server, tenant }: Arranged, root: string): Promise<() => void> {
  const { folder, leases } = server.instance.tenantRoots;
  const place = join(folder.path, tenant, root);
  renameSync(place, `${place}.away`);
  await leases.close();
  return () => renameSync(`${place}.away`, place);
}

const tenantRow = ({ instance }: TestServer, tenant: string) =>
  instance.database.read((tx) =>
    tx.selectFrom('tenant').selectAll().where('id', '=', tenant).executeTakeFirstOrThrow(),
  );

test("a tenant's key moves to a root of its own, to another, and back, and what was encrypted stays readable [URS-049]", async (t) => {
  const arranged = await arrangeUser(t);
  const { server, tenant, custodian, key, service, context } = arranged;
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext, context });
  const readable = async (): Promise<void> => {
    const opened = await server.admit('keys.decrypt', service, { key, ciphertext, context });
    assert.equal(opened.plaintext, plaintext);
  };
  const before = await tenantRow(server, tenant);
  const [first, second] = [await newRoot(arranged), await newRoot(arranged)];
  for (const [root, lease] of [
    [first, 0],
    [second, 60],
    [null, undefined],
  ] as const) {
    await move(arranged, root, lease);
    await readable();
    const shown = await server.admit('tenant-root.show', custodian, {});
    assert.deepEqual([shown.root, shown.leaseSeconds], [root, lease ?? 0]);
    assert.equal((await tenantRow(server, tenant)).wrapped_key.length > 0, root === null);
  }
  assert.notDeepEqual(before.wrapped_key, (await tenantRow(server, tenant)).wrapped_key);
  const moves = (await server.entries(tenant)).filter(
    ({ operation, outcome }) => operation === 'tenant-root.move' && outcome === 'success',
  );
  assert.deepEqual(
    moves.map(({ root, leaseSeconds, state, version }) => [root, leaseSeconds, state, version]),
    [
      [first, 0, 'own', 1],
      [second, 60, 'own', 2],
      [undefined, undefined, 'instance', 3],
    ],
  );
  assert.deepEqual(await reconcile(server.instance), []);
});

test('while the root is away nothing is used or made under the key, and people still sign in, decide, revoke and read the ledger [URS-010] [URS-049]', async (t) => {
  const arranged = await arrangeUser(t);
  const { server, tenant, custodian, key, service, context, system } = arranged;
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext, context });
  const root = await newRoot(arranged);
  await move(arranged, root, 3600);
  const putBack = await takeAway(arranged, root);
  const away = { code: 'tenant.root_unreachable' };
  await assert.rejects(server.admit('keys.decrypt', service, { key, ciphertext, context }), away);
  await assert.rejects(server.admit('keys.encrypt', service, { key, plaintext }), away);
  await assert.rejects(server.admit('keys.generate-data-key', service, { key, context }), away);
  await assert.rejects(server.admit('keys.create', custodian, { system }), away);
  await assert.rejects(
    server.admit('subjects.create', custodian, { study: context.study, number: '2' }),
    away,
  );

  // One-time codes and signatures hang under the instance key meanwhile.
  const present = await signInAgain(arranged);
  const again = await askFor(present, 'tenant-root.set-lease', { leaseSeconds: 60, reason });
  await approveAndRun(present, again);
  assert.equal((await stateOf(present, again)).state, 'executed');
  await server.admit('keys.suspend', custodian, { key, reason });
  await server.admit('keys.resume', custodian, { key, reason });
  const refused = (await server.entries(tenant)).findLast(({ code }) => code === away.code);
  assert.equal(refused?.['subject'] ?? context.subject, context.subject);
  // Nor is what they hold lost: this throws where a payload does not open.
  await server.admit('ledger.payload', custodian, { entry: String(refused?.['entry']) });

  const earlier = (await server.entries(tenant)).find(
    ({ operation, outcome, subject }) =>
      operation === 'keys.encrypt' && outcome === 'success' && subject === context.subject,
  );
  // What lies under the subject's key is out of reach, and not lost.
  const entry = String(earlier?.['entry']);
  await assert.rejects(server.admit('ledger.payload', custodian, { entry }), away);

  putBack();
  let opened: string | undefined;
  while (opened === undefined) {
    opened = await server.admit('keys.decrypt', service, { key, ciphertext, context }).then(
      (answer) => answer.plaintext,
      () => undefined,
    );
  }
  assert.equal(opened, plaintext);
  await server.admit('ledger.payload', custodian, { entry });
  assert.deepEqual(await reconcile(server.instance), []);
});

test('a key does not leave a root that refuses, whatever its lease holds; once it has left, the lease is over [URS-049]', async (t) => {
  const arranged = await arrangeUser(t);
  const { server, tenant, key, service } = arranged;
  const { folder, leases } = server.instance.tenantRoots;
  const root = await newRoot(arranged);
  await move(arranged, root, 86_400);
  await server.admit('keys.encrypt', service, { key, plaintext });
  assert.equal(leases.state(tenant)?.isHeld, true);
  const place = join(folder.path, tenant, root);
  renameSync(place, `${place}.away`);
  const input = { root: null, reason };
  const refused = await rejection(server.admit('tenant-root.move', arranged.requester.session, input));
  assert.equal(refused.code, 'tenant.root_unreachable');
  assert.equal((await tenantRow(server, tenant)).wrapped_key.length, 0);
  renameSync(`${place}.away`, place);
  await move(arranged, null);
  assert.equal(leases.state(tenant), undefined);
  await server.admit('keys.encrypt', service, { key, plaintext });
});

test('a root of nobody, of another tenant, one that needs people, and the present one are refused before people are asked [URS-049]', async (t) => {
  const arranged = await arrangeUser(t);
  const { server, tenant, requester } = arranged;
  const { folder } = server.instance.tenantRoots;
  const ask = async (root: string | null) =>
    (await rejection(server.admit('tenant-root.move', requester.session, { root, reason }))).code;
  assert.equal(await ask(randomUUID()), 'tenant.root_unknown');
  const foreign = await folder.make(randomUUID(), { kind: 'passphrase' });
  assert.equal(await ask(foreign.id), 'tenant.root_unknown');
  assert.equal(await ask(null), 'tenant.root_current');
  const lease = { leaseSeconds: 60, reason };
  const none = await rejection(server.admit('tenant-root.set-lease', requester.session, lease));
  assert.equal(none.code, 'tenant.root_none');
  // A folder under another name than its root's.
  const { folder: made } = await folder.make(tenant, { kind: 'passphrase' });
  const other = randomUUID();
  renameSync(made, join(folder.path, tenant, other));
  assert.equal(await ask(other), 'tenant.root_unsuitable');
  await assert.rejects(folder.make(tenant, { kind: 'shares' }), { code: 'tenant.root_unsuitable' });
  await assert.rejects(folder.make('../elsewhere', { kind: 'passphrase' }), { code: 'config.invalid' });
  const root = await newRoot(arranged);
  await move(arranged, root, 60);
  assert.equal(await ask(root), 'tenant.root_current');
  const same = await rejection(server.admit('tenant-root.set-lease', requester.session, lease));
  assert.equal(same.code, 'tenant.root_current');
});

test('a row that was altered, or put back as it was before the move, is not believed [URS-049]', async (t) => {
  const arranged = await arrangeUser(t);
  const { server, tenant, key, service } = arranged;
  const { database, hierarchy } = server.instance;
  const before = await tenantRow(server, tenant);
  await move(arranged, await newRoot(arranged), 3600);
  const encrypt = () => server.admit('keys.encrypt', service, { key, plaintext });
  const row = await database.read((tx) => tx.selectFrom('tenant_root').selectAll().executeTakeFirstOrThrow());
  const set = async (change: { lease_seconds: number }): Promise<void> => {
    await database.write((tx) => tx.updateTable('tenant_root').set(change).execute());
    hierarchy.forgetTenantKey(tenant);
  };
  await set({ lease_seconds: 86_400 });
  await assert.rejects(encrypt(), { code: 'server.data_altered' });
  await set({ lease_seconds: row.lease_seconds });
  await encrypt();
  // The wrapping under the instance key, out of an old copy of the database, beside the root's.
  const { wrapped_key } = before;
  await database.write((tx) =>
    tx.updateTable('tenant').set({ wrapped_key }).where('id', '=', tenant).execute(),
  );
  hierarchy.forgetTenantKey(tenant);
  await assert.rejects(encrypt(), { code: 'server.data_altered' });
  await database.write((tx) => tx.deleteFrom('tenant_root').execute());
  hierarchy.forgetTenantKey(tenant);
  const [said, ...others] = await reconcile(server.instance);
  assert.match(said ?? '', /is under the instance key in the database \(change 0\) and under root/);
  assert.deepEqual(others, []);
});

test('a database from before the move is brought in line with the ledger: the key is under its root again [URS-049] [URS-080]', async (t) => {
  const arranged = await arrangeUser(t);
  const { server, tenant, key, service, context } = arranged;
  const { database, hierarchy, instanceKey, ledger, tenantRoots } = server.instance;
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext, context });
  const { wrapped_key } = await tenantRow(server, tenant);
  const tables = () =>
    database.read(async (tx) => ({
      log: await tx.selectFrom('log').selectAll().where('tenant', '=', tenant).executeTakeFirstOrThrow(),
      authenticators: await tx.selectFrom('authenticator').selectAll().execute(),
    }));
  const before = await tables();
  const root = await newRoot(arranged);
  await move(arranged, root, 0);
  await database.write(async (tx) => {
    await tx.updateTable('tenant').set({ wrapped_key }).where('id', '=', tenant).execute();
    await tx.deleteFrom('tenant_root').execute();
    const { wrapped_payload_key } = before.log;
    await tx.updateTable('log').set({ wrapped_payload_key }).where('tenant', '=', tenant).execute();
    for (const { id, secret, seal, used_step } of before.authenticators)
      await tx.updateTable('authenticator').set({ secret, seal, used_step }).where('id', '=', id).execute();
  });
  hierarchy.forgetTenantKey(tenant);
  assert.equal((await reconcile(server.instance)).length, 1);
  const rowKey = await hierarchy.rowKey(tenant);
  const log = ledger.logOfTenant(tenant);
  assert.ok(log);
  const entries = await tellingEntries(database, log.id);
  const parts = { database, hierarchy, instanceKey, folder: tenantRoots.folder };
  const apply = await recoverTenantRoot(parts, { tenant, rowKey }, entries);
  assert.ok(apply);
  await database.write(apply);
  hierarchy.forgetTenantKey(tenant);
  assert.deepEqual(await reconcile(server.instance), []);
  assert.equal((await tenantRow(server, tenant)).wrapped_key.length, 0);
  const opened = await server.admit('keys.decrypt', service, { key, ciphertext, context });
  assert.equal(opened.plaintext, plaintext);
  assert.equal(await recoverTenantRoot(parts, { tenant, rowKey }, entries), undefined);
});

test('a move that fails in its transaction leaves the key where it was, and neither row nor entry [URS-049]', async (t) => {
  const arranged = await arrangeUser(t);
  const { server, tenant, key, service } = arranged;
  const { database } = server.instance;
  const root = await newRoot(arranged);
  const approval = await askFor(arranged, 'tenant-root.move', { root, reason });
  await database.write((tx) =>
    tx
      .updateTable('log')
      .set({ wrapped_payload_key: new Uint8Array(133) })
      .where('tenant', '=', tenant)
      .execute(),
  );
  await approveAndRun(arranged, approval).catch(() => undefined);
  assert.ok((await tenantRow(server, tenant)).wrapped_key.length > 0);
  assert.deepEqual(await database.read((tx) => tx.selectFrom('tenant_root').selectAll().execute()), []);
  await server.admit('keys.encrypt', service, { key, plaintext });
  const entries = await server.entries(tenant);
  assert.ok(
    !entries.some(({ operation, outcome }) => operation === 'tenant-root.move' && outcome === 'success'),
  );
});
