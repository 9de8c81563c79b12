import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { cosignatureTime, openNote, parseCheckpoint, parseNote, parseVerifierKey } from '@trialkeep/ledger';
import { makeServer, makeTenant, refusal } from '../../fixture.test.ts';
import type { TestServer } from '../../fixture.test.ts';
import {
  entriesOf,
  makeInstallation,
  makeTenant as makeTenantOn,
  openNode,
  openSecond,
  stores,
} from '../../installation.fixture.test.ts';
import { completeLogKeys } from './complete.ts';
import { keyIdOf, logVerifier } from './keys.ts';
import { sha256 } from '../sha256.ts';

const reason = 'The yearly change of keys.';
const dayMs = 86_400_000;

/** The verifier keys that have signed the newest checkpoint, and the log's size. */
async function signedBy(server: TestServer, credential: string, keys: readonly string[]) {
  const note = Buffer.from(await server.admit('ledger.checkpoint', credential, {}));
  const { text, signedBy: verifiers } = await openNote(note, keys.map(logVerifier));
  const named = keys.filter((key) =>
    verifiers.some(({ keyId }) => keyId === parseVerifierKey(sha256, key).keyId),
  );
  return { named, size: parseCheckpoint(text).size, lines: parseNote(note).signatures };
}

async function verifierKeys(server: TestServer, credential: string): Promise<string[]> {
  const text = await server.admit('ledger.verifier-key', credential, {});
  assert.ok(text.endsWith('\n'));
  return text.split('\n').slice(0, -1);
}

async function arrange(t: TestContext) {
  const server = await makeServer(t);
  const { tenant, custodian } = await makeTenant(server);
  return { server, tenant, custodian, keys: await verifierKeys(server, custodian) };
}

test('every checkpoint has an Ed25519 line and an ML-DSA-44 line that states its time [URS-033]', async (t) => {
  const { server, custodian, keys } = await arrange(t);
  assert.deepEqual(
    keys.map((key) => parseVerifierKey(sha256, key).type),
    [0x01, 0x06],
  );
  const { tenants } = await server.admit('tenants.list', server.administrator, {});
  assert.equal(tenants[0]?.verifierKey, keys[0]);
  let before = 0;
  for (const step of [0, 5000, -60_000]) {
    server.clock.time += step;
    await server.admit('studies.create', custodian, { protocol: `P ${step}` });
    const { named, lines } = await signedBy(server, custodian, keys);
    assert.deepEqual(named, keys);
    assert.equal(lines.length, 2);
    const time = cosignatureTime(lines[1]?.signature ?? assert.fail());
    assert.ok(time >= before, 'the time never goes back, also where the clock does');
    before = time;
  }
  assert.ok(before >= Math.floor(server.clock.time / 1000));
});

test('rotated keys sign beside the old ones until the overlap ends, and the log tells who follows [URS-003] [URS-033]', async (t) => {
  const { server, tenant, custodian, keys } = await arrange(t);
  const rotated = await server.admit('ledger.rotate-key', custodian, { overlapDays: 10, reason });
  assert.equal(rotated.endsAt, server.clock.time + 10 * dayMs);
  assert.deepEqual(rotated.ends, keys.map(keyIdOf));
  const all = [...rotated.begins, ...keys];
  assert.deepEqual(await verifierKeys(server, custodian), all);
  assert.deepEqual((await signedBy(server, custodian, all)).named, all);
  const entry = (await server.entries(tenant)).at(-1);
  assert.equal(entry?.['operation'], 'ledger.rotate-key');
  assert.deepEqual(entry['logKeys'], { begins: rotated.begins, ends: rotated.ends, endsAt: rotated.endsAt });

  await assert.rejects(server.admit('ledger.rotate-key', custodian, { reason }), refusal('log_key.rotating'));
  server.clock.time = rotated.endsAt;
  await server.runJobs();
  assert.deepEqual(await verifierKeys(server, custodian), rotated.begins);
  assert.deepEqual((await signedBy(server, custodian, all)).named, rotated.begins);
  const ended = (await server.entries(tenant)).findLast(({ operation }) => operation === 'ledger.retire-key');
  assert.deepEqual([ended?.['actor'], ended?.['logKeys']], [undefined, { ends: rotated.ends }]);
  const rows = await server.instance.database.read((tx) =>
    tx.selectFrom('log_key').selectAll().where('state', '=', 'ended').execute(),
  );
  assert.deepEqual(
    rows.map((row) => [row.wrapped_key, typeof row.until_size]),
    [
      [null, 'number'],
      [null, 'number'],
    ],
    'an ended key is destroyed',
  );
  await assert.rejects(
    server.admit('ledger.retire-key', custodian, { reason }),
    refusal('log_key.not_rotating'),
  );
});

