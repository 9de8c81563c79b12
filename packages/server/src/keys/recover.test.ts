import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellingEntries } from '../audit/index.ts';
import { makeService, makeTenant, refusal, shareServer } from '../fixture.test.ts';
import { reconcile } from '../reconcile.ts';
import { beginEffect, settleWith } from '../effects/index.ts';
import { recoverKeys } from './recover.ts';
import { policyTask } from './rotation-settings.ts';

const objectEffects = { begin: beginEffect, settle: settleWith };
const shared = shareServer();
const dayMs = 86_400_000;
const reason = 'test';
const plaintext = Buffer.from('a value').toString('base64');

/** A tenant with a key, whose rows can be put back as they were, and then be brought in line with the ledger. */
async function arrange(input: { expiresAt?: number; recipientPeriodDays?: number } = {}) {
  const server = await shared();
  const { instance, clock } = server;
  const { database, hierarchy, ledger } = instance;
  const { tenant, custodian, system } = await makeTenant(server);
  const { id: key } = await server.admit('keys.create', custodian, { system, ...input });
  const service = await makeService(server, custodian, system, [key]);
  const log = ledger.logOfTenant(tenant);
  assert.ok(log);
  const rowKey = await hierarchy.rowKey(tenant);
  /** The rows of the key and the policy, to be put back: a version that was made since is gone then. */
  const keep = async () => {
    const rows = await database.read(async (tx) => ({
      key: await tx.selectFrom('key').selectAll().where('id', '=', key).executeTakeFirstOrThrow(),
      policy: await tx
        .selectFrom('rotation_policy')
        .selectAll()
        .where('tenant', '=', tenant)
        .executeTakeFirst(),
    }));
    const { version } = rows.key;
    return () =>
      database.write(async (tx) => {
        await tx.updateTable('key').set(rows.key).where('id', '=', key).execute();
        await tx.deleteFrom('key_version').where('key', '=', key).where('version', '>', version).execute();
        await tx.deleteFrom('rotation_policy').where('tenant', '=', tenant).execute();
        if (rows.policy !== undefined) await tx.insertInto('rotation_policy').values(rows.policy).execute();
        // What was read before is forgotten.
        await tx
          .updateTable('head')
          .set((eb) => ({ epoch: eb('epoch', '+', 1) }))
          .where('log', '=', log.id)
          .execute();
      });
  };
  const recover = async (): Promise<void> => {
    // Known before the snapshot, as when a log is brought in line.
    await hierarchy.rowKey(tenant);
    const entries = await tellingEntries(database, log.id);
    const plan = await database.read((tx) =>
      recoverKeys(hierarchy, tx, { tenant, rowKey, log: log.id, objectEffects }, entries),
    );
    await database.write((tx) => plan.apply(tx, clock.now()));
  };
  const open = async (ciphertext: string): Promise<number> =>
    (await server.admit('keys.decrypt', service, { key, ciphertext })).version;
  const seal = async () => (await server.admit('keys.encrypt', service, { key, plaintext })).ciphertext;
  return { server, instance, clock, tenant, custodian, system, key, log, rowKey, keep, recover, open, seal };
}

for (const by of ['keys.revoke', 'revocations.revoke'] as const) {
  test(`a key that expired and was then revoked by ${by} stays revoked when its row is put back [URS-004] [URS-080]`, async () => {
    const { time } = (await shared()).clock;
    const made = await arrange({ expiresAt: time + dayMs });
    const { server, instance, clock, custodian, key, keep, recover, open, seal } = made;
    const ciphertext = await seal();
    clock.time += 2 * dayMs;
    const putBack = await keep();
    assert.equal(await open(ciphertext), 1, 'It has expired, and processes.');
    if (by === 'keys.revoke') await server.admit(by, custodian, { key, cause: 'cessation', reason });
    else await server.admit(by, custodian, { scope: { key }, cause: 'cessation', reason });
    assert.deepEqual(await reconcile(instance), []);
    await putBack();
    assert.match((await reconcile(instance)).join(), new RegExp(`Key ${key} is not revoked`));
    await recover();
    assert.deepEqual(await reconcile(instance), []);
    await assert.rejects(open(ciphertext), refusal('key.revoked'));
  });
}

test('a recipient usage period and a rotation policy that were put back are noticed and recovered [URS-003] [URS-080]', async () => {
  const { server, instance, clock, custodian, key, tenant, keep, recover, open, seal } = await arrange();
  const ciphertext = await seal();
  await server.admit('keys.rotate', custodian, { key });
  const putBack = await keep();
  await server.admit('keys.set-rotation', custodian, { key, recipientPeriodDays: 30, reason });
  await server.admit('keys.set-rotation-policy', custodian, { periodDays: 60, reason });
  clock.time += 31 * dayMs;
  await assert.rejects(open(ciphertext), refusal('key.recipient_period_over'));
  assert.deepEqual(await reconcile(instance), []);
  await putBack();
  const noticed = (await reconcile(instance)).join();
  assert.match(noticed, new RegExp(`versions of key ${key} process`));
  assert.match(noticed, new RegExp(`policy of tenant ${tenant} is 90 days .* 60 in`));
  await recover();
  assert.deepEqual(await reconcile(instance), []);
  await assert.rejects(open(ciphertext), refusal('key.recipient_period_over'));
  assert.deepEqual(await server.admit('keys.rotation-policy', custodian, {}), { periodDays: 60 });

  const putThatBack = await keep();
  await server.admit('keys.set-rotation', custodian, { key, recipientPeriodDays: null, reason });
  assert.equal(await open(ciphertext), 1);
  await putThatBack();
  assert.equal((await reconcile(instance)).length, 1);
  await recover();
  assert.deepEqual(await reconcile(instance), [], 'That it has no end is the ledger’s word too.');
});

test('a key whose newest version is lost and that never rotates again holds no change of the policy up [URS-003] [URS-080]', async () => {
  const { server, instance, clock, custodian, system, key, keep, recover } = await arrange();
  const { id: other } = await server.admit('keys.create', custodian, { system });
  const putBack = await keep();
  await server.admit('keys.rotate', custodian, { key });
  await server.admit('keys.revoke', custodian, { key, cause: 'cessation', reason });
  await putBack();
  await recover();
  assert.deepEqual(await reconcile(instance), []);
  const shown = await server.admit('keys.show', custodian, { key });
  assert.deepEqual([shown.key.state, shown.key.version, shown.versions.length], ['deactivated', 2, 1]);
  await server.admit('keys.set-rotation', custodian, { key, recipientPeriodDays: 5, reason });
  await server.admit('keys.set-rotation', custodian, { key, periodDays: null, reason });
  await server.admit('keys.set-rotation-policy', custodian, { periodDays: 100, reason });
  for (let run = 0; run < 2; run++) {
    await server.runJobs();
    clock.time += 1000;
  }
  const { keys } = await server.admit('keys.list', custodian, {});
  assert.equal(keys.find(({ id }) => id === other)?.rotationPeriodDays, 100);
  const left = await instance.database.read((tx) =>
    tx.selectFrom('job').select('name').where('task', '=', policyTask).execute(),
  );
  assert.deepEqual(left, []);
});
