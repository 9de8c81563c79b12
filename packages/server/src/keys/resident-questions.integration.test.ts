/** What one question gets wrong fails that question, and no other: all tenants share the HSM. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { configureHsm, makeToken, skip } from '../hsm-token.fixture.test.ts';
import { entriesOf, openNode, until } from '../installation.fixture.test.ts';
import { tellingEntries } from '../audit/index.ts';
import { beginEffect, settleWith } from '../effects/index.ts';
import { scheduleDestruction } from './destruction.ts';
import { recoverKeys } from './recover.ts';
import { arrange, objectsOf, processesOf } from './resident-scene.fixture.test.ts';
import { findKey, updateKey } from './store.ts';

const plaintext = Buffer.from('x').toString('base64');
const unreachable = { code: 'key.module_unreachable' };

test(
  'an empty message is signed and authenticated in the HSM like any other [URS-014]',
  { skip },
  async (t) => {
    const { create, serve, node } = await arrange(t);
    const mac = await create({ algorithm: 'HMAC_256' });
    const ed = await create({ algorithm: 'ED25519', purpose: 'sign' });
    const as = await serve(mac, ed);
    const before = processesOf(node);
    const made = await as('keys.generate-mac', { key: mac, message: '' });
    assert.equal((await as('keys.verify-mac', { key: mac, message: '', mac: made.mac })).valid, true);
    const { signature } = await as('keys.sign', { key: ed, message: '' });
    assert.equal((await as('keys.verify', { key: ed, message: '', signature })).valid, true);
    assert.deepEqual(processesOf(node), before);
  },
);

test(
  'what the token refuses of one question leaves its process to the others [URS-009] [URS-014]',
  { skip },
  async (t) => {
    const { admit, create, serve, node } = await arrange(t);
    const signing = await create({ algorithm: 'RSA_3072', purpose: 'sign' });
    const opening = await create({ algorithm: 'RSA_3072', purpose: 'decrypt' });
    const other = await create();
    const as = await serve(other);
    await as('keys.encrypt', { key: other, plaintext });
    const { tokenKeys } = node.instance.hierarchy;
    const versionOf = async (key: string) => {
      const { versions } = await admit('keys.show', { key });
      return { tenant: '', key, version: versions[0]?.id ?? '' };
    };
    const [signs, opens] = [await versionOf(signing), await versionOf(opening)];
    const before = processesOf(node);
    const tooLong = { digest: randomBytes(4000) };
    for (let time = 0; time < 3; time += 1) {
      const bad = assert.rejects(tokenKeys.sign(signs, 'RSASSA_PSS_SHA_256', tooLong), unreachable);
      const wrong = assert.rejects(tokenKeys.decrypt(opens, randomBytes(300)), {
        code: 'ciphertext.invalid',
      });
      await Promise.all([bad, wrong, as('keys.encrypt', { key: other, plaintext })]);
      await as('keys.encrypt', { key: other, plaintext });
    }
    assert.deepEqual(processesOf(node), before);
  },
);

test(
  'another token is not asked for the objects of the first, nor told to remove them [URS-006] [URS-014]',
  { skip },
  async (t) => {
    const { admit, create, credential, token, node, tenant, installation } = await arrange(t);
    const [key, kept] = [await create(), await create()];
    const secret = await credential(kept);
    await admit('keys.revoke', { key, cause: 'cessation', reason: 'test' });
    const { keys } = await admit('inventory.find', {});
    const named = keys.find(({ id }) => id === key)?.module.token;
    assert.ok(named);
    await node.close();
    const encrypt = (at: typeof node) =>
      at.rooms.gate.admit({
        operation: 'keys.encrypt',
        input: { key: kept, plaintext },
        authorization: `Bearer ${secret}`,
        source: '192.0.2.1',
        requestId: 'request',
      });
    const elsewhere = makeToken(t);
    configureHsm(installation.data, elsewhere);
    const away = await openNode(t, installation);
    await assert.rejects(encrypt(away), unreachable);
    const { database, hierarchy } = away.instance;
    const rowKey = await hierarchy.rowKey(tenant);
    await database.write(async (tx) => {
      const row = await findKey(tx, rowKey, tenant, key);
      assert.ok(row);
      await updateKey(tx, rowKey, { ...row, destruction_due_at: 1 });
      await scheduleDestruction(tx, key, tenant, 1);
    });
    const about = async (of: typeof node, operation: string) =>
      (await entriesOf(of.instance, tenant)).filter((entry) => entry['operation'] === operation);
    await away.rooms.jobs.start(away.rooms.handlers);
    await until(async () => (await about(away, 'keys.destroy')).length === 1);
    const effects = () =>
      database.read((tx) =>
        tx.selectFrom('effect').select('state').where('state', '=', 'intended').execute(),
      );
    assert.equal((await effects()).length, 1);
    await away.close();
    assert.equal(objectsOf(token).length, 2);
    configureHsm(installation.data, token);
    const back = await openNode(t, installation, { now: () => Date.now() + 3_600_000 });
    await encrypt(back);
    await back.rooms.effects.recover();
    await back.rooms.jobs.start(back.rooms.handlers);
    await until(async () => (await about(back, 'keys.settle-object')).length === 1);
    assert.deepEqual(
      (await about(back, 'keys.settle-object')).map((entry) => [entry['key'], entry['reason']]),
      [[key, 'object-removed']],
    );
    assert.equal(objectsOf(token).length, 1);
    await back.close();
    // A token that has the objects of another answers for them, and says of one that it has not.
    configureHsm(installation.data, elsewhere, { sameAs: [named] });
    const cluster = await openNode(t, installation);
    await assert.rejects(encrypt(cluster), { code: 'key.module_gone' });
  },
);

test(
  'after a restore objects that no row has are named, and leave the HSM in a week [URS-006] [URS-014]',
  { skip },
  async (t) => {
    const { change, create, admit, token, node, tenant, installation } = await arrange(t);
    const [key, kept] = [await create(), await create()];
    await change('keys.rotate', key);
    const { versions } = await admit('keys.show', { key });
    const lost = versions[1]?.id ?? '';
    const { database, hierarchy, ledger } = node.instance;
    const rowKey = await hierarchy.rowKey(tenant);
    const log = await ledger.openOfTenant(tenant);
    assert.ok(log);
    // The database as a backup before the rotation has it.
    await database.write(async (tx) => {
      const row = await findKey(tx, rowKey, tenant, key);
      assert.ok(row);
      await updateKey(tx, rowKey, { ...row, version: 1 });
      await tx.deleteFrom('key_version').where('id', '=', lost).execute();
    });
    const objectEffects = { begin: beginEffect, settle: settleWith };
    const of = { tenant, rowKey, log: log.id, objectEffects };
    const entries = await tellingEntries(database, log.id);
    const recovery = await database.read((tx) => recoverKeys(hierarchy, tx, of, entries));
    assert.deepEqual(
      recovery.lost.filter((line) => line.includes('object')),
      [`Key ${key}: the row of its object ${lost}, which leaves the HSM in 7 days.`],
    );
    await database.write((tx) => recovery.apply(tx, Date.now()));
    const [job] = await database.read((tx) =>
      tx.selectFrom('job').selectAll().where('task', '=', 'effects.settle.keys.settle-object').execute(),
    );
    assert.ok(Number(job?.due_at) > Date.now() + 6 * 86_400_000);
    await node.close();
    assert.equal(objectsOf(token).length, 3);
    const later = await openNode(t, installation, { now: () => Date.now() + 8 * 86_400_000 });
    await later.rooms.jobs.start(later.rooms.handlers);
    const settled = async () =>
      (await entriesOf(later.instance, tenant)).filter(({ operation }) => operation === 'keys.settle-object');
    await until(async () => (await settled()).length > 0);
    assert.deepEqual(
      (await settled()).map((entry) => [entry['key'], entry['object'], entry['reason']]),
      [[key, lost, 'object-removed']],
    );
    assert.ok(kept);
  },
);

test(
  'data keys of a key that stays in the HSM are not registered, for they could not be wrapped anew in bulk [URS-003] [URS-014]',
  { skip },
  async (t) => {
    const { create, serve } = await arrange(t);
    const key = await create();
    const as = await serve(key);
    const { ciphertext } = await as('keys.generate-data-key', { key });
    await assert.rejects(as('data-keys.register', { key, dataKeys: [{ ciphertext }] }), {
      code: 'key.resident',
    });
  },
);
