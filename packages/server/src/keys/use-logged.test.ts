import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { makeService, makeTenant, refusal, shareServer } from '../fixture.test.ts';

const shared = shareServer();
const plaintext = Buffer.from('a value').toString('base64');

/** A tenant with a use-logged key and one that is not, a service for both, and a subject. */
async function arrange() {
  const server = await shared();
  const made = await makeTenant(server);
  const { custodian, system } = made;
  const key = await server.admit('keys.create', custodian, { system, useLogged: true });
  const service = await makeService(server, custodian, system, [key.id, made.key]);
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1' });
  const { alias: subject } = await server.admit('subjects.create', custodian, { study, number: '001' });
  return { server, tenant: made.tenant, custodian, service, key, plain: made.key, study, subject };
}

test('a key is made use-logged and stays it; its entry and every view of it say so [URS-007] [URS-038]', async () => {
  const { server, tenant, custodian, key, plain } = await arrange();
  assert.equal(key.useLogged, true);
  await server.admit('keys.rotate', custodian, { key: key.id });
  await server.admit('keys.suspend', custodian, { key: key.id, reason: 'test' });
  assert.equal(
    (await server.admit('keys.resume', custodian, { key: key.id, reason: 'test' })).useLogged,
    true,
  );
  const { keys } = await server.admit('keys.list', custodian, {});
  assert.deepEqual(
    new Map(keys.map((each) => [each.id, each.useLogged])),
    new Map([
      [key.id, true],
      [plain, false],
    ]),
  );
  const made = (await server.entries(tenant)).filter(({ operation }) => operation === 'keys.create');
  assert.deepEqual(
    made.map((entry) => [entry['key'], entry['useLogged']]),
    [
      [plain, undefined],
      [key.id, true],
    ],
  );
});

test('a use-logged key asks for study and subject, and its entries name the data key [URS-038] [URS-032]', async () => {
  const {
    server,
    tenant,
    service,
    key: { id: key },
    plain,
    study,
    subject,
  } = await arrange();
  const context = { study, subject };
  const made = await server.admit('keys.generate-data-key', service, { key, context });
  const { ciphertext } = made;
  const released = await server.admit('keys.decrypt-data-key', service, { key, context, ciphertext });
  assert.deepEqual([made.useLogged, released.useLogged], [true, true]);
  const dataKey = createHash('sha256').update(Buffer.from(ciphertext, 'base64')).digest('hex');
  const entries = (await server.entries(tenant)).slice(-2);
  assert.deepEqual(
    entries.map((entry) => [entry['useLogged'], entry['dataKey']]),
    [
      [true, dataKey],
      [true, dataKey],
    ],
  );
  for (const [given, field] of [
    [undefined, '/context/study'],
    [{}, '/context/study'],
    [{ study }, '/context/subject'],
  ] as const) {
    const asked = { key, ...(given && { context: given }) };
    for (const refused of [
      server.admit('keys.generate-data-key', service, asked),
      server.admit('keys.decrypt-data-key', service, { ...asked, ciphertext }),
      server.admit('keys.encrypt', service, { ...asked, plaintext }),
      server.admit('keys.decrypt', service, { ...asked, ciphertext }),
    ]) {
      await assert.rejects(refused, (error: Error & { field?: string }) => {
        assert.equal(error.field, field);
        return refusal('context.subject_required')(error);
      });
    }
  }
  const sealed = await server.admit('keys.encrypt', service, { key, context, plaintext });
  const opened = await server.admit('keys.decrypt', service, { key, context, ciphertext: sealed.ciphertext });
  assert.equal(opened.plaintext, plaintext);

  const other = await server.admit('keys.generate-data-key', service, { key: plain });
  assert.equal(other.useLogged, false);
  const entry = (await server.entries(tenant)).at(-1);
  assert.deepEqual([entry?.['useLogged'], entry?.['dataKey']], [undefined, undefined]);
});

test('nobody takes a key out of its class, or puts it in, behind the server [URS-008] [URS-038]', async () => {
  const { server, service, key, plain, study, subject } = await arrange();
  const database = new DatabaseSync(server.instance.directory.database, { timeout: 5000 });
  try {
    database.prepare('update key set use_logged = 1 - use_logged where id in (?, ?)').run(key.id, plain);
  } finally {
    database.close();
  }
  for (const id of [key.id, plain]) {
    const asked = server.admit('keys.generate-data-key', service, { key: id, context: { study, subject } });
    await assert.rejects(asked, refusal('server.data_altered'));
  }
});
