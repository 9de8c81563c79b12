import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { findPayloads, openPayload } from '../audit/index.ts';
import { openInstance } from '../instance/index.ts';
import type { Node } from '../installation.fixture.test.ts';
import {
  entriesOf,
  makeFolder,
  makeInstallation,
  makeTenant,
  openNode,
  stores,
} from '../installation.fixture.test.ts';
import { sealRow } from '../keys/index.ts';
import { systemClock } from '../platform/clock.ts';
import { dataDirectory, databaseLocations } from '../platform/config.ts';
import { StartupError } from '../platform/errors.ts';
import { reconcile } from '../reconcile.ts';
import { replaceRoot } from './index.ts';
import { sealedTables, wrappedColumns } from './sealed-tables.ts';
import { sealsAndWrappings } from './store.ts';

const settings = { kind: 'passphrase' } as const;
const reason = 'The operator who knew the passphrase has left in anger.';
const [sqlite = assert.fail()] = stores;
const plaintext = Buffer.from('blood pressure').toString('base64');

test('every seal and wrapped key of the database is known to a replacement [URS-008]', async (t) => {
  const installation = await makeInstallation(t, sqlite);
  const { instance } = await openNode(t, installation);
  const found = await instance.database.read(sealsAndWrappings);
  const known = [
    ...sealedTables.map(({ table }) => `${table}.seal`),
    'instance_root.seal',
    ...wrappedColumns,
  ];
  assert.deepEqual(
    found.filter((place) => !known.includes(place)),
    [],
  );
  const tables = sealedTables.map(({ table }) => `${table}.seal`);
  assert.deepEqual(
    tables.filter((place) => !found.includes(place)),
    [],
  );
});

for (const store of stores) {
  const title = `a compromised root is replaced on ${store.name} with every key and seal, and everything is used on`;
  test(`${title} [URS-008] [URS-009] [URS-085]`, { skip: store.skip }, async (t) => {
    const installation = await makeInstallation(t, store);
    const { data, env, administrator } = installation;
    const node = await openNode(t, installation);
    const tenant = await makeTenant(node, administrator);
    const key = await tenant.createKey();
    const { id: study } = await tenant.admit('studies.create', { protocol: 'P-1' });
    const { alias } = await tenant.admit('subjects.create', { study, number: '001' });
    await tenant.admit('holds.place', { key, kind: 'legal', reason: 'test' });
    const { secret } = await tenant.admit('credentials.issue', {
      name: 'edc',
      role: 'service',
      system: tenant.system,
      keys: [key],
    });
    const asked = { authorization: `Bearer ${secret}`, source: '192.0.2.1', requestId: 'request' };
    const encrypt = (rooms: Node['rooms']) =>
      rooms.gate.admit({ operation: 'keys.encrypt', ...asked, input: { key, plaintext } });
    const { ciphertext } = await encrypt(node.rooms);
    await node.close();
    const databases = databaseLocations(dataDirectory(data), env);
    const oldRoot = join(makeFolder(t), 'root');
    cpSync(join(data, 'root'), oldRoot, { recursive: true });

    const folder = join(makeFolder(t), 'root');
    const report = await replaceRoot(data, { folder, settings, reason }, { databases });
    assert.deepEqual([report.tenants, report.versions, report.left], [1, 1, 0]);
    const listed = JSON.parse(readFileSync(report.file, 'utf8')) as { owners: { versions: object[] }[] };
    const versions = listed.owners.flatMap((owner) => owner.versions);
    assert.deepEqual(versions, [{ key, version: 1, purpose: 'encrypt' }]);

    const again = await openNode(t, installation);
    assert.deepEqual(again.instance.recovery, []);
    assert.deepEqual(await reconcile(again.instance), []);
    assert.equal(again.instance.root.id, report.root);
    assert.ok(await again.instance.hierarchy.shreddable(tenant.tenant, 'subject', alias));
    const opened = { operation: 'keys.decrypt', ...asked, input: { key, ciphertext } } as const;
    assert.equal((await again.rooms.gate.admit(opened)).plaintext, plaintext);
    assert.equal((await encrypt(again.rooms)).version, 2);
    const entries = await entriesOf(again.instance, tenant.tenant);
    const told = entries
      .map(({ operation }) => operation)
      .filter((each) => /replace-root|-key$|rotate/.test(String(each)));
    assert.deepEqual(told, [
      'instance.replace-root',
      'ledger.rotate-key',
      'keys.rotate',
      'ledger.retire-key',
    ]);
    await again.close();

    // The old root, with all that its folder had, opens neither the database of now nor the shred store.
    assert.ok(!existsSync(join(data, 'root', 'epoch.json')));
    const withOld = openInstance(data, {
      clock: systemClock,
      notes: { warn: () => undefined },
      databases,
      rootFolder: oldRoot,
    });
    await assert.rejects(withOld, (error) => error instanceof StartupError && error.code === 'root.retired');
  });
}

