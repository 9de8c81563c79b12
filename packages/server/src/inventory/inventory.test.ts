import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { Input, Operations } from '@trialkeep/contract';
import { makeService, makeTenant, refusal, shareServer } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import type { InventoryKey } from './index.ts';

const shared = shareServer();
const dayMs = 86_400_000;
const reason = 'test';

async function findAll(
  server: TestServer,
  credential: string,
  input: Input<Operations['inventory.find']>,
): Promise<InventoryKey[]> {
  const keys: InventoryKey[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await server.admit('inventory.find', credential, { ...input, ...(cursor && { cursor }) });
    keys.push(...page.keys);
    cursor = page.next;
  }
  return keys;
}

test('the inventory names owner, system, tenant, algorithm, module, state, dates and last use [URS-007]', async () => {
  const server = await shared();
  const { tenant, custodian, system, key, service } = await makeTenant(server);
  const [unused] = await findAll(server, custodian, {});
  assert.deepEqual(
    [unused?.id, unused?.tenant, unused?.system, unused?.systemName, unused?.vendor],
    [key, tenant, system, 'edc', 'vendor'],
  );
  assert.deepEqual(
    [unused?.algorithm, unused?.purpose, unused?.state, unused?.overdue, unused?.lastUse, unused?.module],
    ['AES_256', 'encrypt', 'active', false, null, { protection: 'software', root: 'passphrase' }],
  );
  await server.admit('keys.encrypt', service, { key, plaintext: 'AAAA' });
  server.clock.time += 5;
  await assert.rejects(server.admit('keys.decrypt', service, { key, ciphertext: 'AAAA' }));
  const [used] = await findAll(server, custodian, {});
  const entries = await server.entries(tenant);
  const index = entries.findIndex(({ operation }) => operation === 'keys.encrypt');
  assert.deepEqual(used?.lastUse, { at: entries[index]?.['time'], index });
});

test('keys are found by owner, state, dates, use and text [URS-007]', async () => {
  const server = await shared();
  const { custodian, system, key, service } = await makeTenant(server);
  const other = await server.admit('systems.create', custodian, { name: 'etmf', type: 'etmf', vendor: 'B' });
  const make = async (input: object) =>
    (await server.admit('keys.create', custodian, { system, ...input })).id;
  const now = server.clock.time;
  const later = await make({ description: 'ECG 100%_Source', activatesAt: now + 50 * dayMs });
  const ending = await make({ description: 'diary', expiresAt: now + 10 * dayMs });
  const foreign = await make({ system: other.id, useLogged: true });
  const suspended = await make({ rotationPeriodDays: 60 });
  await server.admit('keys.suspend', custodian, { key: suspended, reason });
  await server.admit('keys.encrypt', service, { key, plaintext: 'AAAA' });
  const ids = async (input: object): Promise<string[]> =>
    (await findAll(server, custodian, input)).map(({ id }) => id).sort();
  const sorted = (...list: string[]): string[] => list.sort();
  assert.deepEqual(await ids({}), sorted(key, later, ending, foreign, suspended));
  assert.deepEqual(await ids({ vendor: 'B' }), [foreign]);
  assert.deepEqual(await ids({ system: other.id }), [foreign]);
  assert.deepEqual(await ids({ useLogged: true }), [foreign]);
  assert.deepEqual(await ids({ state: 'pre-activation' }), [later]);
  assert.deepEqual(await ids({ state: 'suspended' }), [suspended]);
  assert.deepEqual(await ids({ state: 'active' }), sorted(key, ending, foreign));
  assert.deepEqual(await ids({ expiresWithinDays: 11 }), [ending]);
  assert.deepEqual(await ids({ expiresWithinDays: 9 }), []);
  assert.deepEqual(await ids({ order: 'expires' }), [ending]);
  assert.deepEqual(await ids({ text: '100%_s' }), [later]);
  assert.deepEqual(await ids({ text: '%' }), [later]);
  assert.deepEqual(await ids({ algorithm: 'AES_256', purpose: 'encrypt', text: 'DIARY' }), [ending]);
  assert.deepEqual(await ids({ unusedSince: now }), sorted(later, ending, foreign, suspended));
  assert.deepEqual(await ids({ overdue: true }), []);
  assert.deepEqual(await ids({ study: randomUUID() }), []);
  server.clock.time += 100 * dayMs;
  assert.deepEqual(await ids({ state: 'deactivated' }), [ending]);
  assert.deepEqual(await ids({ overdue: true }), sorted(key, later, foreign));
  assert.deepEqual(await ids({ overdue: false }), sorted(ending, suspended));
  assert.deepEqual(await ids({ unusedSince: now + dayMs, state: 'active' }), sorted(key, later, foreign));
});

