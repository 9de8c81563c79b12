import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operations } from '@trialkeep/contract';
import type { Operation } from '@trialkeep/contract';
import type { Context } from './platform/implementation.ts';
import { makeServer, makeTenant, refusal, shareServer } from './fixture.test.ts';

const plaintext = Buffer.from('a value').toString('base64');

/** What happens between the authorisation of the next encryption and its flush; then nothing more. */
let interruption: (() => Promise<unknown>) | undefined;
let encryptions = 0;
/** How often what an encryption does once was done. */
let onces = 0;
/** What goes wrong inside the next listing of keys. */
let failure: Error | undefined;

const shared = shareServer((bound) => ({
  ...bound,
  'keys.encrypt': async (context: Context<'keys.encrypt'>) => {
    await context.once(async () => onces++);
    const result = await bound['keys.encrypt'](context);
    encryptions++;
    const happen = interruption;
    interruption = undefined;
    await happen?.();
    return result;
  },
  'keys.list': async (context: Context<'keys.list'>) => {
    if (failure !== undefined) throw failure;
    return bound['keys.list'](context);
  },
}));

async function arrange() {
  const server = await shared();
  const made = await makeTenant(server);
  encryptions = 0;
  onces = 0;
  failure = undefined;
  return { server, made };
}

test('every operation of the contract is bound to a behaviour [URS-032]', async () => {
  const { implementations } = await shared();
  // A batch has the behaviour of what it is many of.
  const all: readonly Operation[] = Object.values(operations);
  const singles = all.filter(({ batchOf }) => batchOf === undefined).map(({ id }) => id);
  assert.deepEqual(Object.keys(implementations).sort(), singles.sort());
  for (const behaviour of Object.values(implementations)) assert.equal(typeof behaviour, 'function');
});

test('a revocation between authorisation and flush wins: the result is dropped [URS-004] [URS-032]', async () => {
  const { server, made } = await arrange();
  const { tenant, custodian, key, service } = made;
  interruption = () =>
    server.admit('keys.revoke', custodian, { key, cause: 'breach', reason: 'lost device' });
  await assert.rejects(server.admit('keys.encrypt', service, { key, plaintext }), refusal('key.revoked'));
  assert.equal(encryptions, 1);
  const uses = (await server.entries(tenant)).filter(({ operation }) => operation === 'keys.encrypt');
  assert.deepEqual(
    uses.map(({ outcome, code }) => [outcome, code]),
    [['refused', 'key.revoked']],
  );
});

test('a credential revoked between authorisation and flush gets nothing [URS-004]', async () => {
  const { server, made } = await arrange();
  const { custodian, key, service } = made;
  const { credentials } = await server.admit('credentials.list', custodian, {});
  const credential = credentials.find(({ role }) => role === 'service')?.id ?? '';
  interruption = () =>
    server.admit('credentials.revoke', custodian, { credential, reason: 'left the vendor' });
  await assert.rejects(server.admit('keys.encrypt', service, { key, plaintext }), refusal('auth.revoked'));
});

test('a rotation between authorisation and flush: the use is done again under the newer version [URS-003]', async () => {
  const { server, made } = await arrange();
  const { tenant, custodian, key, service } = made;
  interruption = () => server.admit('keys.rotate', custodian, { key });
  const { ciphertext, version } = await server.admit('keys.encrypt', service, { key, plaintext });
  assert.deepEqual([version, encryptions, onces], [2, 2, 1]);
  const opened = await server.admit('keys.decrypt', service, { key, ciphertext });
  assert.deepEqual([opened.plaintext, opened.version], [plaintext, 2]);
  const uses = (await server.entries(tenant)).filter(({ operation }) => operation === 'keys.encrypt');
  assert.deepEqual(
    uses.map(({ outcome, version }) => [outcome, version]),
    [['success', 2]],
  );
});

test('a permission that was there is not lost because the facts moved on elsewhere [URS-019]', async () => {
  const { server, made } = await arrange();
  const { custodian, key, service } = made;
  interruption = () => server.admit('studies.create', custodian, { protocol: 'P-1' });
  assert.equal((await server.admit('keys.encrypt', service, { key, plaintext })).version, 1);
});

test('what expires between authorisation and flush is dropped, and its refusal is the entry [URS-002] [URS-032]', async () => {
  const { server, made } = await arrange();
  const { tenant, custodian, system } = made;
  const expiresAt = server.clock.time + 1000;
  const { id: key } = await server.admit('keys.create', custodian, { system, expiresAt });
  const issued = await server.admit('credentials.issue', custodian, {
    name: 'short',
    role: 'service',
    system,
    keys: [key],
  });
  interruption = async () => (server.clock.time = expiresAt);
  await assert.rejects(
    server.admit('keys.encrypt', issued.secret, { key, plaintext }),
    refusal('key.unusable'),
  );
  const last = (await server.entries(tenant)).at(-1);
  assert.deepEqual(
    [last?.['operation'], last?.['outcome'], last?.['code'], last?.['time']],
    ['keys.encrypt', 'refused', 'key.unusable', expiresAt],
  );
});

test('without a durable entry nothing is released [URS-046] [URS-032]', async (t) => {
  const server = await makeServer(t);
  const { custodian, system, key, service } = await makeTenant(server);
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext });
  await server.instance.database.write((tx) => tx.schema.dropTable('ledger_payload').execute());
  const uses = [
    () => server.admit('keys.decrypt', service, { key, ciphertext }),
    () => server.admit('keys.generate-data-key', service, { key }),
    () => server.admit('keys.create', custodian, { system }),
    () => server.admit('keys.list', custodian, {}),
  ];
  for (const use of uses) await assert.rejects(use(), refusal('server.storage_failed'));
  const keys = await server.instance.database.read((tx) => tx.selectFrom('key').select('id').execute());
  assert.equal(keys.length, 1);
});

test('an unexpected error of an operation is recorded as failed, and says nothing to the caller [URS-046]', async () => {
  const { server, made } = await arrange();
  const { tenant, custodian } = made;
  failure = new Error('an inner secret');
  await assert.rejects(server.admit('keys.list', custodian, {}), (error: Error) => {
    assert.doesNotMatch(error.message, /inner secret/);
    return refusal('server.internal')(error);
  });
  const last = (await server.entries(tenant)).at(-1);
  assert.deepEqual([last?.['outcome'], last?.['code']], ['failed', 'server.internal']);
  assert.equal(server.notes.filter((note) => note.includes('an inner secret')).length, 1);
});

test('concurrent changes and uses of one tenant all end, each with one entry [URS-032]', async () => {
  const { server, made } = await arrange();
  const { tenant, custodian, key, service } = made;
  const before = (await server.entries(tenant)).length;
  const encrypt = () => server.admit('keys.encrypt', service, { key, plaintext });
  const rotate = () => server.admit('keys.rotate', custodian, { key });
  const outcomes = await Promise.allSettled(
    [...Array(40).keys()].map((i) => (i % 4 === 0 ? rotate() : encrypt())),
  );
  // Ten changes in a row can outrun a use, which is then told to try again, and nothing of it happened.
  const done = outcomes.filter(({ status }) => status === 'fulfilled').length;
  for (const outcome of outcomes) if (outcome.status === 'rejected') refusal('server.busy')(outcome.reason);
  assert.equal((await server.entries(tenant)).length - before, done);
  const { key: shown } = await server.admit('keys.show', custodian, { key });
  assert.equal(shown.version, 11);
});
