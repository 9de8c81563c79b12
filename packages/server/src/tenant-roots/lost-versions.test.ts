import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tellingEntries } from '../audit/index.ts';
import { beginEffect, settleWith } from '../effects/index.ts';
import { makeService, makeTenant, refusal, shareServer } from '../fixture.test.ts';
import { recoverKeys } from '../keys/index.ts';
import { reconcile } from '../reconcile.ts';
import { moveKey } from './own-root.fixture.test.ts';

const shared = shareServer();
const plaintext = Buffer.from('a value').toString('base64');

test("while the tenant's own root refuses, a lost version is left to the rotation, and the rest is brought in line [URS-049] [URS-080]", async () => {
  const server = await shared();
  const { instance, clock, rooms } = server;
  const { database, hierarchy, ledger, tenantRoots } = instance;
  const { folder, leases } = tenantRoots;
  const { tenant, custodian, system } = await makeTenant(server);
  const { id: key } = await server.admit('keys.create', custodian, { system });
  const service = await makeService(server, custodian, system, [key]);
  const open = async (ciphertext: string): Promise<number> =>
    (await server.admit('keys.decrypt', service, { key, ciphertext })).version;
  const seal = async () => (await server.admit('keys.encrypt', service, { key, plaintext })).ciphertext;
  const log = ledger.logOfTenant(tenant) ?? assert.fail();
  const { id: root } = await folder.make(tenant, { kind: 'passphrase' });
  await moveKey({ instance, rooms }, tenant, root, 0);
  const before = await seal();
  const row = await database.read((tx) =>
    tx.selectFrom('key').selectAll().where('id', '=', key).executeTakeFirstOrThrow(),
  );
  await server.admit('keys.rotate', custodian, { key });
  // The database is as before the rotation, and whatever was read since is forgotten.
  await database.write(async (tx) => {
    await tx.updateTable('key').set(row).where('id', '=', key).execute();
    await tx.deleteFrom('key_version').where('key', '=', key).where('version', '>', row.version).execute();
    await tx
      .updateTable('head')
      .set((eb) => ({ epoch: eb('epoch', '+', 1) }))
      .where('log', '=', log.id)
      .execute();
  });
  const place = join(folder.path, tenant, root);
  renameSync(place, `${place}.away`);
  await leases.close();

  const rowKey = await hierarchy.rowKey(tenant);
  const entries = await tellingEntries(database, log.id);
  const objectEffects = { begin: beginEffect, settle: settleWith };
  const plan = await database.read((tx) =>
    recoverKeys(hierarchy, tx, { tenant, rowKey, log: log.id, objectEffects }, entries),
  );
  await database.write((tx) => plan.apply(tx, clock.now()));
  assert.deepEqual(await reconcile(instance), []);
  await assert.rejects(open(before), refusal('tenant.root_unreachable'));

  renameSync(`${place}.away`, place);
  await leases.close();
  await server.runJobs();
  const { key: shown, versions } = await server.admit('keys.show', custodian, { key });
  assert.deepEqual([shown.state, shown.version, versions.length], ['active', 3, 2]);
  assert.equal(await open(before), 1);
  assert.equal(await open(await seal()), 3);
});
