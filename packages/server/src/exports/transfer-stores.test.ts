/** Bringing and exporting keys on either store: two nodes, a restart in between, and rows that were put back. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { unwrapRsaAes, wrapRsaAes } from '@trialkeep/crypto';
import { tellingEntries } from '../audit/index.ts';
import { approveAndRun, arrange, askFor, reason } from '../dual-control.fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import { refusal } from '../fixture.test.ts';
import { recoverHolders } from '../holders/index.ts';
import {
  entriesOf,
  makeInstallation,
  openNode,
  openSecond,
  stores,
  until,
} from '../installation.fixture.test.ts';
import type { Installation, Node, Store } from '../installation.fixture.test.ts';
import { recoverImports } from '../keys/index.ts';
import { reconcile } from '../reconcile.ts';
import { recoverDestinations } from './index.ts';

const provenance = { source: 'Example HSM', statement: 'Made in the HSM.', reason };

/** A node, as the tests of people and approvals speak to it. */
function serverOf(
  { instance, rooms, notes }: Node,
  { administrator }: Installation,
  clock: TestServer['clock'],
): TestServer {
  const { database } = instance;
  const due = async (): Promise<number> =>
    (
      await database.read((tx) =>
        tx.selectFrom('job').select('name').where('due_at', '<=', clock.now()).execute(),
      )
    ).length;
  return {
    instance,
    rooms,
    clock,
    implementations: rooms.implementations,
    administrator,
    notes,
    admit: (operation, credential, input) =>
      rooms.gate.admit({
        operation,
        authorization: `Bearer ${credential}`,
        input,
        source: '192.0.2.1',
        requestId: 'request',
      }),
    entries: async (tenant) => entriesOf(instance, tenant),
    runJobs: async () => {
      await rooms.jobs.start(rooms.handlers);
      await until(async () => (await due()) === 0);
      await rooms.jobs.stop();
    },
  };
}

async function begin(t: TestContext, store: Store) {
  const installation = await makeInstallation(t, store);
  const clock = { time: Date.now() + 60_000, now: () => clock.time };
  const node = await openNode(t, installation, clock);
  return { installation, clock, node, server: serverOf(node, installation, clock) };
}

function parametersOf(server: TestServer, session: string, system: string) {
  const input = { system, algorithm: 'AES_256', wrappingAlgorithm: 'RSA_3072' } as const;
  return server.admit('keys.import-parameters', session, input);
}

function wrapFor(publicKey: string, material: Uint8Array): string {
  const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
  return wrapRsaAes(key, material).toString('base64');
}

async function newDestination(server: TestServer, custodian: string) {
  const pair = generateKeyPairSync('rsa', { modulusLength: 3072 });
  const publicKey = pair.publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  const place = { name: 'Sponsor', contact: 'x', publicKey };
  return { pair, destination: await server.admit('destinations.register', custodian, place) };
}

/** As if the backup were of before the export: what was wrapped is gone, and said to be. Gives the rows, which are there again. */
async function assertLossSaid(
  { instance: { database, hierarchy } }: TestServer,
  { tenant, log, now, ends }: { tenant: string; log: number; now: number; ends: number },
) {
  const rowKey = await hierarchy.rowKey(tenant);
  const waiting = await database.read((tx) => tx.selectFrom('key_export').selectAll().execute());
  const lostExports = async (time: number) => {
    const told = await tellingEntries(database, log);
    return database.write((tx) => recoverDestinations(tx, { tenant, rowKey, time }, told));
  };
  assert.deepEqual(await lostExports(now), []);
  await database.write((tx) => tx.deleteFrom('key_export').execute());
  const [gone, ...more] = await lostExports(now);
  assert.deepEqual(more, []);
  assert.match(String(gone), /^The export of version 1 of key .* have it approved anew\.$/);
  assert.deepEqual(await lostExports(ends), []);
  await database.write((tx) => tx.insertInto('key_export').values(waiting).execute());
  return waiting;
}

type Database = TestServer['instance']['database'];

const rowsOf = (database: Database) =>
  database.read(async (tx) => ({
    imports: await tx.selectFrom('key_import').selectAll().execute(),
    destinations: await tx.selectFrom('key_destination').selectAll().execute(),
    exports: await tx.selectFrom('key_export').selectAll().execute(),
  }));

/** The rows are as they were before, and what the export left behind is gone. */
async function putBack(
  database: Database,
  { imports, destinations, exports }: Awaited<ReturnType<typeof rowsOf>>,
): Promise<void> {
  await database.write(async (tx) => {
    await tx.insertInto('key_import').values(imports).execute();
    // The exports were retired with it.
    await tx.insertInto('key_export').values(exports).execute();
    for (const row of destinations) {
      await tx.updateTable('key_destination').set(row).where('id', '=', row.id).execute();
    }
    await tx.deleteFrom('known_material').execute();
    await tx.deleteFrom('holder').execute();
  });
}

