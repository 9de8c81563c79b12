import assert from 'node:assert/strict';
import { test } from 'node:test';
import { approveAndRun, arrange, askFor, reason } from '../dual-control.fixture.test.ts';
import { makeServer, refusal } from '../fixture.test.ts';
import { releasedKeysMs, remainingHolders } from './remaining.ts';
import { attest as attestInStore, attestedFor } from './store.ts';

test('only what was attested after an erasure counts, and nothing is attested of a key in use [URS-006] [URS-037]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { custodian, requester, tenant, key } = arranged;
  const { database, hierarchy, ledger } = server.instance;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1' });
  const { alias: gone } = await server.admit('subjects.create', custodian, { study, number: '1' });
  const place = { kind: 'backup', name: 'Tape', contact: 'The operators' } as const;
  const { id: holder } = await server.admit('holders.register', custodian, place);
  const stateOfSubject = async () =>
    (await server.admit('subjects.list', custodian, { study })).subjects[0]?.state;
  const attest = (input: object) =>
    server.admit('holders.attest', requester.session, { holder, reason, ...input });
  for (const thing of [{ study, subject: gone }, { study }, { key }])
    await assert.rejects(attest(thing), refusal('holder.key_in_use'));
  // What was attested before there was such a refusal.
  const { id: log } = ledger.logOfTenant(tenant) ?? assert.fail();
  const rowKey = await hierarchy.rowKey(tenant);
  const early = {
    holder,
    about: 'subject',
    thing: gone,
    actor: requester.id,
    made_at: server.clock.time,
  } as const;
  await database.write((tx) => attestInStore(tx, rowKey, early));
  server.clock.time += 1000;
  await approveAndRun(arranged, await askFor(arranged, 'subjects.erase', { study, alias: gone, reason }));
  for (const ms of [15_000, 61_000]) {
    server.clock.time += ms;
    await server.runJobs();
  }
  assert.equal(await stateOfSubject(), 'erasing');
  await attest({ study, subject: gone });
  // Older than what is there, as from a ledger that is gone through again.
  await database.write((tx) => attestInStore(tx, rowKey, early));
  const attested = await database.read((tx) => attestedFor(tx, rowKey, log, early, early.made_at + 1));
  assert.deepEqual([...attested], [holder]);
  await server.runJobs();
  assert.equal(await stateOfSubject(), 'erased');
});

test('clients count for as long as the configuration lets them use data keys, and nodes for a minute [URS-006]', async (t) => {
  const server = await makeServer(t);
  const { database } = server.instance;
  const destroyed = { about: 'key', thing: 'k', study: null, destroyedAt: 1_000_000 } as const;
  for (const [clientDataKeySeconds, seconds] of [
    [undefined, 60],
    [0, 60],
    [300, 300],
  ] as const) {
    const configuration = clientDataKeySeconds === undefined ? {} : { clientDataKeySeconds };
    const registries = { releasedKeysMs: releasedKeysMs(configuration), of: [] };
    const until = destroyed.destroyedAt + seconds * 1000;
    const at = (time: number) => database.read((tx) => remainingHolders(tx, registries, destroyed, time));
    assert.deepEqual(
      (await at(until - 1)).map(({ kind, expiresAt }) => [kind, expiresAt]),
      [['client-cache', until]],
    );
    assert.deepEqual(await at(until), []);
  }
});
