import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusal } from '../fixture.test.ts';
import { StartupError } from '../platform/errors.ts';
import { makeSlice } from './fixture.test.ts';
import { enrol, invite, makePerson, password, signIn } from '../people.fixture.test.ts';
import { isGenericLogin } from './generic-logins.ts';
import { findPerson, listPersons, listSessions, peopleWho } from './index.ts';

const dayMs = 86_400_000;

test('a person is invited, enrols, signs in, gets other roles, is invited anew and leaves [URS-024] [URS-026] [URS-028]', async (t) => {
  const slice = await makeSlice(t);
  const { managers, trace, clock } = slice;
  const invited = await invite(slice, 'anna@example.org', ['approver', 'auditor']);
  const { id } = invited.person;
  assert.deepEqual(trace.record, { person: id, state: 'invited', version: 1 });
  assert.match(invited.invitation.secret, /^tki_/);
  assert.equal(invited.invitation.expiresAt, clock.time + 7 * dayMs);

  const secret = await enrol(slice, invited.invitation.secret);
  assert.deepEqual(trace.record, { person: id, state: 'active', version: 2 });
  const anna = { id, login: 'anna@example.org', secret, log: 'one' } as const;
  const first = await signIn(slice, anna);
  assert.deepEqual(trace.record, { person: id, session: first.session.id, state: 'active' });
  assert.match(first.secret, /^tks_/);
  assert.equal(first.session.level, 2);
  const now = await slice.admit('sessions.current', first.secret, {});
  assert.deepEqual(now, { session: first.session, person: first.person });
  await slice.admit('sessions.end', first.secret, {});
  assert.deepEqual(trace.record, { person: id, session: first.session.id, state: 'ended' });
  await assert.rejects(slice.admit('sessions.current', first.secret, {}), refusal('auth.revoked'));

  const second = await signIn(slice, anna);
  const reason = 'a reason';
  await slice.admit('people.set-roles', managers.one, { person: id, roles: ['custodian'], reason });
  assert.deepEqual(trace.record, { person: id, state: 'active', version: 3 });
  assert.deepEqual(trace.payload, {
    old: { state: 'active', roles: ['approver', 'auditor'] },
    new: { state: 'active', roles: ['custodian'] },
  });
  assert.equal((await slice.admit('people.list', second.secret, {})).people.length, 1);

  const again = await slice.admit('people.reinvite', managers.one, { person: id, reason });
  assert.equal(again.person.state, 'invited');
  await assert.rejects(slice.admit('sessions.current', second.secret, {}), refusal('auth.revoked'));
  await assert.rejects(signIn(slice, anna), refusal('auth.failed'));
  const renewed = { ...anna, secret: await enrol(slice, again.invitation.secret) };
  await assert.rejects(signIn(slice, anna), refusal('auth.failed'));
  const third = await signIn(slice, renewed);

  const left = await slice.admit('people.leave', managers.one, { person: id, reason });
  assert.deepEqual([left.state, left.roles], ['left', []]);
  assert.deepEqual(trace.record, { person: id, state: 'left', version: 6 });
  await assert.rejects(slice.admit('sessions.current', third.secret, {}), refusal('auth.revoked'));
  await assert.rejects(signIn(slice, renewed), refusal('auth.failed'));
  for (const operation of ['people.reinvite', 'people.set-roles'] as const) {
    const input = { person: id, reason, roles: ['auditor'] as ['auditor'] };
    await assert.rejects(slice.admit(operation, managers.one, input), refusal('person.left'));
  }
  const rows = await slice.database.read((tx) => tx.selectFrom('authenticator').selectAll().execute());
  assert.deepEqual(rows, []);
});

test('nobody changes their own roles, invites themselves anew or leaves by themselves [URS-020]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna', ['custodian']);
  const { secret } = await signIn(slice, anna);
  const input = { person: anna.id, reason: 'a reason' };
  const self = refusal('person.self');
  await assert.rejects(slice.admit('people.leave', secret, input), self);
  await assert.rejects(slice.admit('people.reinvite', secret, input), self);
  await assert.rejects(slice.admit('people.set-roles', secret, { ...input, roles: ['auditor'] }), self);
});

test('roles that would administer keys and use them are not given to one person [URS-020]', async (t) => {
  const slice = await makeSlice(t);
  const conflict = refusal('roles.conflict');
  await assert.rejects(invite(slice, 'anna', ['custodian', 'data-recovery']), conflict);
  const { person } = await invite(slice, 'anna', ['custodian', 'approver']);
  const change = { person: person.id, reason: 'a reason' };
  const setRoles = (roles: ('custodian' | 'data-recovery')[]) =>
    slice.admit('people.set-roles', slice.managers.one, { ...change, roles });
  await assert.rejects(setRoles(['data-recovery', 'custodian']), conflict);
  assert.deepEqual((await setRoles(['data-recovery'])).roles, ['data-recovery']);
});

