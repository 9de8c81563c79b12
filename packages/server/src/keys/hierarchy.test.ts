import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { CryptoError, generateKey, openCompact, sealCompact } from '@trialkeep/crypto';
import { createDatabase, openDatabase } from '../platform/database.ts';
import type { Database } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import { createPassphraseRoot } from '../roots/index.ts';
import { ShredStore } from '../shred/index.ts';
import { Hierarchy } from './hierarchy.ts';
import { checkRow, deriveRowKey, sealRow } from './row-seal.ts';

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
  const root = await createPassphraseRoot(join(folder, 'root'));
  const parts = { root, instanceKey: generateKey('AES_256'), database, shred };
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
  return { hierarchy, database, shred, one, two, again: () => new Hierarchy(parts) };
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
  await assert.rejects(hierarchy.tenantKey(two), CryptoError);
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
