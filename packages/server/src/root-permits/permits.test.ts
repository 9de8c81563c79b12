import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf, makePerson, password, signIn } from '../people.fixture.test.ts';
import type { House, TestPerson } from '../people.fixture.test.ts';
import { makeServer, refusal } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import { activateRoot, addStandby, openInstance } from '../instance/index.ts';
import { makeFolder } from '../installation.fixture.test.ts';
import { systemClock } from '../platform/clock.ts';
import { StartupError } from '../platform/errors.ts';
import { reconcile } from '../reconcile.ts';
import { bringInLine } from '../recovery/index.ts';
import { needsPermit, takePermit } from './index.ts';

const reason = 'The token is to be exchanged.';
const passphrase = { kind: 'passphrase' } as const;

type Present = TestPerson & { readonly session: string };

/** People who administer the installation, signed in. */
async function administrators(server: TestServer): Promise<Present[]> {
  const house: House = {
    admit: server.admit,
    clock: server.clock,
    managers: { one: '', two: '', instance: server.administrator },
    logs: { one: { tenant: null }, two: { tenant: null }, instance: { tenant: null } },
  };
  const people: Present[] = [];
  for (let i = 0; i < 3; i++) {
    const person = await makePerson(house, `admin-${randomUUID()}`, ['instance-administrator'], 'instance');
    people.push({ ...person, session: (await signIn(house, person)).secret });
  }
  return people;
}

/** One of them asks, the others approve, and it is carried out. */
async function permitted(
  server: TestServer,
  [asks, ...others]: readonly Present[],
  input: { readonly change: 'add-standby' | 'activate' | 'replace'; readonly root?: string },
): Promise<void> {
  const kept: unknown = await server
    .admit('roots.permit-change', asks?.session ?? '', { ...input, reason })
    .catch((error: unknown) => error);
  const { approval = '' } = kept as { approval?: string };
  for (const { session, secret } of others) {
    const shown = await server.admit('approvals.show', session, { approval });
    server.clock.time += 60_000;
    const signature = { password, code: codeOf(secret, server.clock.time) };
    await server.admit('approvals.approve', session, { approval, hash: shown.approval.hash, signature });
  }
  await server.runJobs();
}

/** The installation as it is now, on its own: nothing is written while it is copied. */
function copied(server: TestServer, folder: string): string {
  const data = join(folder, 'data');
  cpSync(server.instance.directory.path, data, { recursive: true });
  return data;
}

const notPermitted = (error: unknown): boolean =>
  error instanceof StartupError && error.code === 'root.not_permitted';

test('where there are people enough, a root changes by a permit of theirs, once, or with a broken glass [URS-009] [URS-010]', async (t) => {
  const server = await makeServer(t);
  const standby = join(makeFolder(t), 'standby');
  // Nobody can approve anything yet, and who has the machine changes its roots alone.
  await addStandby(copied(server, makeFolder(t)), join(makeFolder(t), 'other'), passphrase);
  const people = await administrators(server);
  await assert.rejects(
    addStandby(copied(server, makeFolder(t)), join(makeFolder(t), 'other'), passphrase),
    notPermitted,
  );
  await permitted(server, people, { change: 'add-standby' });
  const { permits } = await server.admit('roots.list-permits', people[0]?.session ?? '', {});
  assert.deepEqual(
    permits.map(({ change, root, usedAt }) => [change, root, usedAt]),
    [['add-standby', null, null]],
  );

  const data = copied(server, makeFolder(t));
  const { id } = await addStandby(data, standby, passphrase);
  // Gone on with, it takes no other permit; another one does.
  await addStandby(data, standby, passphrase);
  await assert.rejects(addStandby(data, join(makeFolder(t), 'second'), passphrase), notPermitted);
  await assert.rejects(activateRoot(data, standby), notPermitted);
  await activateRoot(data, standby, { breakGlass: 'The active token is dead, and nobody can be reached.' });

  const instance = await openInstance(data, { clock: systemClock, notes: { warn: () => undefined } });
  t.after(() => instance.close());
  assert.equal(instance.root.id, id);
  assert.deepEqual(await reconcile(instance), []);
  const rows = await instance.database.read((tx) =>
    tx.selectFrom('ledger_entry').select('bytes').where('log', '=', instance.ledger.instanceLog.id).execute(),
  );
  const entries = rows.map(
    ({ bytes }) => JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>,
  );
  const changes = entries.filter(({ operation }) => String(operation).endsWith('-root'));
  assert.deepEqual(
    changes.map(({ operation, reason: why, approval }) => [operation, why, approval === undefined]),
    [
      ['instance.add-root', undefined, false],
      ['instance.add-root', undefined, true],
      ['instance.activate-root', 'break-glass', true],
    ],
  );
});

test('a permit ends with its time, is for one change and root, and put back unused is noticed [URS-008] [URS-010]', async (t) => {
  const server = await makeServer(t);
  const people = await administrators(server);
  const [asks] = people;
  for (const input of [{ change: 'activate' }, { change: 'replace', root: randomUUID() }] as const) {
    await assert.rejects(
      server.admit('roots.permit-change', asks?.session ?? '', { ...input, reason }),
      refusal('root_permit.root'),
    );
  }
  await permitted(server, people, { change: 'add-standby' });
  const { database, hierarchy, ledger } = server.instance;
  const rowKey = await hierarchy.rowKey(null);
  const isNeeded = await database.read((tx) => needsPermit(tx, rowKey, ledger.instanceLog.id, 'evaluation'));
  assert.ok(isNeeded);
  const data = copied(server, makeFolder(t));
  const unused = await database.read((tx) => tx.selectFrom('root_permit').selectAll().execute());
  await addStandby(data, join(makeFolder(t), 'standby'), passphrase);
  const instance = await openInstance(data, { clock: systemClock, notes: { warn: () => undefined } });
  t.after(() => instance.close());
  await instance.database.write(async (tx) => {
    await tx.deleteFrom('root_permit').execute();
    await tx.insertInto('root_permit').values(unused).execute();
  });
  assert.match((await reconcile(instance)).join(), /unused in the database and used in the ledger/);
  const { id: log } = instance.ledger.instanceLog;
  const wanted = { change: 'add-standby', root: null, log, time: server.clock.time } as const;
  await assert.rejects(
    instance.database.write((tx) => takePermit(tx, rowKey, wanted)),
    notPermitted,
  );
  await bringInLine(instance, instance.ledger.instanceLog, {});
  assert.deepEqual(await reconcile(instance), []);
  const [row] = await instance.database.read((tx) => tx.selectFrom('root_permit').selectAll().execute());
  assert.ok(row !== undefined && row.used_at !== null);
});

test('under the regulated profile a permit is needed however few people there are [URS-010] [URS-085]', async (t) => {
  const { instance } = await makeServer(t);
  const rowKey = await instance.hierarchy.rowKey(null);
  const { id } = instance.ledger.instanceLog;
  const needed = (profile: 'evaluation' | 'regulated') =>
    instance.database.read((tx) => needsPermit(tx, rowKey, id, profile));
  assert.deepEqual([await needed('evaluation'), await needed('regulated')], [false, true]);
});
