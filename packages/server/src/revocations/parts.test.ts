import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { maxPreviewed } from '@trialkeep/contract';
import { makeServer, makeTenant, refusal } from '../fixture.test.ts';
import type { Hook, TestServer } from '../fixture.test.ts';
import { insertMadeUpKey } from '../keys/index.ts';
import { DatabaseError } from '../platform/database-error.ts';
import { StaleFacts } from '../platform/facts.ts';
import { newId } from '../platform/ids.ts';
import { planOf } from './plan.ts';
import { maxTogether } from './revoke.ts';

const plaintext = Buffer.from('a value').toString('base64');
const asked = { cause: 'vendor-exit', reason: 'An alarm.' } as const;

type Made = Awaited<ReturnType<typeof makeTenant>>;

/** Gives a system so many more keys. */
async function addKeys(server: TestServer, { tenant, system }: Made, count: number): Promise<void> {
  const { database, hierarchy } = server.instance;
  const rowKey = await hierarchy.rowKey(tenant);
  const kind = { algorithm: 'AES_256', purpose: 'encrypt' } as const;
  const made = await hierarchy.newSystemKeyVersion(tenant, newId(), kind);
  await database.write(async (tx) => {
    for (let i = 0; i < count; i++) {
      const version = { ...made, versionId: newId() };
      await insertMadeUpKey(tx, rowKey, { id: newId(), tenant, system, made: version, time: 1 });
    }
  });
}

/** How many entries each transaction of a change has from now on. */
function groupsOf(t: TestContext, { instance }: TestServer): number[] {
  const groups: number[] = [];
  const { appender } = instance.ledger;
  const change = appender.change.bind(appender);
  t.mock.method(appender, 'change', ((log, epoch, work, options) => {
    let count = 0;
    const counting: typeof work = async (tx, time) => {
      const outcome = await work(tx, time);
      count = 1 + (outcome.further?.length ?? 0);
      return outcome;
    };
    return change(log, epoch, counting, options).then((result) => {
      groups.push(count);
      return result;
    });
  }) as typeof change);
  return groups;
}

async function ended(server: TestServer, tenant: string) {
  const entries = await server.entries(tenant);
  return entries.filter(
    ({ operation, outcome }) => operation === 'revocations.revoke' && outcome === 'success',
  );
}

test('more than one transaction takes ends in several, each thing with its entry, before the answer [URS-004]', async (t) => {
  const server = await makeServer(t);
  const made = await makeTenant(server);
  const { tenant, custodian, system, key, service } = made;
  const added = maxTogether * 2 + 5;
  await addKeys(server, made, added);
  const scope = { system };
  const { hash, counts, keys } = await server.admit('revocations.preview', custodian, { scope });
  assert.deepEqual([counts.keys, keys.length], [added + 1, maxPreviewed]);
  const groups = groupsOf(t, server);
  const done = await server.admit('revocations.revoke', custodian, { scope, ...asked, preview: hash });
  assert.deepEqual(done.ended, counts);
  // The keys, the credential, and the entry that sums up.
  assert.deepEqual(groups, [maxTogether, maxTogether, added + 3 - 2 * maxTogether]);
  await assert.rejects(server.admit('keys.encrypt', service, { key, plaintext }), refusal('auth.revoked'));
  const left = await server.admit('revocations.preview', custodian, { scope });
  assert.equal(left.counts.keys, 0);
  const entries = await ended(server, tenant);
  assert.equal(new Set(entries.map((entry) => entry['key']).filter(Boolean)).size, added + 1);
  assert.equal(entries.length, added + 3);
  assert.equal(entries.at(-1)?.['hash'], hash);
  // What lets somebody in ends first.
  assert.ok(entries[0]?.['credential']);
  assert.ok(
    entries.every((entry) => entry['actor'] === entries[0]?.['actor'] && entry['role'] === 'custodian'),
  );
});

test('a plan for a part has no more than the part, of what has not ended [URS-004]', async (t) => {
  const server = await makeServer(t);
  const made = await makeTenant(server);
  const { tenant, custodian, system, key } = made;
  const { database, hierarchy, ledger } = server.instance;
  await addKeys(server, made, maxTogether + 1);
  const log = ledger.logOfTenant(tenant) ?? assert.fail();
  const place = { rowKey: await hierarchy.rowKey(tenant), log, tenant, actor: undefined };
  const plan = (cause: string, most?: number) =>
    database.read((tx) => {
      const wanted = { cause, time: server.clock.now(), ...(most !== undefined && { most }) };
      return planOf(tx, place, { system }, wanted);
    });
  const kinds = async (most: number) => (await plan('cessation', most)).endings.map(({ kind }) => kind);
  assert.deepEqual(await kinds(1), ['credential']);
  assert.deepEqual(await kinds(3), ['credential', 'key', 'key']);
  const all = await plan('cessation');
  assert.equal(all.endings.length, maxTogether + 3);
  assert.equal(
    new Set(all.endings.map((each) => each.kind !== 'study' && each.row.id)).size,
    maxTogether + 3,
  );
  // Of what was revoked only the loss of trust is left to come; of what is compromised nothing.
  for (const [cause, ends, stays] of [
    ['cessation', 'cessation', 'breach'],
    ['breach', 'breach', undefined],
  ] as const) {
    await server.admit('revocations.revoke', custodian, { scope: { key }, cause, reason: asked.reason });
    const named = async (of: string) =>
      (await plan(of)).endings.some((each) => each.kind === 'key' && each.row.id === key);
    assert.equal(await named(ends), false);
    if (stays !== undefined) assert.equal(await named(stays), true);
  }
});

test('a revocation in parts gets the space that is reserved for it on a full disk, once [URS-004]', async (t) => {
  const server = await makeServer(t);
  const made = await makeTenant(server);
  const { custodian, system } = made;
  await addKeys(server, made, maxTogether + 1);
  const { ledger, reserve } = server.instance;
  const change = ledger.appender.change.bind(ledger.appender);
  let isFull = true;
  t.mock.method(ledger.appender, 'change', ((...given) =>
    isFull
      ? Promise.reject(new DatabaseError('database or disk is full', 13))
      : change(...given)) as typeof change);
  const release = t.mock.method(reserve, 'release', () => false);
  const revoke = () => server.admit('revocations.revoke', custodian, { scope: { system }, ...asked });
  await assert.rejects(revoke(), refusal('server.storage_full'));
  release.mock.mockImplementation(() => {
    const had = isFull;
    isFull = false;
    return had;
  });
  const before = release.mock.callCount();
  assert.equal((await revoke()).ended.keys, maxTogether + 2);
  assert.equal(release.mock.callCount(), before + 1);
});

test('a revocation that grows beyond one transaction while it is tried says all of what it ended [URS-004]', async (t) => {
  let grow: (() => Promise<never>) | undefined;
  const hook: Hook = (bound) => ({
    ...bound,
    'revocations.revoke': async (context) => {
      const apply = await bound['revocations.revoke'](context);
      await grow?.();
      return apply;
    },
  });
  const server = await makeServer(t, hook);
  const made = await makeTenant(server);
  const { custodian, system, tenant } = made;
  grow = async () => {
    grow = undefined;
    await addKeys(server, made, maxTogether);
    throw new StaleFacts(server.instance.ledger.logOfTenant(tenant)?.id ?? assert.fail());
  };
  const done = await server.admit('revocations.revoke', custodian, { scope: { system }, ...asked });
  assert.deepEqual([done.ended.keys, done.ended.credentials], [maxTogether + 1, 1]);
  assert.equal((await ended(server, tenant)).length, maxTogether + 3);
});
