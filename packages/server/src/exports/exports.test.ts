import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { unwrapRsaAes, wrapRsaAes } from '@trialkeep/crypto';
import {
  approveAndRun,
  approveByBoth,
  arrange,
  askFor,
  dayMs,
  plaintext,
  reason,
  signInAgain,
  stateOf,
} from '../dual-control.fixture.test.ts';
import type { Arranged } from '../dual-control.fixture.test.ts';
import { makeService, refusal, shareServer } from '../fixture.test.ts';
import { destroyMadeUpKey, findKey } from '../keys/index.ts';

const shared = shareServer();

/** One pair for all tests: each tenant registers it for itself. */
const pair = generateKeyPairSync('rsa', { modulusLength: 3072 });
const spki = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'spki' });

/** An exportable key, and somebody whom it can be exported to. */
async function arrangeExport(input: object = {}) {
  const arranged = await arrange(await shared());
  const { server, custodian, system } = arranged;
  const { id: exportable } = await server.admit('keys.create', custodian, {
    system,
    exportable: true,
    ...input,
  });
  const destination = await server.admit('destinations.register', custodian, {
    name: 'Sponsor HSM',
    contact: 'keys@example.org',
    publicKey: spki(pair.publicKey).toString('base64'),
  });
  const asked = {
    key: exportable,
    version: 1,
    destination: destination.id,
    destinationName: destination.name,
    fingerprint: destination.fingerprint,
    reason,
  };
  return { ...arranged, exportable, destination, asked };
}

const exportsOf = async ({ server, custodian }: Arranged) =>
  (await server.admit('exports.list', custodian, {})).exports;

test('a key leaves for whom people approved, who alone opens it, and its holder is on the list [URS-010] [URS-088] [URS-006]', async () => {
  const arranged = await arrangeExport();
  const { server, custodian, tenant, system, exportable: key, asked, destination, one } = arranged;
  assert.equal(destination.fingerprint, createHash('sha256').update(spki(pair.publicKey)).digest('hex'));
  const service = await makeService(server, custodian, system, [key]);
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext });
  const approval = await askFor(arranged, 'keys.export', asked);
  const shown = await server.admit('approvals.show', one.session, { approval });
  assert.match(JSON.stringify(shown), new RegExp(`Sponsor HSM.*${destination.fingerprint}`));
  assert.deepEqual(await exportsOf(arranged), []);
  await approveAndRun(arranged, approval);
  const [exported] = await exportsOf(arranged);
  assert.ok(exported);
  const fetched = await server.admit('exports.fetch', custodian, { export: exported.id });
  assert.deepEqual([fetched.key, fetched.version, fetched.algorithm], [key, 1, 'AES_256']);
  const secret = unwrapRsaAes(pair.privateKey, Buffer.from(fetched.wrapped, 'base64'));
  assert.equal(secret.length, 32);
  const entry = (await server.entries(tenant)).findLast(({ operation }) => operation === 'keys.export');
  assert.deepEqual(
    [entry?.['outcome'], entry?.['key'], entry?.['version'], entry?.['destination']],
    ['success', key, 1, destination.id],
  );
  const holders = (await server.admit('holders.list', custodian, {})).holders.filter(
    ({ thing }) => thing === key,
  );
  assert.deepEqual(
    holders.map(({ id, kind, name }) => [id, kind, name.startsWith('Sponsor HSM')]),
    [[entry?.['holder'], 'export', true]],
  );
  // What left once is not brought back as something else.
  const { requester } = await signInAgain(arranged);
  const parameters = await server.admit('keys.import-parameters', requester.session, {
    system,
    algorithm: 'AES_256',
    wrappingAlgorithm: 'RSA_3072',
  });
  const wrapped = wrapRsaAes(publicKeyOf(parameters.publicKey), secret).toString('base64');
  const provenance = { source: 'here', statement: 'exported before', reason };
  await assert.rejects(
    server.admit('keys.import', requester.session, { token: parameters.token, wrapped, ...provenance }),
    refusal('import.material_known'),
  );
  // The service goes on.
  assert.equal((await server.admit('keys.decrypt', service, { key, ciphertext })).plaintext, plaintext);
  server.clock.time += 7 * dayMs;
  await server.runJobs();
  await assert.rejects(
    server.admit('exports.fetch', custodian, { export: exported.id }),
    refusal('export.unknown'),
  );
});

