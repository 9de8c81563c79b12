import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { arrange, ask, decide } from '../dual-control.fixture.test.ts';
import { makeServer, refusal, shareServer } from '../fixture.test.ts';

const shared = shareServer();
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

test('a signature says who, what, when and with what meaning, and its entry binds it [URS-029] [URS-030] [URS-031]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { tenant, one, two } = arranged;
  const [first, second] = [await ask(arranged), await ask(arranged)];
  await decide(arranged, one, first);
  await decide(arranged, two, second, 'deny');
  const { signatures, next } = await server.admit('signatures.list', two.session, {});
  assert.equal(next, null);
  assert.deepEqual(
    signatures.map(({ person, name, meaning, valid }) => ({ person, name, meaning, valid })),
    [
      { person: one.id, name: 'Anna Meyer', meaning: 'approval', valid: true },
      { person: two.id, name: 'Anna Meyer', meaning: 'rejection', valid: true },
    ],
  );
  const entries = await server.entries(tenant);
  for (const { record, document, signedAt, id } of signatures) {
    const said = JSON.parse(record) as Record<string, unknown>;
    assert.deepEqual(said['components'], ['password', 'totp']);
    assert.equal(said['signature'], id);
    assert.equal(said['hash'], sha256(document ?? ''));
    assert.equal(said['utc'], new Date(signedAt).toISOString());
    const entry = entries.find(({ signature }) => signature === sha256(record));
    assert.deepEqual(
      [entry?.['actor'], entry?.['operation'], entry?.['hash'], entry?.['time'], entry?.['outcome']],
      [said['person'], said['operation'], said['hash'], said['time'], 'success'],
    );
  }
});

test('a signature whose document or record was changed afterwards does not hold [URS-030]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { one, two, custodian } = arranged;
  await decide(arranged, one, await ask(arranged));
  const { database } = server.instance;
  const refresh = () => server.admit('studies.create', custodian, { protocol: randomUUID() });
  const isValid = async () => {
    await refresh();
    const { signatures } = await server.admit('signatures.list', two.session, {});
    return signatures.map(({ valid }) => valid);
  };
  assert.deepEqual(await isValid(), [true]);
  const row = await database.read((tx) => tx.selectFrom('signature').selectAll().executeTakeFirstOrThrow());
  const text = Buffer.from(row.record).toString('utf8');
  const set = (record: Uint8Array, hash: string) =>
    database.write((tx) => tx.updateTable('signature').set({ record, hash }).execute());
  const altered = Buffer.from(text.replace('Anna Meyer', 'Anna Maier'));
  await set(altered, row.hash);
  assert.deepEqual(await isValid(), [false]);
  // With its own hash beside it only the ledger's entry tells.
  await set(altered, sha256(altered.toString('utf8')));
  assert.deepEqual(await isValid(), [false]);
  await set(row.record, row.hash);
  assert.deepEqual(await isValid(), [true]);
});

test('signatures come page by page, and a cursor that nobody was given is refused [URS-029]', async () => {
  const server = await shared();
  const { two } = await arrange(server);
  for (const cursor of ['x', '1_', 'zz_11111111-1111-4111-8111-111111111111x']) {
    await assert.rejects(
      server.admit('signatures.list', two.session, { cursor }),
      refusal('request.invalid'),
    );
  }
});
