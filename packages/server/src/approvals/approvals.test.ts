import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { operations } from '@trialkeep/contract';
import type { Operation } from '@trialkeep/contract';
import {
  arrange,
  ask,
  comeBack,
  componentsOf,
  dayMs,
  decide,
  keyState,
  reason,
  rejection,
  stateOf,
} from '../dual-control.fixture.test.ts';
import { makeServer, refusal, shareServer } from '../fixture.test.ts';

const shared = shareServer();

test('what people approve is the document whose hash they send, and nothing else [URS-010] [URS-030]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { key, one } = arranged;
  const approval = await ask(arranged);
  const { document, approval: shown } = await server.admit('approvals.show', one.session, { approval });
  assert.equal(createHash('sha256').update(document).digest('hex'), shown.hash);
  const { input, operation, requester } = JSON.parse(document) as Record<string, unknown>;
  assert.deepEqual(
    { input, operation, requester },
    { input: { key, reason }, operation: 'keys.schedule-destruction', requester: arranged.requester.id },
  );
  const signature = componentsOf(arranged, one);
  const other = { approval, hash: 'f'.repeat(64), signature };
  await assert.rejects(server.admit('approvals.approve', one.session, other), refusal('approval.changed'));
});

test('nobody decides on a request of their own, twice, or without a signature [URS-010] [URS-031]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { requester, one } = arranged;
  const approval = await ask(arranged);
  await assert.rejects(decide(arranged, requester, approval), refusal('approval.own'));
  const { hash } = await stateOf(arranged, approval);
  const unsigned = await rejection(server.admit('approvals.approve', one.session, { approval, hash }));
  assert.deepEqual([unsigned.code, unsigned.signature], ['signature.needed', { meaning: 'approval', hash }]);
  const wrong = { ...componentsOf(arranged, one), password: 'another password' };
  await assert.rejects(
    server.admit('approvals.approve', one.session, { approval, hash, signature: wrong }),
    refusal('auth.failed'),
  );
  assert.deepEqual((await stateOf(arranged, approval)).votes, []);
  await decide(arranged, one, approval);
  await assert.rejects(decide(arranged, one, approval), refusal('approval.decided'));
  assert.equal((await stateOf(arranged, approval)).votes.length, 1);
});

test('a code that signed once signs nothing again [URS-031]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { one } = arranged;
  const [first, second] = [await ask(arranged), await ask(arranged)];
  const signature = componentsOf(arranged, one);
  const sign = async (approval: string) => {
    const { hash } = await stateOf(arranged, approval);
    return server.admit('approvals.approve', one.session, { approval, hash, signature });
  };
  await sign(first);
  await assert.rejects(sign(second), refusal('auth.failed'));
});

test('a credential neither asks nor decides where that is for people [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, key } = arranged;
  await assert.rejects(
    server.admit('keys.schedule-destruction', custodian, { key, reason }),
    refusal('access.person_required'),
  );
  const approval = await ask(arranged);
  const { hash } = await stateOf(arranged, approval);
  await assert.rejects(
    server.admit('approvals.approve', custodian, { approval, hash }),
    refusal('access.person_required'),
  );
});

test('one denial ends a request, and so does taking it back or waiting too long [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { requester, one, two } = arranged;
  const denied = await ask(arranged);
  assert.equal((await decide(arranged, one, denied, 'deny')).state, 'denied');
  await assert.rejects(decide(arranged, two, denied), refusal('approval.closed'));

  const cancelled = await ask(arranged);
  await decide(arranged, one, cancelled);
  const taken = { approval: cancelled, reason: 'A mistake.' };
  await assert.rejects(server.admit('approvals.cancel', two.session, taken), refusal('approval.foreign'));
  assert.equal((await server.admit('approvals.cancel', requester.session, taken)).state, 'cancelled');
  await assert.rejects(decide(arranged, two, cancelled), refusal('approval.closed'));

  const late = await ask(arranged);
  server.clock.time += 7 * dayMs;
  const { approvals } = await server.admit('approvals.list', arranged.custodian, {});
  assert.deepEqual(
    approvals.map(({ id, state }) => [id, state]),
    [
      [denied, 'denied'],
      [cancelled, 'cancelled'],
      [late, 'expired'],
    ],
  );
  await server.runJobs();
  assert.equal(await keyState(arranged), 'deactivated');
});

test('a request that could never be approved is not kept [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server, ['custodian', 'custodian', 'auditor']);
  const { key, requester } = arranged;
  await assert.rejects(
    server.admit('keys.schedule-destruction', requester.session, { key, reason }),
    refusal('approval.too_few_people'),
  );
  const { approvals } = await server.admit('approvals.list', requester.session, {});
  assert.deepEqual(approvals, []);
});

test('people are not asked for what cannot be done: only a key out of use is destroyed [URS-002] [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, system, requester } = arranged;
  const { id: active } = await server.admit('keys.create', custodian, { system });
  await assert.rejects(
    server.admit('keys.schedule-destruction', requester.session, { key: active, reason }),
    refusal('key.transition_undefined'),
  );
  await assert.rejects(
    server.admit('keys.schedule-destruction', requester.session, { key: randomUUID(), reason }),
    refusal('key.unknown'),
  );
});

