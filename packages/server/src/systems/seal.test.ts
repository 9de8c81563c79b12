import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  approveAndRun,
  approveByBoth,
  arrange,
  askFor,
  plaintext,
  reason,
} from '../dual-control.fixture.test.ts';
import { makeServer, makeTenant, refusal, shareServer } from '../fixture.test.ts';

const shared = shareServer();

test('one person seals a tenant at once, two others lift the seal, and other tenants go on [URS-004] [URS-010] [URS-036]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, system } = arranged;
  const { id: key } = await server.admit('keys.create', custodian, { system });
  const { secret: service } = await server.admit('credentials.issue', custodian, {
    name: 'service',
    role: 'service',
    system,
    keys: [key],
  });
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext });
  const other = await makeTenant(server);
  assert.equal((await server.admit('tenants.seal-state', custodian, {})).state, 'open');

  assert.equal((await server.admit('tenants.seal', custodian, { reason })).state, 'sealed');
  const uses = [
    () => server.admit('keys.encrypt', service, { key, plaintext }),
    () => server.admit('keys.decrypt', service, { key, ciphertext }),
    () => server.admit('keys.generate-data-key', service, { key }),
  ];
  for (const use of uses) await assert.rejects(use(), refusal('tenant.sealed'));
  await server.admit('keys.encrypt', other.service, { key: other.key, plaintext });

  const { changedAt: sealedAt } = await server.admit('tenants.seal-state', custodian, {});
  await approveAndRun(arranged, await askFor(arranged, 'tenants.unseal', { reason, sealedAt }));
  assert.equal((await server.admit('tenants.seal-state', custodian, {})).state, 'open');
  assert.equal((await server.admit('keys.decrypt', service, { key, ciphertext })).plaintext, plaintext);
  const entries = await server.entries(arranged.tenant);
  assert.deepEqual(
    entries
      .filter(({ operation }) => operation === 'tenants.seal' || operation === 'tenants.unseal')
      .map(({ operation, outcome, state }) => [operation, outcome, state]),
    [
      ['tenants.seal', 'success', 'sealed'],
      ['tenants.unseal', 'requested', undefined],
      ['tenants.unseal', 'success', 'open'],
    ],
  );
});

test('a seal that somebody lifted in the database is not believed [URS-004] [URS-008]', async (t) => {
  const server = await makeServer(t);
  const { custodian, key, service } = await makeTenant(server);
  await server.admit('tenants.seal', custodian, { reason });
  const { database } = server.instance;
  await database.write((tx) => tx.updateTable('tenant_seal').set({ state: 'open' }).execute());
  await server.admit('studies.create', custodian, { protocol: 'P-1' });
  await assert.rejects(
    server.admit('keys.encrypt', service, { key, plaintext }),
    refusal('server.data_altered'),
  );
});

test('what lifts one seal lifts no later one, whenever it was approved [URS-004] [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, requester, one } = arranged;
  const state = async () => (await server.admit('tenants.seal-state', custodian, {})).state;
  const open = await server.admit('tenants.seal-state', custodian, {});
  await assert.rejects(
    server.admit('tenants.unseal', requester.session, { reason, sealedAt: open.changedAt }),
    refusal('tenant.not_sealed'),
  );
  const { changedAt: sealedAt } = await server.admit('tenants.seal', custodian, { reason });
  const approval = await askFor(arranged, 'tenants.unseal', { reason, sealedAt });
  await approveByBoth(arranged, approval);
  await server.admit('tenants.seal', custodian, { reason: 'Another breach.' });
  await server.runJobs();
  assert.equal(await state(), 'sealed');
  const { approval: shown } = await server.admit('approvals.show', one.session, { approval });
  assert.deepEqual([shown.state, shown.failure], ['failed', 'tenant.not_sealed']);
});

test('a seal whose row was taken away lifts nothing [URS-004] [URS-008]', async (t) => {
  const server = await makeServer(t);
  const { custodian, key, service } = await makeTenant(server);
  await server.admit('tenants.seal', custodian, { reason });
  await server.instance.database.write((tx) => tx.deleteFrom('tenant_seal').execute());
  await server.admit('studies.create', custodian, { protocol: 'P-1' });
  await assert.rejects(
    server.admit('keys.encrypt', service, { key, plaintext }),
    refusal('server.data_altered'),
  );
});
