import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeTenant, refusal, shareServer } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import { makePerson, password, signIn } from '../people.fixture.test.ts';
import type { House } from '../people.fixture.test.ts';

/** What happens between the authorisation of the next list of people and its flush; then nothing more. */
let interruption: (() => Promise<unknown>) | undefined;

const shared = shareServer((bound) => ({
  ...bound,
  'people.list': async (context) => {
    const answer = await bound['people.list'](context);
    const interrupt = interruption;
    interruption = undefined;
    await interrupt?.();
    return answer;
  },
}));

async function arrange(): Promise<{ server: TestServer; house: House; tenant: string }> {
  const server = await shared();
  const { tenant, custodian } = await makeTenant(server);
  const managers = { one: custodian, two: custodian, instance: server.administrator };
  const logs = { one: { tenant }, two: { tenant }, instance: { tenant: null } };
  const admit: House['admit'] = (operation, secret, input) => server.admit(operation, secret, input);
  return { server, tenant, house: { admit, clock: server.clock, managers, logs } };
}

test('a session that expires between authorisation and flush gets nothing [URS-004] [URS-032]', async () => {
  const { server, house, tenant } = await arrange();
  const anna = await makePerson(house, 'anna', ['auditor']);
  const { secret, session } = await signIn(house, anna);
  interruption = async () => (server.clock.time = session.expiresAt);
  await assert.rejects(server.admit('people.list', secret, {}), refusal('auth.expired'));
  const { operation, actor, outcome, code } = (await server.entries(tenant)).at(-1) ?? {};
  assert.deepEqual([operation, actor, outcome, code], ['people.list', anna.id, 'refused', 'auth.expired']);
});

test('a person who leaves between authorisation and flush gets nothing [URS-004]', async () => {
  const { server, house } = await arrange();
  const anna = await makePerson(house, 'anna', ['auditor']);
  const { secret } = await signIn(house, anna);
  interruption = () =>
    server.admit('people.leave', house.managers.one, { person: anna.id, reason: 'a reason' });
  await assert.rejects(server.admit('people.list', secret, {}), refusal('auth.revoked'));
});

test('what people do, and fail to do, is in the ledger with who and in which role [URS-024] [URS-027]', async () => {
  const { server, house, tenant } = await arrange();
  const before = (await server.entries(tenant)).length;
  const anna = await makePerson(house, 'anna', ['approver', 'custodian']);
  await assert.rejects(signIn(house, anna, { password: 'wrong' }), refusal('auth.failed'));
  await assert.rejects(signIn(house, anna, { login: 'nobody' }), refusal('auth.failed'));
  const { secret, session } = await signIn(house, anna);
  await server.admit('studies.create', secret, { protocol: 'P-1' });
  await server.admit('sessions.end', secret, {});
  const entries = (await server.entries(tenant)).slice(before);
  const said = entries.map(({ operation, outcome, actor }) => [operation, outcome, actor]);
  const custodian = entries[0]?.['actor'];
  assert.deepEqual(said, [
    ['people.invite', 'success', custodian],
    ['enrolment.begin', 'success', anna.id],
    ['enrolment.finish', 'success', anna.id],
    ['sessions.create', 'refused', anna.id],
    ['sessions.create', 'success', anna.id],
    ['studies.create', 'success', anna.id],
    ['sessions.end', 'success', anna.id],
  ]);
  assert.deepEqual([entries[0]?.['role'], entries[5]?.['role']], ['custodian', 'custodian']);
  const states = entries.map(({ person, session: about, state, version }) => [person, about, state, version]);
  assert.deepEqual(
    [states[0], states[2], states[4], states[6]],
    [
      [anna.id, undefined, 'invited', 1],
      [anna.id, undefined, 'active', 2],
      [anna.id, session.id, 'active', undefined],
      [anna.id, session.id, 'ended', undefined],
    ],
  );
});

test('of two sign-ins with one code at the same time one succeeds [URS-026]', async () => {
  const { house } = await arrange();
  const anna = await makePerson(house, 'anna');
  const settled = await Promise.allSettled([signIn(house, anna), signIn(house, anna), signIn(house, anna)]);
  const refused = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
  assert.equal(refused.length, 2);
  for (const error of refused) assert.ok(refusal('auth.failed')(error));
});

test('a sign-in that was refused as malformed is no attempt [URS-027]', async () => {
  const { house } = await arrange();
  const anna = await makePerson(house, 'anna');
  for (const code of ['', '12345', '1234567', 'abcdef']) {
    await assert.rejects(signIn(house, anna, { code }), refusal('request.invalid'));
  }
  await assert.rejects(signIn(house, anna, { password: `${password}\0` }), refusal('request.invalid'));
  assert.equal((await signIn(house, anna)).person.id, anna.id);
});