test('people of tenants and of the instance have different roles [URS-019]', async (t) => {
  const slice = await makeSlice(t);
  const foreign = refusal('roles.foreign');
  await assert.rejects(invite(slice, 'anna', ['instance-administrator']), foreign);
  await assert.rejects(invite(slice, 'anna', ['instance-administrator', 'auditor'], 'instance'), foreign);
  const { person } = await invite(slice, 'anna', ['instance-administrator'], 'instance');
  assert.deepEqual(person.roles, ['instance-administrator']);
});

test('one sign-in name is one person of a tenant, and may be another of the next [URS-024]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna', ['auditor']);
  await assert.rejects(invite(slice, 'anna'), refusal('person.exists'));
  const other = await makePerson(slice, 'anna', ['approver'], 'two');
  assert.notEqual(anna.id, other.id);
  assert.equal((await signIn(slice, anna)).person.id, anna.id);
  assert.equal((await signIn(slice, other)).person.id, other.id);
  await assert.rejects(signIn(slice, { ...anna, log: 'two' }), refusal('auth.failed'));
  await assert.rejects(signIn(slice, { ...anna, log: 'instance' }), refusal('auth.failed'));
});

test('a person of another tenant is unknown [URS-049]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna');
  const input = { person: anna.id, reason: 'a reason' };
  const { two, instance } = slice.managers;
  for (const manager of [two, instance]) {
    const unknown = refusal('person.unknown');
    await assert.rejects(slice.admit('people.leave', manager, input), unknown);
    await assert.rejects(slice.admit('people.reinvite', manager, input), unknown);
    assert.deepEqual((await slice.admit('people.list', manager, {})).people, []);
  }
  await assert.rejects(
    slice.admit('people.set-roles', two, { ...input, roles: ['auditor'] }),
    refusal('person.unknown'),
  );
});

test('names of functions are nobody [URS-024]', async (t) => {
  const slice = await makeSlice(t);
  await assert.rejects(invite(slice, 'qa@example.org'), refusal('person.generic_name'));
  const generic = [
    'admin',
    'root',
    'test',
    'user2',
    'shared.office',
    'service-account',
    'qa+team',
    'test-user1',
  ];
  for (const login of generic) assert.ok(isGenericLogin(login), login);
  const named = ['anna', 'anna.test', 'a.office', 'testa', 'rootes@example.org', 'm.service@qa.org', '4711'];
  for (const login of named) assert.ok(!isGenericLogin(login), login);
});

test('an invitation is used once, and no longer than seven days [URS-024] [URS-027]', async (t) => {
  const slice = await makeSlice(t);
  const { invitation } = await invite(slice, 'anna');
  const begin = () => slice.admit('enrolment.begin', invitation.secret, {});
  for (const operation of ['people.list', 'sessions.current', 'sessions.end'] as const) {
    await assert.rejects(slice.admit(operation, invitation.secret, {}), refusal('access.denied'));
  }
  await assert.rejects(slice.admit('enrolment.begin', slice.managers.one, {}), refusal('access.denied'));
  await enrol(slice, invitation.secret);
  await assert.rejects(begin(), refusal('auth.revoked'));
  const input = { password, code: '000000' };
  await assert.rejects(slice.admit('enrolment.finish', invitation.secret, input), refusal('auth.revoked'));

  const late = await invite(slice, 'berta');
  slice.clock.time = late.invitation.expiresAt;
  await assert.rejects(slice.admit('enrolment.begin', late.invitation.secret, {}), refusal('auth.expired'));
});

test('who is invited anew, or leaves, has no use for the invitation before [URS-028]', async (t) => {
  const slice = await makeSlice(t);
  const { person, invitation } = await invite(slice, 'anna');
  await slice.admit('enrolment.begin', invitation.secret, {});
  const change = { person: person.id, reason: 'a reason' };
  const anew = await slice.admit('people.reinvite', slice.managers.one, change);
  await assert.rejects(slice.admit('enrolment.begin', invitation.secret, {}), refusal('auth.revoked'));
  await slice.admit('enrolment.begin', anew.invitation.secret, {});
  await slice.admit('people.leave', slice.managers.one, change);
  await assert.rejects(slice.admit('enrolment.begin', anew.invitation.secret, {}), refusal('auth.revoked'));
});