for (const store of stores) {
  test(
    `a token is good on one of two nodes, and after a restart, on ${store.name} [URS-088]`,
    { skip: store.skip },
    async (t) => {
      const { installation, clock, node, server } = await begin(t, store);
      const { requester, system } = await arrange(server);
      const beside = await openSecond(t, installation, node, clock);
      const second = serverOf(beside, installation, clock);
      const asked = await parametersOf(server, requester.session, system);
      const bring = (on: TestServer, { publicKey, token }: typeof asked, material: Uint8Array) =>
        on.admit('keys.import', requester.session, {
          token,
          wrapped: wrapFor(publicKey, material),
          ...provenance,
        });
      const outcomes = await Promise.allSettled(
        [server, second].map((on) => bring(on, asked, randomBytes(32))),
      );
      assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
      // One material, two tokens, two nodes.
      const material = randomBytes(32);
      const [one, two] = [
        await parametersOf(server, requester.session, system),
        await parametersOf(second, requester.session, system),
      ];
      const same = await Promise.allSettled([bring(server, one, material), bring(second, two, material)]);
      assert.deepEqual(same.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
      const waiting = await parametersOf(server, requester.session, system);
      await beside.close();
      await node.close();
      const again = serverOf(await openNode(t, installation, clock), installation, clock);
      assert.equal((await bring(again, waiting, randomBytes(32))).origin, 'imported');
      assert.deepEqual(await reconcile(again.instance), []);
    },
  );

  test(
    `an approved export is carried out, and rows that were put back are brought in line, on ${store.name} [URS-010] [URS-080]`,
    { skip: store.skip },
    async (t) => {
      const { server, clock } = await begin(t, store);
      const arranged = await arrange(server);
      const { custodian, requester, system, tenant } = arranged;
      const { database, hierarchy, ledger } = server.instance;
      const { pair, destination } = await newDestination(server, custodian);
      const { id: key } = await server.admit('keys.create', custodian, { system, exportable: true });
      const asked = await parametersOf(server, requester.session, system);
      const before = await rowsOf(database);
      const wrapped = wrapFor(asked.publicKey, randomBytes(32));
      const brought = { token: asked.token, wrapped, ...provenance };
      await server.admit('keys.import', requester.session, brought);
      const { id, name, fingerprint } = destination;
      const named = { destination: id, destinationName: name, fingerprint };
      const wanted = { key, version: 1, ...named, reason };
      await approveAndRun(arranged, await askFor(arranged, 'keys.export', wanted));
      const [exported] = (await server.admit('exports.list', custodian, {})).exports;
      assert.ok(exported);
      const fetched = await server.admit('exports.fetch', custodian, { export: exported.id });
      assert.equal(unwrapRsaAes(pair.privateKey, Buffer.from(fetched.wrapped, 'base64')).length, 32);
      const rowKey = await hierarchy.rowKey(tenant);
      const log = ledger.logOfTenant(tenant);
      assert.ok(log);
      const waiting = await assertLossSaid(server, {
        tenant,
        log: log.id,
        now: clock.time,
        ends: exported.expiresAt,
      });
      await server.admit('destinations.retire', custodian, { destination: id, reason });
      assert.deepEqual(await reconcile(server.instance), []);

      await putBack(database, { ...before, exports: waiting });
      const reasons = (await reconcile(server.instance)).sort();
      assert.deepEqual(
        reasons.map((each) =>
          /^(\w+) .* is (\w+) in the database and (\w+) in the ledger/.exec(each)?.slice(1),
        ),
        [
          ['Destination', 'registered', 'retired'],
          ['Import', 'open', 'completed'],
        ],
      );

      const entries = await tellingEntries(database, log.id);
      const lost = await database.write(async (tx) => [
        ...(await recoverImports(tx, tenant, entries)),
        ...(await recoverDestinations(tx, { tenant, rowKey, time: clock.time }, entries)),
        ...(await recoverHolders(tx, { log: log.id, rowKey }, entries)),
      ]);
      assert.equal(lost.length, 2, lost.join('\n'));
      assert.deepEqual(await database.read((tx) => tx.selectFrom('key_export').select('id').execute()), []);
      assert.deepEqual(await reconcile(server.instance), []);
      await assert.rejects(
        server.admit('keys.import', requester.session, brought),
        refusal('import.token_invalid'),
      );
      const { holders } = await server.admit('holders.list', custodian, {});
      assert.deepEqual(
        holders.map(({ kind, thing }) => [kind, thing]),
        [['export', key]],
      );
      const known = await database.read((tx) => tx.selectFrom('known_material').selectAll().execute());
      assert.equal(known.length, 2);
    },
  );
}
