import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { generateKey, openCompact, sealCompact } from '@trialkeep/crypto';
import { createDatabase, openDatabase } from '../platform/database.ts';
import type { Database } from '../platform/database.ts';
import { newId, noTenant } from '../platform/ids.ts';
import { createRoot } from '../roots/index.ts';
import type { EpochKey } from '../roots/index.ts';
import { ShredStore } from '../shred/index.ts';
import { Hierarchy } from './hierarchy.ts';
import { checkRow, deriveRowKey, sealRow } from './row-seal.ts';
import { insertKey, insertVersion } from './store.ts';

const context = { class: 'form' };
const plaintext = Buffer.from('a value');

async function makeHierarchy(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-hierarchy-'));
  const files = { main: join(folder, 'main.db'), shred: join(folder, 'shred.db') };
  createDatabase(files.main, 'main');
  createDatabase(files.shred, 'shred');
  const database: Database = openDatabase(files.main, 'main');
  const shred = ShredStore.open(files.shred);
  t.after(async () => {
    await database.close();
    await shred.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const { epochs } = await createRoot(join(folder, 'root'));
  const parts = { epochs, instanceKey: generateKey('AES_256'), database, shred };
  const hierarchy = new Hierarchy(parts);
  const tenants: string[] = [];
  for (const name of ['one', 'two']) {
    const id = newId();
    const { versionId, wrapped } = hierarchy.newTenantKey(id);
    const row = { id, account: name, name, key_version: versionId, wrapped_key: wrapped, created_at: 0 };
    await database.write((tx) => tx.insertInto('tenant').values(row).execute());
    tenants.push(id);
  }
  const [one = '', two = ''] = tenants;
  /** The hierarchy after a restart, perhaps with another epoch key. */
  const again = (current = () => epochs.current()): Hierarchy =>
    new Hierarchy({ ...parts, epochs: { current, open: current, refresh: () => new Map() } });
  return { hierarchy, database, shredFile: files.shred, one, two, again };
}

test("a tenant's key wrapped in another tenant's row does not open [URS-049] [URS-008]", async (t) => {
  const { database, one, two, again } = await makeHierarchy(t);
  const row = await database.read((snapshot) =>
    snapshot.selectFrom('tenant').selectAll().where('id', '=', one).executeTakeFirstOrThrow(),
  );
  const { key_version, wrapped_key } = row;
  await database.write((tx) =>
    tx.updateTable('tenant').set({ key_version, wrapped_key }).where('id', '=', two).execute(),
  );
  const hierarchy = again();
  await hierarchy.tenantKey(one);
  await assert.rejects(hierarchy.tenantKey(two), { code: 'database.altered' });
});

test('a ciphertext of one tenant does not open under the same key id of another [URS-049]', async (t) => {
  const { hierarchy, one, two } = await makeHierarchy(t);
  const alias = '00112233445566778899aabbccddeeff';
  const key = await hierarchy.createShreddable(one, 'subject', alias);
  const ciphertext = sealCompact({ ...key, context, plaintext });
  assert.deepEqual(openCompact({ ...key, context, ciphertext }), plaintext);
  assert.equal(await hierarchy.shreddable(two, 'subject', alias), undefined);
  assert.equal(await hierarchy.shreddable(one, 'study', alias), undefined);
});

test('study and subject keys survive a restart, and are unknown once their row is gone [URS-008]', async (t) => {
  const { hierarchy, one, again } = await makeHierarchy(t);
  const alias = 'ffeeddccbbaa99887766554433221100';
  const made = await hierarchy.createShreddable(one, 'subject', alias);
  const ciphertext = sealCompact({ ...made, context, plaintext });
  const found = await again().shreddable(one, 'subject', alias);
  assert.ok(found);
  assert.deepEqual(openCompact({ ...found, context, ciphertext }), plaintext);
  assert.equal(await again().shreddable(one, 'subject', '0'.repeat(32)), undefined);
});

test('a seal fits the fields and the table that it was made for, and no others [URS-002] [URS-049]', () => {
  const rowKey = deriveRowKey(generateKey('AES_256'));
  const fields = ['id', 'active', 1, null];
  const seal = sealRow(rowKey, 'key', fields);
  assert.doesNotThrow(() => checkRow(rowKey, 'key', fields, seal));
  const altered = { code: 'database.altered' };
  assert.throws(() => checkRow(rowKey, 'key', ['id', 'revoked', 1, null], seal), altered);
  assert.throws(() => checkRow(rowKey, 'key', ['id', 'active', '1', null], seal), altered);
  assert.throws(() => checkRow(rowKey, 'credential', fields, seal), altered);
  assert.throws(() => checkRow(deriveRowKey(generateKey('AES_256')), 'key', fields, seal), altered);
  assert.throws(() => checkRow(rowKey, 'key', fields, seal.subarray(0, 31)), altered);
});

test("a study's or subject's key put in another's place does not open [URS-008] [URS-049]", async (t) => {
  const { hierarchy, shredFile, one, two, again } = await makeHierarchy(t);
  const id = (digit: string): string => digit.repeat(32);
  for (const digit of ['a', 'b']) await hierarchy.createShreddable(one, 'subject', id(digit));
  await hierarchy.createShreddable(two, 'subject', id('c'));
  await hierarchy.createShreddable(one, 'study', id('d'));
  const shred = new DatabaseSync(shredFile, { timeout: 5000 });
  t.after(() => shred.close());
  const rows = new Map(
    shred
      .prepare('select id, version, wrapped_secret from shreddable_key')
      .all()
      .map((row) => [row['id'], row] as const),
  );
  for (const other of ['b', 'c', 'd']) {
    const { version, wrapped_secret } = rows.get(id(other)) ?? assert.fail();
    shred
      .prepare('update shreddable_key set version = ?, wrapped_secret = ? where id = ?')
      .run(version ?? null, wrapped_secret ?? null, id('a'));
    await assert.rejects(again().shreddable(one, 'subject', id('a')), { code: 'database.altered' }, other);
  }
  shred.prepare("update shreddable_key set kind = 'study', id = ? where id = ?").run(id('e'), id('b'));
  await assert.rejects(again().shreddable(one, 'study', id('e')), { code: 'database.altered' });
});

test('a stale copy of the shred store does not open under the next epoch key [URS-008]', async (t) => {
  const { hierarchy, one, again } = await makeHierarchy(t);
  const alias = '00112233445566778899aabbccddeeff';
  await hierarchy.createShreddable(one, 'subject', alias);
  const next: EpochKey = {
    number: 2,
    id: newId(),
    key: {
      key: createSecretKey(randomBytes(32)),
      keyVersionId: randomBytes(16),
      tenantId: noTenant,
      keyId: randomBytes(16),
    },
  };
  const later = again(async () => next);
  await assert.rejects(later.shreddable(one, 'subject', alias), { code: 'database.altered' });
  assert.ok(await again().shreddable(one, 'subject', alias));
});

test('versions of a key open under their own key and tenant alone [URS-049]', async (t) => {
  const { hierarchy, database, one, two, again } = await makeHierarchy(t);
  const [key, other] = [newId(), newId()];
  const made = await hierarchy.newSystemKeyVersion(one, key, { algorithm: 'AES_256', purpose: 'encrypt' });
  const rowKey = await hierarchy.rowKey(one);
  await database.write(async (tx) => {
    const system = { id: 's', tenant: one, name: 's', type: 'edc', vendor: 'v', created_at: 0 };
    await tx.insertInto('system').values(system).execute();
    for (const id of [key, other]) await insertKey(tx, rowKey, keyRow(id, one, 's'));
    const { versionId: id, wrapped: wrapped_secret } = made;
    await insertVersion(tx, rowKey, { id, key, version: 1, wrapped_secret, created_at: 0 });
  });
  const found = await again().systemKeyVersion(one, key, made.versionId);
  assert.ok(found);
  assert.equal(await again().systemKeyVersion(one, other, made.versionId), undefined);
  await assert.rejects(again().systemKeyVersion(two, key, made.versionId), { code: 'database.altered' });
  await database.write((tx) => tx.updateTable('key_version').set({ key: other }).execute());
  await assert.rejects(again().systemKeyVersion(one, other, made.versionId), { code: 'database.altered' });
});

function keyRow(id: string, tenant: string, system: string) {
  return {
    id,
    tenant,
    system,
    description: '',
    algorithm: 'AES_256',
    purpose: 'encrypt',
    state: 'active' as const,
    version: 1,
    created_at: 0,
    activates_at: null,
    expires_at: null,
    rotation_period_days: 90,
    rotation_due_at: 0,
    revocation_cause: null,
    revoked_at: null,
    use_logged: 0 as const,
    own_rotation: 0 as const,
    recipient_period_days: null,
    destruction_due_at: null,
    protection: 'software' as const,
    imported: 0 as const,
    exportable: 0 as const,
  };
}