test('a row of a person, session, invitation or authenticator that somebody changed is not believed [URS-008]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna', ['auditor']);
  const { secret, session } = await signIn(slice, anna);
  const { invitation } = await invite(slice, 'berta');
  const altered = (error: unknown): boolean =>
    error instanceof StartupError && error.code === 'database.altered';
  const read = () => slice.admit('people.list', secret, {});
  const cases: [string, () => Promise<unknown>][] = [
    ['update person set roles = \'["custodian"]\'', read],
    ["update person set state = 'invited'", read],
    ['update session set expires_at = expires_at + 1', read],
    ['update session set level = 3', read],
    [
      'update invitation set expires_at = expires_at + 1',
      () => slice.admit('enrolment.begin', invitation.secret, {}),
    ],
    ['update authenticator set used_step = 0', () => signIn(slice, anna)],
    ["update authenticator set secret = zeroblob(133) where type = 'totp'", () => signIn(slice, anna)],
  ];
  for (const [statement, request] of cases) {
    const [, table = ''] = statement.split(' ');
    slice.behindTheServer(`create table kept as select * from ${table}`);
    slice.behindTheServer(statement);
    await assert.rejects(request(), altered, statement);
    slice.behindTheServer(`replace into ${table} select * from kept`);
    slice.behindTheServer('drop table kept');
  }
  assert.equal((await slice.admit('sessions.current', secret, {})).session.id, session.id);
});

test('a session that was put back after the person was invited anew is over [URS-028] [URS-004]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna');
  const { secret, session } = await signIn(slice, anna);
  const rows = await slice.database.read((tx) =>
    tx.selectFrom('session').selectAll().where('id', '=', session.id).execute(),
  );
  const change = { person: anna.id, reason: 'a reason' };
  const { invitation } = await slice.admit('people.reinvite', slice.managers.one, change);
  await enrol(slice, invitation.secret);
  const [kept] = rows;
  assert.ok(kept);
  slice.behindTheServer("update session set state = 'active', seal = ? where id = ?", kept.seal, session.id);
  await assert.rejects(slice.admit('sessions.current', secret, {}), refusal('auth.revoked'));
});

test('who decides is whoever is active and has a role that grants it [URS-019]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna', ['approver']);
  const berta = await makePerson(slice, 'berta', ['custodian']);
  await makePerson(slice, 'carla', ['auditor']);
  await invite(slice, 'dora', ['approver']);
  await makePerson(slice, 'emma', ['approver'], 'two');
  const { one } = slice.logs;
  const rowKey = await slice.hierarchy.rowKey(one.tenant);
  const deciders = () => slice.database.read((tx) => peopleWho(tx, rowKey, one.id, 'approvals:decide'));
  assert.deepEqual((await deciders()).map(({ id }) => id).toSorted(), [anna.id, berta.id].toSorted());
  const { session } = await signIn(slice, berta);
  const sessions = () => slice.database.read((tx) => listSessions(tx, rowKey, one.id));
  assert.deepEqual(
    (await sessions()).map(({ id, state }) => ({ id, state })),
    [{ id: session.id, state: 'active' }],
  );
  await slice.admit('people.leave', slice.managers.one, { person: berta.id, reason: 'a reason' });
  assert.deepEqual(
    (await deciders()).map(({ id }) => id),
    [anna.id],
  );
  assert.deepEqual(await sessions(), []);
  const known = await slice.database.read((tx) => listPersons(tx, rowKey, one.id));
  assert.equal(known.length, 4);
  const found = await slice.database.read((tx) => findPerson(tx, rowKey, one.id, berta.id));
  assert.deepEqual([found?.state, found?.revision, found?.roles], ['left', 3, []]);
});

test('no password, code or secret is kept or recorded [URS-008]', async (t) => {
  const slice = await makeSlice(t);
  const { invitation } = await invite(slice, 'anna');
  const anna = { id: '', login: 'anna', secret: await enrol(slice, invitation.secret), log: 'one' } as const;
  const traces = [JSON.stringify(slice.trace)];
  const { secret } = await signIn(slice, anna);
  traces.push(JSON.stringify(slice.trace));
  const tables = ['person', 'authenticator', 'invitation', 'session'] as const;
  for (const table of tables) {
    const rows = await slice.database.read((tx) => tx.selectFrom(table).selectAll().execute());
    assert.ok(rows.length > 0);
    for (const row of rows) {
      for (const value of Object.values(row)) {
        traces.push(value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value));
      }
    }
  }
  const kept = traces.join('\n');
  for (const canary of [password, anna.secret, secret.slice(4), invitation.secret.slice(4)]) {
    assert.ok(!kept.includes(canary));
  }
});
