import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recoverApproved } from './approvals/index.ts';
import { recordedStates } from './audit/index.ts';
import {
  approveAndRun,
  approveByBoth,
  arrange,
  ask,
  comeBack,
  dayMs,
  decide,
  keyState,
  plaintext,
  signInAgain,
  stateOf,
} from './dual-control.fixture.test.ts';
import { makeServer, refusal, shareServer } from './fixture.test.ts';
import { OperationError } from './platform/errors.ts';

const shared = shareServer();

test('a destruction runs once two others have approved it, with exactly what they approved [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { tenant, key, requester, one, two } = arranged;
  const approval = await ask(arranged);
  assert.equal(await keyState(arranged), 'deactivated');
  assert.equal((await decide(arranged, one, approval)).state, 'pending');
  await server.runJobs();
  assert.equal(await keyState(arranged), 'deactivated');
  assert.equal((await decide(arranged, two, approval)).state, 'approved');
  await server.runJobs();
  assert.equal((await stateOf(arranged, approval)).state, 'executed');
  assert.equal(await keyState(arranged), 'destruction-pending');

  const { hash } = await stateOf(arranged, approval);
  const about = (await server.entries(tenant)).filter((entry) => entry['approval'] === approval);
  const written = about.filter(({ operation }) => operation !== 'approvals.show');
  assert.deepEqual(
    written.map(({ operation, outcome, actor, key: named, hash: bound, state }) => [
      operation,
      outcome,
      actor,
      named,
      bound,
      state,
    ]),
    [
      ['keys.schedule-destruction', 'requested', requester.id, key, hash, undefined],
      ['approvals.approve', 'success', one.id, undefined, hash, 'pending'],
      ['approvals.approve', 'success', two.id, undefined, hash, 'approved'],
      ['keys.schedule-destruction', 'success', requester.id, key, hash, 'deactivated'],
    ],
  );
  server.clock.time += 31 * dayMs;
  await server.runJobs();
  const secrets = await server.instance.database.read((snapshot) =>
    snapshot.selectFrom('key_version').select('wrapped_secret').where('key', '=', key).execute(),
  );
  assert.deepEqual(
    secrets.map(({ wrapped_secret }) => wrapped_secret.length),
    [0],
  );
  assert.equal(await keyState(arranged), 'destroyed');
});

test('what is approved already can still be taken back before it runs [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { requester } = arranged;
  const approval = await ask(arranged);
  await approveByBoth(arranged, approval);
  await server.admit('approvals.cancel', requester.session, { approval, reason: 'A mistake.' });
  await server.runJobs();
  assert.equal((await stateOf(arranged, approval)).state, 'cancelled');
  assert.equal(await keyState(arranged), 'deactivated');
});

for (const who of ['requester', 'one'] as const) {
  test(`what was approved does not run once the ${who === 'one' ? 'approver' : 'requester'} has left [URS-004] [URS-010]`, async () => {
    const server = await shared();
    const arranged = await arrange(server);
    const { tenant, custodian, two } = arranged;
    const approval = await ask(arranged);
    await approveByBoth(arranged, approval);
    await server.admit('people.leave', custodian, { person: arranged[who].id, reason: 'Left.' });
    await server.runJobs();
    const failure = who === 'one' ? 'approval.too_few_people' : 'access.denied';
    const { approval: shown } = await server.admit('approvals.show', two.session, { approval });
    assert.deepEqual([shown.state, shown.failure], ['failed', failure]);
    assert.equal(await keyState(arranged), 'deactivated');
    const last = (await server.entries(tenant))
      .filter(({ operation }) => operation === 'keys.schedule-destruction')
      .at(-1);
    assert.deepEqual([last?.['outcome'], last?.['code'], last?.['key']], ['refused', failure, arranged.key]);
  });
}

