import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { generateCredential } from '@trialkeep/crypto';
import { makeTenant, shareServer } from '../fixture.test.ts';
import { FactsCache } from '../platform/facts.ts';
import { Authenticator, Passwords, grants } from './index.ts';

const shared = shareServer();

async function arrange() {
  const server = await shared();
  const { instance } = server;
  const authenticator = new Authenticator({
    ...instance,
    facts: new FactsCache(instance.database),
    clock: server.clock,
    passwords: new Passwords(),
    logOf: async (id) => instance.ledger.log(id),
  });
  return { server, made: await makeTenant(server), authenticator };
}

test('only a whole credential that was issued here says who asks [URS-019]', async () => {
  const { server, made, authenticator } = await arrange();
  const { service, tenant } = made;
  const known = await authenticator.authenticate(`Bearer ${service}`, server.clock.time);
  assert.deepEqual(
    [known?.caller.roles, known?.caller.log.tenant, known?.refusal],
    [['service'], tenant, undefined],
  );
  assert.ok(await authenticator.authenticate(`bearer ${service}`, server.clock.time));
  const headers = [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    service,
    `Basic ${service}`,
    `Bearer  ${service}`,
    `Bearer ${service} `,
    `Bearer ${service.slice(0, -1)}`,
    `Bearer ${service}A`,
    `Bearer ${service.toUpperCase()}`,
    `Bearer ${generateCredential()}`,
    `Bearer ${randomBytes(32).toString('base64url')}`,
    `Bearer ${'a'.repeat(10_000)}`,
    `Bearer ${service}, Bearer ${service}`,
  ];
  for (const header of headers) {
    assert.equal(
      await authenticator.authenticate(header, server.clock.time),
      undefined,
      header?.slice(0, 60),
    );
  }
});

test('a credential that has ended or was revoked is known, and may do nothing [URS-004] [URS-019]', async () => {
  const { server, made, authenticator } = await arrange();
  const { custodian } = made;
  const expiresAt = server.clock.time + 1000;
  const issued = await server.admit('credentials.issue', custodian, {
    name: 'reader',
    role: 'auditor',
    expiresAt,
  });
  const refusalAt = async (time: number, by = authenticator) =>
    (await by.authenticate(`Bearer ${issued.secret}`, time))?.refusal;
  assert.equal(await refusalAt(expiresAt - 1), undefined);
  assert.equal(await refusalAt(expiresAt), 'auth.expired');
  await server.admit('credentials.revoke', custodian, { credential: issued.credential.id, reason: 'test' });
  const fresh = new Authenticator({
    ...server.instance,
    facts: new FactsCache(server.instance.database),
    clock: server.clock,
    passwords: new Passwords(),
    logOf: async (id) => server.instance.ledger.log(id),
  });
  assert.equal(await refusalAt(expiresAt - 1, fresh), 'auth.revoked');
});

test('a role grants what it lists, and nothing else [URS-019]', async () => {
  const { server, made, authenticator } = await arrange();
  const known = await authenticator.authenticate(`Bearer ${made.service}`, server.clock.time);
  assert.ok(known);
  const { caller } = known;
  for (const granted of ['public', 'keys:protect', 'keys:process'] as const)
    assert.ok(grants(caller, granted));
  for (const denied of ['keys:manage', 'credentials:manage', 'ledger:read', 'tenants:manage'] as const) {
    assert.equal(grants(caller, denied), false, denied);
  }
});

test('of a credential only its hash is stored [URS-008]', async () => {
  const { server, made } = await arrange();
  const rows = await server.instance.database.read((tx) => tx.selectFrom('credential').selectAll().execute());
  for (const secret of [made.service, made.custodian, server.administrator]) {
    const random = secret.slice(secret.indexOf('_') + 1);
    for (const row of rows) {
      const stored = Buffer.concat([row.secret_hash, row.seal].map((bytes) => Buffer.from(bytes)));
      assert.equal(JSON.stringify(row).includes(random), false);
      assert.equal(stored.includes(random) || stored.includes(Buffer.from(random, 'base64url')), false);
    }
  }
});
