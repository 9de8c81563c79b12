import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { wrapRsaAes } from '@trialkeep/crypto';
import { arrange, plaintext, reason, signInAgain } from '../../dual-control.fixture.test.ts';
import type { Arranged } from '../../dual-control.fixture.test.ts';
import { makeService, refusal, shareServer } from '../../fixture.test.ts';
import { OperationError } from '../../platform/errors.ts';

const shared = shareServer();
const hourMs = 3_600_000;
const provenance = { source: 'Example HSM, serial 7', statement: 'Made in the HSM, carried by two.', reason };

/** The parameters of a fresh import, under the smaller of the wrapping keys, which is made faster. */
async function ask({ server, requester, system }: Arranged, input: object = {}) {
  return server.admit('keys.import-parameters', requester.session, {
    system,
    algorithm: 'AES_256',
    wrappingAlgorithm: 'RSA_3072',
    ...input,
  });
}

function wrapFor({ publicKey }: { publicKey: string }, material: Uint8Array): string {
  const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
  return wrapRsaAes(key, material).toString('base64');
}

type Asked = Awaited<ReturnType<typeof ask>>;

function bring({ server, requester }: Arranged, asked: Asked, material: Uint8Array) {
  const input = { token: asked.token, wrapped: wrapFor(asked, material), ...provenance };
  return server.admit('keys.import', requester.session, input);
}

test('a key that was made elsewhere protects, and its entry says where it came from [URS-088] [URS-002]', async () => {
  const arranged = await arrange(await shared());
  const { server, custodian, tenant, system, requester } = arranged;
  const asked = await ask(arranged, { description: 'From the old system' });
  assert.equal(asked.wrap, 'RSA_AES_KEY_WRAP_SHA_256');
  assert.equal(asked.expiresAt, server.clock.time + 24 * hourMs);
  const key = await bring(arranged, asked, randomBytes(32));
  assert.equal(key.id, asked.key);
  assert.deepEqual([key.origin, key.exportable, key.state, key.version], ['imported', false, 'active', 1]);
  const service = await makeService(server, custodian, system, [key.id]);
  const { ciphertext } = await server.admit('keys.encrypt', service, { key: key.id, plaintext });
  const opened = await server.admit('keys.decrypt', service, { key: key.id, ciphertext });
  assert.equal(opened.plaintext, plaintext);
  const entry = (await server.entries(tenant)).findLast(({ operation }) => operation === 'keys.import');
  assert.equal(entry?.['actor'], requester.id);
  assert.match(String(entry?.['material']), /^[0-9a-f]{64}$/);
  assert.deepEqual([entry?.['key'], entry?.['version'], entry?.['state']], [key.id, 1, 'active']);
  const [told] = (
    await server.admit('inventory.as-of', custodian, { asOf: server.clock.time, system })
  ).keys.filter(({ id }) => id === key.id);
  assert.equal(told?.description, 'From the old system');
  // Spent, and nothing of it is left.
  await assert.rejects(bring(arranged, asked, randomBytes(32)), refusal('import.token_invalid'));
});