test('an overlap can be ended at once, and only by who manages the ledger [URS-003] [URS-020]', async (t) => {
  const { server, custodian, keys } = await arrange(t);
  const auditor = await server.admit('credentials.issue', custodian, { name: 'auditor', role: 'auditor' });
  for (const operation of ['ledger.rotate-key', 'ledger.retire-key'] as const) {
    await assert.rejects(server.admit(operation, auditor.secret, { reason }), refusal('access.denied'));
  }
  const { begins, ends } = await server.admit('ledger.rotate-key', custodian, { reason });
  assert.deepEqual((await server.admit('ledger.retire-key', custodian, { reason })).ends, ends);
  assert.deepEqual((await signedBy(server, custodian, [...begins, ...keys])).named, begins);
  const { begins: next } = await server.admit('ledger.rotate-key', custodian, { reason });
  assert.deepEqual(await verifierKeys(server, custodian), [...next, ...begins]);
});

for (const store of stores) {
  test(
    `${store.name}: a log from before there were several keys gets the one it lacks at start, with an entry [URS-033]`,
    { skip: store.skip },
    async (t) => {
      const installation = await makeInstallation(t, store);
      const first = await openNode(t, installation);
      const { tenant } = await makeTenantOn(first, installation.administrator);
      await first.instance.database.write((tx) =>
        tx.deleteFrom('log_key').where('algorithm', '=', 'ML_DSA_44').execute(),
      );
      const second = await openSecond(t, installation, first);
      await Promise.all([first, second].map(({ rooms }) => completeLogKeys(rooms)));
      await completeLogKeys(first.rooms);
      for (const { instance } of [first, second]) {
        const log = (await instance.ledger.openOfTenant(tenant)) ?? assert.fail();
        assert.equal((await log.verifierKeys()).length, 2);
        const note = await instance.ledger.anchorNow(log.id);
        assert.equal((await openNote(note, (await log.verifierKeys()).map(logVerifier))).signedBy.length, 2);
      }
      const entries = await entriesOf(first.instance, tenant);
      assert.equal(entries.filter(({ operation }) => operation === 'ledger.add-key').length, 1);
    },
  );

  test(
    `${store.name}: a node signs with what another has rotated and retired, and with nothing else [URS-003] [URS-033]`,
    { skip: store.skip },
    async (t) => {
      const installation = await makeInstallation(t, store);
      const first = await openNode(t, installation);
      const { tenant } = await makeTenantOn(first, installation.administrator);
      const second = await openSecond(t, installation, first);
      const log = (await second.instance.ledger.openOfTenant(tenant)) ?? assert.fail();
      const old = await log.verifierKeys();
      const admit = (operation: 'ledger.rotate-key' | 'ledger.retire-key') =>
        first.rooms.gate.admit({
          operation,
          authorization: `Bearer ${installation.administrator}`,
          input: { reason },
          source: '192.0.2.1',
          requestId: 'request',
        });
      const instanceLog = second.instance.ledger.instanceLog;
      const before = await instanceLog.verifierKeys();
      const signers = async () => {
        const note = await second.instance.ledger.anchorNow(instanceLog.id);
        return parseNote(note).signatures.length;
      };
      await admit('ledger.rotate-key');
      assert.equal(await signers(), 4);
      await admit('ledger.retire-key');
      assert.equal(await signers(), 2);
      assert.ok((await instanceLog.verifierKeys()).every((key) => !before.includes(key)));
      assert.deepEqual(await log.verifierKeys(), old, 'another log keeps its keys');
      // A restart accepts the anchor, and the checkpoints that the old keys have signed.
      const reopened = await openSecond(t, installation, first);
      assert.deepEqual(reopened.instance.recovery, []);
    },
  );
}

test('a stored signing key that is not the one of its verifier key is not used [URS-008]', async (t) => {
  const { server } = await arrange(t);
  const { database, ledger } = server.instance;
  const [own, other] = ledger.logs;
  assert.ok(own && other);
  await database.write(async (tx) => {
    const rows = await tx.selectFrom('log_key').selectAll().where('algorithm', '=', 'ED25519').execute();
    const key = rows.find(({ log }) => log === own.id)?.wrapped_key ?? assert.fail();
    await tx
      .updateTable('log_key')
      .set({ wrapped_key: key, id: 'aaaaaaaa-0000-4000-8000-000000000000' })
      .where('log', '=', own.id)
      .where('algorithm', '=', 'ED25519')
      .execute();
  });
  await assert.rejects(own.verifierKeys(), { code: 'database.altered' });
});