test('a destroyed key opens nothing, for nobody [URS-002]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, key, service, ciphertext } = arranged;
  const recovery = await server.admit('credentials.issue', custodian, {
    name: 'recovery',
    role: 'data-recovery',
    expiresAt: server.clock.time + 90 * dayMs,
  });
  const read = { key, ciphertext, reason: 'A question of the sponsor.' };
  assert.equal((await server.admit('keys.decrypt', recovery.secret, read)).plaintext, plaintext);
  await approveAndRun(arranged, await ask(arranged));
  const pending = refusal('key.destruction_pending');
  await assert.rejects(server.admit('keys.decrypt', recovery.secret, read), pending);
  await assert.rejects(server.admit('keys.decrypt', service, { key, ciphertext }), pending);
  server.clock.time += 30 * dayMs;
  await server.runJobs();
  await assert.rejects(server.admit('keys.decrypt', recovery.secret, read), refusal('key.unusable'));
  await assert.rejects(server.admit('keys.decrypt', service, { key, ciphertext }), refusal('key.revoked'));
});

test('a request made before its person was invited anew does not run [URS-010] [URS-028]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, requester } = arranged;
  const approval = await ask(arranged);
  await approveByBoth(arranged, approval);
  const reinvited = { person: requester.id, reason: 'Stolen.' };
  const { invitation } = await server.admit('people.reinvite', custodian, reinvited);
  await comeBack(arranged, requester, invitation.secret);
  await server.runJobs();
  const shown = await stateOf(arranged, approval);
  assert.deepEqual([shown.state, shown.failure], ['failed', 'access.denied']);
  assert.equal(await keyState(arranged), 'deactivated');
});

test('what is approved and not carried out in time is over [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const approval = await ask(arranged);
  await approveByBoth(arranged, approval);
  server.clock.time += 7 * dayMs;
  const listed = await server.admit('approvals.list', arranged.custodian, { state: 'expired' });
  assert.deepEqual(
    listed.approvals.map(({ id }) => id),
    [approval],
  );
  await server.runJobs();
  const { approvals } = await server.admit('approvals.list', arranged.custodian, {});
  assert.deepEqual(
    approvals.map(({ state, failure }) => [state, failure]),
    [['failed', 'approval.closed']],
  );
  assert.equal(await keyState(arranged), 'deactivated');
});

test('an approved request that has lost its job is carried out after the next start [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const approval = await ask(arranged);
  await approveByBoth(arranged, approval);
  const { database } = server.instance;
  await database.write((tx) => tx.deleteFrom('job').execute());
  await server.runJobs();
  assert.equal(await keyState(arranged), 'deactivated');
  await recoverApproved(database);
  await server.runJobs();
  assert.equal((await stateOf(arranged, approval)).state, 'executed');
});

test('a request that failed and was put back as approved is noticed at start [URS-010] [URS-080]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { custodian, requester, tenant } = arranged;
  const approval = await ask(arranged);
  await approveByBoth(arranged, approval);
  const { database, ledger } = server.instance;
  const row = await database.read((tx) =>
    tx.selectFrom('approval').selectAll().where('id', '=', approval).executeTakeFirstOrThrow(),
  );
  const demoted = { person: requester.id, roles: ['auditor' as const], reason: 'Moved.' };
  await server.admit('people.set-roles', custodian, demoted);
  await server.runJobs();
  const stateInLedger = () =>
    database.read((snapshot) => recordedStates(snapshot, ledger.logOfTenant(tenant)?.id ?? 0));
  assert.equal((await stateInLedger()).approval.get(approval)?.state, 'failed');
  await database.write((tx) => tx.updateTable('approval').set(row).where('id', '=', approval).execute());
  assert.notEqual(row.state, (await stateInLedger()).approval.get(approval)?.state);
});

test('what is approved outlasts something that is away [URS-010]', async (t) => {
  let isAway = true;
  const server = await makeServer(t, (bound) => ({
    ...bound,
    'keys.schedule-destruction': (context) => {
      const isCarriedOut = context.caller.means.type === 'approval';
      if (isAway && isCarriedOut) {
        isAway = false;
        throw new OperationError('tenant.root_unreachable');
      }
      return bound['keys.schedule-destruction'](context);
    },
  }));
  const arranged = await arrange(server);
  const approval = await ask(arranged);
  await approveByBoth(arranged, approval);
  await server.runJobs();
  assert.equal(isAway, false);
  assert.equal((await stateOf(arranged, approval)).state, 'approved');
  server.clock.time += 3_600_000;
  await server.runJobs();
  assert.equal((await stateOf(await signInAgain(arranged), approval)).state, 'executed');
});