test('a pair that was made elsewhere signs with its own public key [URS-088]', async () => {
  const arranged = await arrange(await shared());
  const { server, custodian, system } = arranged;
  for (const [algorithm, purpose, pair] of [
    ['ECC_NIST_P256', 'sign', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['ED25519', 'sign', generateKeyPairSync('ed25519')],
    ['RSA_3072', 'sign', generateKeyPairSync('rsa', { modulusLength: 3072 })],
  ] as const) {
    const asked = await ask(arranged, { algorithm, purpose });
    const material = pair.privateKey.export({ format: 'der', type: 'pkcs8' });
    const { id: key } = await bring(arranged, asked, material);
    const service = await makeService(server, custodian, system, [key]);
    const message = Buffer.from('a message').toString('base64');
    const { signature } = await server.admit('keys.sign', service, { key, message });
    assert.deepEqual((await server.admit('keys.verify', service, { key, message, signature })).valid, true);
    const shown = await server.admit('keys.public-key', custodian, { key });
    assert.equal(shown.publicKey, pair.publicKey.export({ format: 'der', type: 'spki' }).toString('base64'));
    // The same pair is not brought again, in whatever form.
    const again = await ask(arranged, { algorithm, purpose });
    await assert.rejects(bring(arranged, again, material), refusal('import.material_known'));
  }
});

test('a token is for whoever asked, for one key, for a day and for five tries [URS-088]', async () => {
  const arranged = await arrange(await shared());
  const { server, one, requester } = arranged;
  const asked = await ask(arranged);
  const wrapped = wrapFor(asked, randomBytes(32));
  const input = { token: asked.token, wrapped, ...provenance };
  await assert.rejects(server.admit('keys.import', one.session, input), refusal('import.token_invalid'));
  const elsewhere = { ...input, key: asked.key };
  await assert.rejects(
    server.admit('keys.import-version', requester.session, elsewhere),
    refusal('import.token_invalid'),
  );
  // A token lets nobody in.
  await assert.rejects(server.admit('keys.list', asked.token, {}));
  const others = await ask(arranged);
  const wrong = { ...input, wrapped: wrapFor(others, randomBytes(32)) };
  for (let round = 0; round < 5; round++) {
    await assert.rejects(
      server.admit('keys.import', requester.session, wrong),
      refusal('import.unwrap_failed'),
    );
  }
  await assert.rejects(
    server.admit('keys.import', requester.session, input),
    refusal('import.token_invalid'),
  );
  server.clock.time += 24 * hourMs;
  const { requester: back } = await signInAgain(arranged);
  const late = { token: others.token, wrapped: wrapFor(others, randomBytes(32)), ...provenance };
  await assert.rejects(server.admit('keys.import', back.session, late), refusal('import.token_invalid'));
  await server.runJobs();
  const left = await server.instance.database.read((tx) =>
    tx.selectFrom('key_import').select('id').where('key', 'in', [asked.key, others.key]).execute(),
  );
  assert.deepEqual(left, []);
});

test('weak, foreign and known material is refused, whichever tenant had it [URS-088] [URS-045]', async () => {
  const server = await shared();
  const [first, second] = [await arrange(server), await arrange(server)];
  const asked = await ask(first);
  await assert.rejects(bring(first, asked, Buffer.alloc(32)), refusal('import.material_weak'));
  await assert.rejects(bring(first, asked, randomBytes(31)), refusal('import.material_invalid'));
  const material = randomBytes(32);
  await bring(first, asked, material);
  const mac = await ask(second, { algorithm: 'HMAC_256' });
  await assert.rejects(bring(second, mac, material), refusal('import.material_known'));
  // What was destroyed is known for good.
  const { requester, one, two } = second;
  assert.ok(requester && one && two);
  await assert.rejects(bring(second, mac, material), refusal('import.material_known'));
  await bring(second, mac, randomBytes(32));
  for (const input of [{ algorithm: 'ECC_NIST_P256' }, { algorithm: 'AES_256', purpose: 'sign' }]) {
    await assert.rejects(ask(second, input), refusal('key.purpose_unsuitable'));
  }
  await assert.rejects(ask(second, { expiresAt: server.clock.time }), refusal('date.past'));
  await assert.rejects(
    server.admit('keys.import-parameters', second.custodian, { system: second.system, algorithm: 'AES_256' }),
    refusal('access.person_required'),
  );
});

test('an imported key rotates by the next import alone [URS-088] [URS-003]', async () => {
  const arranged = await arrange(await shared());
  const { server, custodian, system, requester } = arranged;
  const { id: key } = await bring(arranged, await ask(arranged), randomBytes(32));
  const service = await makeService(server, custodian, system, [key]);
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext });
  await assert.rejects(server.admit('keys.rotate', custodian, { key }), refusal('key.imported'));
  await server.admit('keys.suspend', custodian, { key, reason });
  await server.admit('keys.resume', custodian, { key, reason });
  const waiting = await server.instance.database.read((tx) =>
    tx.selectFrom('job').select('name').where('name', '=', `keys.rotate/${key}`).execute(),
  );
  assert.deepEqual(waiting, []);
  const wrappingAlgorithm = 'RSA_3072' as const;
  const asked = await server.admit('keys.import-version-parameters', requester.session, {
    key,
    wrappingAlgorithm,
  });
  assert.equal(asked.key, key);
  const material = randomBytes(32);
  const input = { key, token: asked.token, wrapped: wrapFor(asked, material), ...provenance };
  const rotated = await server.admit('keys.import-version', requester.session, input);
  assert.equal(rotated.version, 2);
  const opened = await server.admit('keys.decrypt', service, { key, ciphertext });
  assert.equal(opened.plaintext, plaintext);
  // Revoked between the two requests.
  const late = await server.admit('keys.import-version-parameters', requester.session, {
    key,
    wrappingAlgorithm,
  });
  await server.admit('keys.revoke', custodian, { key, cause: 'cessation', reason });
  const after = { key, token: late.token, wrapped: wrapFor(late, randomBytes(32)), ...provenance };
  await assert.rejects(
    server.admit('keys.import-version', requester.session, after),
    refusal('key.transition_undefined'),
  );
  for (const [of, code] of [
    [key, 'key.transition_undefined'],
    [arranged.key, 'key.not_imported'],
  ] as const) {
    await assert.rejects(
      server.admit('keys.import-version-parameters', requester.session, { key: of, wrappingAlgorithm }),
      refusal(code),
    );
  }
});

test('of two imports with one token, one succeeds [URS-088]', async () => {
  const arranged = await arrange(await shared());
  const asked = await ask(arranged);
  const outcomes = await Promise.allSettled([1, 2, 3].map(() => bring(arranged, asked, randomBytes(32))));
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') refusal('import.token_invalid')(outcome.reason);
  }
});

test('an outage costs no try and destroys no import [URS-088]', async (t) => {
  const arranged = await arrange(await shared());
  const { database, hierarchy } = arranged.server.instance;
  const asked = await ask(arranged);
  const outage = () => Promise.reject(new OperationError('tenant.root_unreachable'));
  for (const away of [
    () => t.mock.method(hierarchy, 'tenantKey', outage),
    // After the try was taken: the fingerprint's index cannot be computed.
    () => {
      const ownerKey = hierarchy.ownerKey.bind(hierarchy);
      return t.mock.method(hierarchy, 'ownerKey', (owner: string | null) =>
        owner === null ? outage() : ownerKey(owner),
      );
    },
  ]) {
    const { mock } = away();
    for (let round = 0; round < 6; round++) {
      await assert.rejects(bring(arranged, asked, randomBytes(32)), refusal('tenant.root_unreachable'));
    }
    mock.restore();
  }
  const [row] = await database.read((tx) =>
    tx.selectFrom('key_import').select('tries').where('key', '=', asked.key).execute(),
  );
  assert.equal(row?.tries, 0);
  assert.equal((await bring(arranged, asked, randomBytes(32))).id, asked.key);
});
