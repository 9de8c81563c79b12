/** Each batch does with its items what the operation that it is many of does with one: a good item comes out, and a bad one fails by itself. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { BatchId, ItemOutcome } from '@trialkeep/contract';
import { operations } from '@trialkeep/contract';
import { makeService, makeTenant, shareServer } from './fixture.test.ts';
import type { TestServer } from './fixture.test.ts';

const shared = shareServer();
const message = Buffer.from('a message').toString('base64');
const unknownStudy = '00000000-0000-4000-8000-000000000000';

let server: TestServer;
let tenant: string;
let service: string;
let keys: Record<'data' | 'other' | 'sign' | 'mac', string>;

before(async () => {
  server = await shared();
  const made = await makeTenant(server);
  const { custodian, system } = made;
  tenant = made.tenant;
  const create = async (input: object) =>
    (await server.admit('keys.create', custodian, { system, ...input })).id;
  keys = {
    data: made.key,
    other: await create({}),
    sign: await create({ algorithm: 'ECC_NIST_P256', purpose: 'sign' }),
    mac: await create({ algorithm: 'HMAC_256', purpose: 'mac' }),
  };
  service = await makeService(server, custodian, system, Object.values(keys));
});

type Outcomes = readonly ItemOutcome<Record<string, unknown>>[];

/** Asks for two items; gives the result of the first, and refuses any other error of the second, in the answer and in the ledger. */
async function goodAndBad(
  id: BatchId,
  key: string,
  items: readonly [object, object],
  bad: { readonly code: string; readonly field: string; readonly outcome: 'refused' | 'failed' },
): Promise<Record<string, unknown>> {
  const single: string = operations[id].batchOf;
  const seen = (await server.entries(tenant)).length;
  const answer = await server.admit(id, service, { key, items } as never);
  const [first, second, ...further] = (answer as { items: Outcomes }).items;
  assert.ok(first && 'result' in first, JSON.stringify(first));
  assert.ok(second && 'error' in second);
  assert.deepEqual([second.error.code, second.error.field, further], [bad.code, bad.field, []]);
  const entries = (await server.entries(tenant)).slice(seen);
  assert.ok(entries.every(({ operation }) => operation === single));
  const [last] = entries.splice(-1);
  assert.deepEqual([last?.['key'], last?.['outcome'], last?.['code']], [key, bad.outcome, bad.code]);
  assert.ok(entries.length > 0 && entries.every(({ outcome }) => outcome === 'success'));
  return first.result;
}

test('signatures are made and checked in batches [URS-002] [URS-045]', async () => {
  const unsuitable = {
    code: 'signature.algorithm_unsuitable',
    field: '/items/1/algorithm',
    outcome: 'refused',
  } as const;
  const bad = { message, algorithm: 'ED25519' };
  const { signature } = await goodAndBad('keys.sign-batch', keys.sign, [{ message }, bad], unsuitable);
  const items = [
    { message, signature },
    { ...bad, signature },
  ] as const;
  const verified = await goodAndBad('keys.verify-batch', keys.sign, items, unsuitable);
  assert.equal(verified['valid'], true);
});

test('MACs are made and checked in batches [URS-002] [URS-045]', async () => {
  // Base64 lets two bytes more through than a message may have.
  const long = Buffer.alloc(4097).toString('base64');
  const large = { code: 'request.too_large', field: '/items/1/message', outcome: 'refused' } as const;
  const { mac } = await goodAndBad(
    'keys.generate-mac-batch',
    keys.mac,
    [{ message }, { message: long }],
    large,
  );
  const unknown = { code: 'key.version_unknown', field: '/items/1/version', outcome: 'refused' } as const;
  const items = [
    { message, mac },
    { message, mac, version: 2 },
  ] as const;
  const verified = await goodAndBad('keys.verify-mac-batch', keys.mac, items, unknown);
  assert.equal(verified['valid'], true);
});

test('ciphertexts go from one key to another in batches [URS-002] [URS-003]', async () => {
  const { data: key, other: target } = keys;
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext: message });
  const wrong = Buffer.from(ciphertext, 'base64');
  wrong.writeUInt8(wrong.readUInt8(wrong.length - 1) ^ 1, wrong.length - 1);
  const items = [
    { ciphertext, target },
    { ciphertext: wrong.toString('base64'), target },
  ] as const;
  const bad = { code: 'ciphertext.invalid', field: '/items/1/ciphertext', outcome: 'failed' } as const;
  const moved = await goodAndBad('keys.re-encrypt-batch', key, items, bad);
  const input = { key: target, ciphertext: String(moved['ciphertext']) };
  assert.equal((await server.admit('keys.decrypt', service, input)).plaintext, message);
});

test('wrapped data keys are made in batches [URS-002] [URS-046]', async () => {
  const { data: key } = keys;
  const items = [{ context: { class: 'ecg' } }, { context: { study: unknownStudy } }] as const;
  const bad = { code: 'study.unknown', field: '/items/1/context/study', outcome: 'refused' } as const;
  const made = await goodAndBad('keys.generate-wrapped-data-key-batch', key, items, bad);
  assert.ok(!('plaintext' in made));
  const input = { key, ciphertext: String(made['ciphertext']), context: { class: 'ecg' } };
  const { plaintext } = await server.admit('keys.decrypt-data-key', service, input);
  assert.equal(Buffer.from(plaintext, 'base64').length, 32);
});