test('the rows of a request and of a decision that somebody altered are not believed [URS-008] [URS-010]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { one, two, tenant } = arranged;
  const approval = await ask(arranged);
  await decide(arranged, one, approval);
  const alter = (change: () => Promise<unknown>) => async () => {
    await change();
    await server.admit('studies.create', arranged.custodian, { protocol: randomUUID() });
    await assert.rejects(
      server.admit('approvals.show', two.session, { approval }),
      refusal('server.data_altered'),
    );
  };
  const { database } = server.instance;
  const before = await database.read((tx) =>
    tx.selectFrom('approval').selectAll().where('id', '=', approval).executeTakeFirstOrThrow(),
  );
  const restore = () =>
    database.write((tx) => tx.updateTable('approval').set(before).where('id', '=', approval).execute());
  for (const change of [{ needed: 1 }, { state: 'approved' as const }, { requester: one.id }]) {
    await alter(() =>
      database.write((tx) => tx.updateTable('approval').set(change).where('id', '=', approval).execute()),
    )();
    await restore();
  }
  await alter(() =>
    database.write((tx) =>
      tx.updateTable('approval_vote').set({ person: two.id }).where('approval', '=', approval).execute(),
    ),
  )();
  assert.ok((await server.entries(tenant)).length > 0);
});

test('a decision made before its person was invited anew does not count, and can be made again [URS-010] [URS-028]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, one, two } = arranged;
  const approval = await ask(arranged);
  await decide(arranged, one, approval);
  const { invitation } = await server.admit('people.reinvite', custodian, {
    person: one.id,
    reason: 'Stolen.',
  });
  assert.equal((await decide(arranged, two, approval)).state, 'pending');
  await server.runJobs();
  assert.equal(await keyState(arranged), 'deactivated');
  const back = await comeBack(arranged, one, invitation.secret);
  assert.equal((await decide(arranged, back, approval)).state, 'approved');
  await server.runJobs();
  assert.equal(await keyState(arranged), 'destruction-pending');
});

test('requests come page by page, and nobody has more than a hundred waiting [URS-010]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { key, requester, custodian } = arranged;
  for (let i = 0; i < 100; i++) await ask(arranged);
  await assert.rejects(
    server.admit('keys.schedule-destruction', requester.session, { key, reason }),
    refusal('approval.too_many_open'),
  );
  const { database } = server.instance;
  const rows = await database.read((tx) => tx.selectFrom('approval').select('id').execute());
  assert.equal(rows.length, 100);
  const first = await server.admit('approvals.list', custodian, {});
  assert.equal(first.approvals.length, 100);
  assert.ok(first.next);
  const rest = await server.admit('approvals.list', custodian, { cursor: first.next });
  assert.deepEqual([rest.approvals.length, rest.next], [0, null]);
  await assert.rejects(
    server.admit('approvals.list', custodian, { cursor: 'x' }),
    refusal('request.invalid'),
  );
});

test('a change that was rolled back leaves nothing of it on the record of its refusal [URS-032]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { one, tenant } = arranged;
  const approval = await ask(arranged);
  const { database } = server.instance;
  const { hash } = await stateOf(arranged, approval);
  // The signature is the last that is written before the entry.
  await database.write((tx) => tx.schema.alterTable('signature').renameTo('away').execute());
  await assert.rejects(
    server.admit('approvals.approve', one.session, {
      approval,
      hash,
      signature: componentsOf(arranged, one),
    }),
    refusal('server.storage_failed'),
  );
  await database.write((tx) => tx.schema.alterTable('away').renameTo('signature').execute());
  const signed = (await server.entries(tenant)).filter(({ signature }) => signature !== undefined);
  assert.deepEqual(signed, []);
  assert.deepEqual((await stateOf(arranged, approval)).votes, []);
});

/** Whether an input is the two components of an electronic signature; a digital one is text, and may be recorded. */
function isComponents(schema: unknown): boolean {
  const { properties = {} } = schema as { properties?: object };
  return Object.hasOwn(properties, 'password') && Object.hasOwn(properties, 'code');
}

test('no operation asks for the approval of nobody, and what needs a signature takes one unrecorded [URS-010] [URS-031]', () => {
  const all: readonly Operation[] = Object.values(operations);
  for (const { id, approval, signature, effect, input, recorded, permission } of all) {
    if (approval !== undefined) assert.ok(approval.people >= 1 && approval.withinDays >= 1, id);
    if (approval !== undefined || signature !== undefined) assert.equal(effect, 'change', id);
    const components = Object.keys(input.properties).filter((name) => isComponents(input.properties[name]));
    assert.deepEqual(components, signature === undefined ? [] : ['signature'], id);
    for (const secret of [...components, 'password', 'code', 'plaintext', 'ciphertext']) {
      assert.ok(!recorded.includes(secret), `${id} records ${secret}`);
    }
    // The input is kept as it is: it must hold no components.
    assert.ok(approval === undefined || signature === undefined, id);
    assert.notEqual(permission, '', id);
  }
});