test('killed at any step, a replacement goes on, and nothing else opens what is half done [URS-008] [URS-083]', async (t) => {
  const installation = await makeInstallation(t, sqlite);
  const { data, administrator } = installation;
  const node = await openNode(t, installation);
  const tenant = await makeTenant(node, administrator);
  await tenant.createKey();
  const { id: study } = await tenant.admit('studies.create', { protocol: 'P-1' });
  await tenant.admit('subjects.create', { study, number: '001' });
  const { database, hierarchy } = node.instance;
  const waiting = importOf(tenant, await hierarchy.rowKey(tenant.tenant));
  await database.write((tx) => tx.insertInto('key_import').values(waiting).execute());
  await node.close();
  const folder = join(makeFolder(t), 'root');
  const breakGlass = 'Nobody else can be reached.';
  const seen: string[] = [];
  for (let done = false; !done;) {
    let last = '';
    try {
      const atStep = (step: string): void => {
        last = step;
        if (seen.includes(step)) return;
        seen.push(step);
        throw new Error('The power went.');
      };
      await replaceRoot(data, { folder, settings, reason, breakGlass }, { atStep });
      done = true;
    } catch (error) {
      assert.match(String(error), /The power went/, last);
      const begun = seen.includes('swapped');
      const opening = openInstance(data, { clock: systemClock, notes: { warn: () => undefined } });
      if (begun) await assert.rejects(opening, /root\.|replacement|retired/i);
      else {
        await (await opening).close();
        // Nothing else would retire them there.
        assert.ok(!existsSync(join(folder, 'epoch.json')), last);
      }
    }
  }
  assert.ok(seen.length > 7, seen.join());
  const again = await openNode(t, installation);
  assert.deepEqual(await reconcile(again.instance), []);
  const subjects = await again.instance.database.read((tx) => tx.selectFrom('subject').selectAll().execute());
  assert.equal(subjects.length, 1);
  assert.ok(await again.instance.hierarchy.shreddable(tenant.tenant, 'study', study));
  const entries = await entriesOf(again.instance, tenant.tenant);
  for (const operation of ['instance.replace-root', 'keys.rotate'])
    assert.equal(entries.filter((entry) => entry['operation'] === operation).length, 1, operation);
  const { instance } = again;
  const logs = [instance.ledger.instanceLog, await instance.ledger.openOfTenant(tenant.tenant)];
  const told = logs.map(async (log = assert.fail()) => {
    const found = await instance.database.read((tx) => findPayloads(tx, log, 0, log.size));
    const entry = found.find((each) => each.entry.operation === 'instance.replace-root') ?? assert.fail();
    const payload = JSON.stringify(await openPayload(instance.hierarchy, log, entry));
    return [entry.entry.reason, /importsEnded\D+(\d+)/.exec(payload)?.[1]];
  });
  assert.deepEqual(await Promise.all(told), [
    ['break-glass', '0'],
    ['root-compromised', '1'],
  ]);
});

/** An import that waits for its material. */
function importOf(
  { tenant, system }: { readonly tenant: string; readonly system: string },
  rowKey: KeyObject,
) {
  const empty = new Uint8Array(0);
  const row = {
    id: randomUUID(),
    tenant,
    requester: randomUUID(),
    token_hash: empty,
    wrapping_algorithm: 'RSAES_OAEP_SHA_256',
    wrapped_key: empty,
    key: randomUUID(),
    is_version: 0 as const,
    system,
    algorithm: 'AES_256',
    purpose: 'encrypt',
    description: '',
    exportable: 0 as const,
    key_expires_at: null,
    tries: 0,
    ends_at: 0,
  };
  const [fields = assert.fail()] = sealedTables.find(({ table }) => table === 'key_import')?.forms ?? [];
  return { ...row, seal: sealRow(rowKey, 'key_import', fields(row as never)) };
}

test('a row that was changed behind the server is not sealed anew [URS-008]', async (t) => {
  const installation = await makeInstallation(t, sqlite);
  const { data, administrator } = installation;
  const node = await openNode(t, installation);
  const tenant = await makeTenant(node, administrator);
  await tenant.createKey();
  await node.close();
  const database = new DatabaseSync(join(data, 'state', 'trialkeep.db'));
  database.exec(
    'update invitation set expires_at = expires_at + 1; update tenant_seal set changed_at = changed_at + 1',
  );
  database.close();
  const folder = join(makeFolder(t), 'root');
  await assert.rejects(replaceRoot(data, { folder, settings, reason }), /does not carry the seal/);
  assert.notEqual((await openNode(t, installation)).instance.directory.root, folder);
});