const publicKeyOf = (publicKey: string): KeyObject =>
  createPublicKey({
    key: Buffer.from(publicKey, 'base64'),
    format: 'der',
    type: 'spki',
  });

test('private keys leave in the form that others read [URS-010] [URS-088]', async () => {
  const arranged = await arrangeExport({ algorithm: 'ECC_NIST_P256', purpose: 'sign' });
  const { server, custodian, exportable: key, asked } = arranged;
  await approveAndRun(arranged, await askFor(arranged, 'keys.export', asked));
  const [exported] = await exportsOf(arranged);
  assert.ok(exported);
  const { wrapped } = await server.admit('exports.fetch', custodian, { export: exported.id });
  const der = unwrapRsaAes(pair.privateKey, Buffer.from(wrapped, 'base64'));
  const read = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  assert.equal(read.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  const { publicKey } = await server.admit('keys.public-key', custodian, { key });
  assert.ok(Buffer.from(publicKey, 'base64').equals(exportedSpki(read)));
});

const exportedSpki = (key: KeyObject): Buffer => spki(createPublicKey(key));

test('what must not leave is refused before people are asked [URS-010]', async () => {
  const arranged = await arrangeExport();
  const { server, custodian, requester, system, exportable, asked } = arranged;
  const { id: staying } = await server.admit('keys.create', custodian, { system });
  const refused = async (input: object, code: Parameters<typeof refusal>[0]) =>
    assert.rejects(server.admit('keys.export', requester.session, { ...asked, ...input }), refusal(code));
  await refused({ key: staying }, 'key.not_exportable');
  await refused({ version: 2 }, 'key.version_unknown');
  await refused({ destination: exportable }, 'destination.unknown');
  await refused({ destinationName: 'Somebody else' }, 'destination.mismatch');
  await refused({ fingerprint: '0'.repeat(64) }, 'destination.mismatch');
  await refused({ key: system }, 'key.unknown');
  await server.admit('keys.suspend', custodian, { key: exportable, reason });
  await refused({}, 'key.unusable');
  await server.admit('keys.revoke', custodian, { key: exportable, cause: 'cessation', reason });
  await refused({}, 'key.revoked');
  for (const input of [{ algorithm: 'X25519' }, { algorithm: 'ML_DSA_65' }] as const) {
    await assert.rejects(
      server.admit('keys.create', custodian, { system, exportable: true, ...input }),
      refusal('key.not_exportable'),
    );
  }
});

test('a destination that was retired, or a key that was revoked, after the approval gets nothing [URS-010]', async () => {
  const retiring = await arrangeExport();
  const approval = await askFor(retiring, 'keys.export', retiring.asked);
  await approveByBoth(retiring, approval);
  const { server, custodian, destination } = retiring;
  await server.admit('destinations.retire', custodian, { destination: destination.id, reason });
  await server.runJobs();
  assert.equal((await stateOf(retiring, approval)).state, 'failed');
  assert.deepEqual(await exportsOf(retiring), []);
  await assert.rejects(
    server.admit('destinations.retire', custodian, { destination: destination.id, reason }),
    refusal('destination.retired'),
  );

  const revoking = await arrangeExport();
  const second = await askFor(revoking, 'keys.export', revoking.asked);
  await approveByBoth(revoking, second);
  await server.admit('keys.revoke', revoking.custodian, {
    key: revoking.exportable,
    cause: 'breach',
    reason,
  });
  await server.runJobs();
  assert.equal((await stateOf(revoking, second)).state, 'failed');
  assert.deepEqual(await exportsOf(revoking), []);
});

test('what was exported goes with the key when it is destroyed, and its holder stays [URS-006] [URS-010]', async () => {
  const arranged = await arrangeExport();
  const { server, custodian, tenant, exportable: key, asked } = arranged;
  await approveAndRun(arranged, await askFor(arranged, 'keys.export', asked));
  assert.equal((await exportsOf(arranged)).length, 1);
  await server.admit('keys.revoke', custodian, { key, cause: 'cessation', reason });
  const { database, hierarchy } = server.instance;
  const rowKey = await hierarchy.rowKey(tenant);
  // At once, as drills do: the waiting period is as long as what was exported is kept.
  await database.write(async (tx) => {
    const row = await findKey(tx, rowKey, tenant, key);
    assert.ok(row);
    await destroyMadeUpKey(tx, rowKey, row, server.clock.time);
  });
  assert.deepEqual(await exportsOf(arranged), []);
  const { holders } = await server.admit('holders.list', custodian, {});
  assert.equal(holders.filter(({ thing, kind }) => thing === key && kind === 'export').length, 1);
});

test('only keys that others can be wrapped under are registered, each under one name [URS-010]', async () => {
  const arranged = await arrangeExport();
  const { server, custodian } = arranged;
  const register = (publicKey: Buffer) =>
    server.admit('destinations.register', custodian, {
      name: 'Another',
      contact: 'x',
      publicKey: publicKey.toString('base64'),
    });
  const small = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
  const odd = generateKeyPairSync('rsa', { modulusLength: 3072, publicExponent: 3 }).publicKey;
  for (const key of [spki(small), spki(curve), spki(odd), randomBytes(294), Buffer.alloc(0)]) {
    await assert.rejects(register(key), refusal('destination.key_unsuitable'));
  }
  await assert.rejects(register(spki(pair.publicKey)), refusal('destination.known'));
  const { destinations } = await server.admit('destinations.list', custodian, {});
  assert.deepEqual(
    destinations.map(({ name, algorithm, state }) => [name, algorithm, state]),
    [['Sponsor HSM', 'RSA_3072', 'registered']],
  );
});

test('what waits is not handed out once its key, its destination or its tenant is stopped [URS-010] [URS-004]', async () => {
  const arranged = await arrangeExport();
  const { server, custodian, destination, exportable: key, asked } = arranged;
  await approveAndRun(arranged, await askFor(arranged, 'keys.export', asked));
  const [exported] = await exportsOf(arranged);
  assert.ok(exported);
  const fetch = () => server.admit('exports.fetch', custodian, { export: exported.id });
  await fetch();
  await server.admit('keys.suspend', custodian, { key, reason });
  await assert.rejects(fetch(), refusal('key.unusable'));
  await server.admit('keys.resume', custodian, { key, reason });
  await fetch();
  await server.admit('keys.revoke', custodian, { key, cause: 'breach', reason });
  await assert.rejects(fetch(), refusal('key.revoked'));
  await server.admit('tenants.seal', custodian, { reason });
  await assert.rejects(fetch(), refusal('tenant.sealed'));
  await server.admit('destinations.retire', custodian, { destination: destination.id, reason });
  assert.deepEqual(await exportsOf(arranged), []);
});

test('what waits goes when its destination is retired [URS-010]', async () => {
  const arranged = await arrangeExport();
  const { server, custodian, destination, asked } = arranged;
  await approveAndRun(arranged, await askFor(arranged, 'keys.export', asked));
  const [exported] = await exportsOf(arranged);
  assert.ok(exported);
  const fetch = () => server.admit('exports.fetch', custodian, { export: exported.id });
  await fetch();
  await server.admit('destinations.retire', custodian, { destination: destination.id, reason });
  await assert.rejects(fetch(), refusal('export.unknown'));
});
