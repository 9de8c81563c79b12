/** What becomes of keys in an HSM when processes, tokens and rows do not do what they should. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { beginEffect, settleWith } from '../effects/index.ts';
import { skip } from '../hsm-token.fixture.test.ts';
import { entriesOf, openNode, stores, until } from '../installation.fixture.test.ts';
import { scheduleDestruction } from './destruction.ts';
import { keepVersion, newVersion } from './resident.ts';
import { arrange, objectsOf, processesOf } from './resident-scene.fixture.test.ts';
import { findKey, updateKey } from './store.ts';

const objectEffects = { begin: beginEffect, settle: settleWith };
const plaintext = Buffer.from('x').toString('base64');
const reason = 'test';
const unreachable = { code: 'key.module_unreachable' };
const gone = { code: 'key.module_gone' };

for (const store of stores) {
  test(
    `${store.name}: a destroyed key takes its objects with it, and leaves an entry of each [URS-006] [URS-014]`,
    { skip: skip || store.skip },
    async (t) => {
      const { admit, create, change, serve, token, node, tenant } = await arrange(t, store);
      const [key, kept] = [await create(), await create()];
      await change('keys.rotate', key);
      assert.equal(objectsOf(token).length, 3);
      await admit('keys.revoke', { key, cause: 'cessation', reason });
      const { database, hierarchy } = node.instance;
      const rowKey = await hierarchy.rowKey(tenant);
      // What the approval of two others leads to.
      await database.write(async (tx) => {
        const row = await findKey(tx, rowKey, tenant, key);
        assert.ok(row);
        await updateKey(tx, rowKey, { ...row, destruction_due_at: 1 });
        await scheduleDestruction(tx, key, tenant, 1);
      });
      await node.rooms.jobs.start(node.rooms.handlers);
      const settled = async () =>
        (await entriesOf(node.instance, tenant)).filter(
          ({ operation, reason: what }) => operation === 'keys.settle-object' && what === 'object-removed',
        );
      await until(async () => (await settled()).length === 2);
      assert.deepEqual([...new Set((await settled()).map((entry) => entry['key']))], [key]);
      assert.equal(objectsOf(token).length, 1);
      const as = await serve(kept);
      await as('keys.encrypt', { key: kept, plaintext });
    },
  );
}

for (const [point, objects, outcome] of [
  ['before the object', 0, 'object-absent'],
  ['after the object', 1, 'object-removed'],
] as const) {
  test(`a crash ${point} was made leaves nothing in the token for good [URS-014]`, { skip }, async (t) => {
    const { installation, node, token, tenant, create } = await arrange(t);
    const key = await create();
    await node.close();
    const program = fileURLToPath(new URL('./resident.fixture.ts', import.meta.url));
    const child = spawn(process.execPath, [program, installation.data, tenant, key, point], {
      stdio: 'inherit',
    });
    t.after(() => child.kill('SIGKILL'));
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
    assert.equal(signal, 'SIGKILL');
    assert.equal(objectsOf(token).length, 1 + objects);
    const later = { now: () => Date.now() + 30 * 60_000 };
    const again = await openNode(t, installation, later);
    await again.rooms.effects.recover();
    await again.rooms.jobs.start(again.rooms.handlers);
    const outcomes = async () =>
      (await entriesOf(again.instance, tenant)).filter(({ operation }) => operation === 'keys.settle-object');
    await until(async () => (await outcomes()).length === 1);
    assert.deepEqual(
      (await outcomes()).map((entry) => [entry['key'], entry['reason']]),
      [[key, outcome]],
    );
    assert.equal(objectsOf(token).length, 1);
  });
}

test(
  'a change that comes too late for its object is refused, and what was made goes [URS-014]',
  { skip },
  async (t) => {
    const { node, tenant, create } = await arrange(t);
    const key = await create();
    const { hierarchy, ledger, database } = node.instance;
    const kind = { algorithm: 'AES_256', purpose: 'encrypt', protection: 'hsm' } as const;
    const made = await newVersion(
      { hierarchy, ledger, facts: node.rooms.facts, objectEffects },
      tenant,
      key,
      kind,
    );
    const keep = (time: number) => database.write((tx) => keepVersion(tx, made, time));
    await assert.rejects(keep(Date.now() + 11 * 60_000), unreachable);
    await keep(Date.now());
    await assert.rejects(keep(Date.now()), unreachable);
  },
);

test(
  'a token that is taken away answers 503 with nothing half-done, and works when it is back [URS-009] [URS-014]',
  { skip },
  async (t) => {
    const { create, createKey, serve, token, node, tenant } = await arrange(t);
    const [key, software] = [await create(), await createKey()];
    const as = await serve(key, software);
    await as('keys.encrypt', { key, plaintext });
    const before = (await entriesOf(node.instance, tenant)).length;
    renameSync(token.tokens, `${token.tokens}-away`);
    for (const pid of processesOf(node)) process.kill(pid, 'SIGKILL');
    await assert.rejects(as('keys.encrypt', { key, plaintext }), unreachable);
    await assert.rejects(create(), unreachable);
    await as('keys.encrypt', { key: software, plaintext });
    const told = (await entriesOf(node.instance, tenant)).slice(before);
    assert.deepEqual(
      told.map(({ operation, outcome, code }) => [operation, outcome, code]),
      [
        ['keys.encrypt', 'failed', 'key.module_unreachable'],
        ['keys.create', 'failed', 'key.module_unreachable'],
        ['keys.encrypt', 'success', undefined],
      ],
    );
    assert.equal(node.notes.filter((note) => note.includes('The HSM that keys stay in fails.')).length, 1);
    renameSync(`${token.tokens}-away`, token.tokens);
    await until(() =>
      as('keys.encrypt', { key, plaintext }).then(
        () => true,
        () => false,
      ),
    );
  },
);

test(
  'a process that hangs is given up after its time, and replaced; others wait in a bounded line [URS-009] [URS-014]',
  { skip },
  async (t) => {
    const { create, serve, node } = await arrange(t, undefined, {
      timeoutSeconds: 5,
      processes: 2,
      sessions: 2,
    });
    const key = await create();
    const as = await serve(key);
    await Promise.all(Array.from({ length: 16 }, () => as('keys.encrypt', { key, plaintext })));
    const pids = processesOf(node);
    assert.equal(pids.length, 2);
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    await assert.rejects(as('keys.encrypt', { key, plaintext }), unreachable);
    await until(() =>
      as('keys.encrypt', { key, plaintext }).then(
        () => true,
        () => false,
      ),
    );
    assert.notDeepEqual(processesOf(node), pids);
  },
);

test(
  'an object that is gone makes its own key unusable, and the status says which [URS-014]',
  { skip },
  async (t) => {
    const { create, change, serve, admit, token, node } = await arrange(t);
    const [key, other] = [await create(), await create()];
    const as = await serve(key, other);
    const { objects } = node.rooms;
    await objects.look();
    assert.ok(!(await objects.limits()).some((limit) => limit.includes(key)));
    const { versions } = await admit('keys.show', { key });
    await node.instance.hierarchy.tokenKeys.remove({ tenant: '', key, version: versions[0]?.id ?? '' });
    await assert.rejects(as('keys.encrypt', { key, plaintext }), gone);
    await as('keys.encrypt', { key: other, plaintext });
    await objects.look();
    assert.ok((await objects.limits()).some((limit) => limit.includes(key) && !limit.includes(other)));
    await change('keys.rotate', key);
    await as('keys.encrypt', { key, plaintext });
    assert.equal(objectsOf(token).length, 2);
  },
);

test('without its HSM a server starts, says so, and uses all other keys [URS-014]', { skip }, async (t) => {
  const { create, createKey, credential, installation, node } = await arrange(t);
  const [key, software] = [await create(), await createKey()];
  const secret = await credential(key, software);
  await node.close();
  rmSync(join(installation.data, 'hsm.json'));
  const again = await openNode(t, installation);
  await again.rooms.objects.look();
  const limits = await again.rooms.objects.limits();
  assert.ok(limits.some((limit) => limit.includes('cannot be looked for')));
  const encrypt = (of: string) =>
    again.rooms.gate.admit({
      operation: 'keys.encrypt',
      input: { key: of, plaintext },
      authorization: `Bearer ${secret}`,
      source: '192.0.2.1',
      requestId: 'request',
    });
  await encrypt(software);
  await assert.rejects(encrypt(key), unreachable);
});

test(
  'a row that names another version, or another token, is not believed [URS-008] [URS-014]',
  { skip },
  async (t) => {
    const { create, createKey, serve, node, change } = await arrange(t);
    const [key, software] = [await create(), await createKey()];
    const as = await serve(key, software);
    const { database } = node.instance;
    const altered = { code: 'server.data_altered' };
    for (const [table, column, value, of] of [
      ['key_version', 'token', 'token of another, serial 1', key],
      ['key_version', 'token', 'token of another, serial 1', software],
      ['key', 'protection', 'software', key],
    ] as const) {
      const where = table === 'key' ? 'id' : 'key';
      const [before] = await database.read((tx) =>
        tx
          .selectFrom(table)
          .selectAll()
          .where(where as 'id', '=', of)
          .execute(),
      );
      await database.write((tx) =>
        tx
          .updateTable(table)
          .set({ [column]: value })
          .where(where as 'id', '=', of)
          .execute(),
      );
      await createKey();
      await assert.rejects(as('keys.encrypt', { key: of, plaintext }), altered, `${table}.${column}`);
      const back = (before as Record<string, unknown>)[column];
      await database.write((tx) =>
        tx
          .updateTable(table)
          .set({ [column]: back })
          .where(where as 'id', '=', of)
          .execute(),
      );
    }
    await change('keys.rotate', key);
    await as('keys.encrypt', { key, plaintext });
  },
);

test('a wrong PIN is tried once, and not again until its file changes [URS-014]', { skip }, async (t) => {
  const { create, installation, node, token } = await arrange(t);
  await create();
  await node.close();
  const file = join(installation.data, 'hsm-pin');
  writeFileSync(file, 'nonsense\n');
  const again = await openNode(t, installation);
  const { tokenKeys } = again.instance.hierarchy;
  // More often than a token bears.
  for (let attempt = 0; attempt < 12; attempt += 1) await assert.rejects(tokenKeys.describe(), unreachable);
  rmSync(file);
  writeFileSync(file, `${token.pin} \n`, { mode: 0o600 });
  assert.match((await tokenKeys.describe()).manufacturer, /SoftHSM/);
});

test('what needs the material itself is refused by its name [URS-014]', { skip }, async (t) => {
  const { create, node, tenant, admit } = await arrange(t);
  const key = await create();
  const { versions } = await admit('keys.show', { key });
  const { hierarchy } = node.instance;
  await assert.rejects(hierarchy.systemKeyVersion(tenant, key, versions[0]?.id ?? ''), {
    code: 'key.resident',
  });
});