test('keys used for a study are found by it, as far as the ledger knows [URS-007]', async () => {
  const server = await shared();
  const { custodian, system, key, service } = await makeTenant(server);
  await server.admit('keys.create', custodian, { system });
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1' });
  await server.admit('keys.encrypt', service, { key, plaintext: 'AAAA', context: { study } });
  const found = await findAll(server, custodian, { study });
  assert.deepEqual(
    found.map(({ id }) => id),
    [key],
  );
});

test('pages have every key once, in each order, whatever is made meanwhile [URS-007]', async () => {
  const server = await shared();
  const { custodian, system, key } = await makeTenant(server);
  const made = [key];
  for (let i = 0; i < 11; i++) {
    server.clock.time += i % 3;
    const input = {
      system,
      rotationPeriodDays: 60 + (i % 4),
      expiresAt: server.clock.time + 1000 * (20 - i),
    };
    made.push((await server.admit('keys.create', custodian, input)).id);
  }
  for (const order of ['created', 'rotation-due', 'expires'] as const) {
    const found = await findAll(server, custodian, { order, limit: 3 });
    const expected = order === 'expires' ? made.slice(1) : made;
    assert.deepEqual(found.map(({ id }) => id).sort(), expected.toSorted());
    const field = { created: 'createdAt', 'rotation-due': 'rotationDueAt', expires: 'expiresAt' } as const;
    const values = found.map((row) => Number(row[field[order]]));
    assert.deepEqual(
      values,
      values.toSorted((a, b) => a - b),
    );
  }
});

test('the list without filters is one page with a cursor [URS-007]', async () => {
  const server = await shared();
  const { custodian, system, key } = await makeTenant(server);
  // Keys of one time stand in the order of their ids.
  server.clock.time += 1;
  for (let i = 0; i < 100; i++) await server.admit('keys.create', custodian, { system });
  const first = await server.admit('keys.list', custodian, {});
  assert.deepEqual([first.keys.length, first.keys[0]?.id], [100, key]);
  assert.ok(first.next !== null);
  const second = await server.admit('keys.list', custodian, { cursor: first.next });
  assert.deepEqual([second.keys.length, second.next], [1, null]);
});

test('cursors of others, of other questions and of no page are refused; so are times that cannot be [URS-007]', async () => {
  const server = await shared();
  const [one, two] = [await makeTenant(server), await makeTenant(server)];
  for (const { custodian, system } of [one, two]) await server.admit('keys.create', custodian, { system });
  const asked = { limit: 1 } as const;
  const { next } = await server.admit('inventory.find', one.custodian, asked);
  const asOf = server.clock.time;
  const { next: past } = await server.admit('inventory.as-of', one.custodian, { ...asked, asOf });
  assert.ok(next !== null && past !== null);
  const find = (credential: string, input: object) =>
    assert.rejects(server.admit('inventory.find', credential, input), refusal('request.invalid'));
  await find(two.custodian, { ...asked, cursor: next });
  await find(one.custodian, { ...asked, cursor: next, state: 'active' });
  for (const cursor of ['0', past, `${next}0`, next.toUpperCase()]) await find(one.custodian, { cursor });
  const look = (credential: string, input: { asOf: number; cursor?: string }, code = 'request.invalid') =>
    assert.rejects(server.admit('inventory.as-of', credential, input), refusal(code));
  await look(two.custodian, { asOf, cursor: past });
  await look(one.custodian, { asOf: asOf - 1, cursor: past });
  await look(one.custodian, { asOf, cursor: next });
  await look(one.custodian, { asOf, cursor: `zzzzzzzz_zzzzzzzzz_${past.slice(-16)}` });
  await look(one.custodian, { asOf: server.clock.time + dayMs }, 'inventory.future');
  await look(one.custodian, { asOf: 1 }, 'inventory.before_ledger');
});

test('an auditor reads the inventory, a service does not, and each look is an entry [URS-007] [URS-019]', async () => {
  const server = await shared();
  const { tenant, custodian, system, key, service } = await makeTenant(server);
  const { secret } = await server.admit('credentials.issue', custodian, {
    name: 'inspector',
    role: 'auditor',
  });
  const asOf = server.clock.time;
  assert.equal((await server.admit('inventory.find', secret, { system })).keys.length, 1);
  assert.equal((await server.admit('inventory.as-of', secret, { asOf, system })).keys[0]?.id, key);
  const other = await makeService(server, custodian, system, [key]);
  for (const credential of [service, other]) {
    await assert.rejects(server.admit('inventory.find', credential, {}), refusal('access.denied'));
    await assert.rejects(server.admit('inventory.as-of', credential, { asOf }), refusal('access.denied'));
  }
  const looks = (await server.entries(tenant)).filter(({ operation }) =>
    String(operation).startsWith('inventory.'),
  );
  assert.deepEqual(
    looks.map((entry) => [entry['outcome'], entry['system']]),
    [['success', system], ['success', system], ...Array.from({ length: 4 }, () => ['refused', undefined])],
  );
});
