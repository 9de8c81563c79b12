import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusal } from '../fixture.test.ts';
import { OperationError } from '../platform/errors.ts';
import { cheap, makeSlice } from './fixture.test.ts';
import {
  codeOf,
  enrol,
  invite,
  makePerson,
  minuteMs,
  password,
  signIn,
  wrongCode,
} from '../people.fixture.test.ts';
import type { Slice } from './fixture.test.ts';
import type { TestPerson } from '../people.fixture.test.ts';
import type { Proof } from '../platform/implementation.ts';
import { grants } from './index.ts';
import { Passwords } from './passwords.ts';

/** An attempt, and the minute after it, whatever comes of it. */
async function attempt(slice: Slice, person: TestPerson, change: object = {}): Promise<string> {
  const { time } = slice.clock;
  try {
    await signIn(slice, person, change);
    return 'success';
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    slice.clock.time = time + minuteMs;
    return error.code;
  }
}

function spend({ database }: Slice, proof: Proof): Promise<void> {
  return database.write((tx) => proof.spend(tx));
}

test('a wrong name, password or code is one and the same error [URS-026]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna');
  await invite(slice, 'berta');
  const wrong = wrongCode(anna.secret, slice.clock.time);
  for (const change of [
    { login: 'nobody' },
    { login: 'berta' },
    { password: `${password}.` },
    { password: password.toUpperCase() },
    { code: wrong },
    { password: 'x', code: wrong },
    { tenant: slice.logs.two.tenant },
    { tenant: '00000000-0000-4000-8000-000000000000' },
  ]) {
    assert.equal(await attempt(slice, anna, change), 'auth.failed', JSON.stringify(change));
  }
  assert.equal(await attempt(slice, anna), 'success');
});

test('a sign-in that fails says who was meant, and one for nobody does not [URS-027]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna');
  const { tenant } = slice.logs.one;
  assert.ok(tenant);
  const { authenticator, clock } = slice;
  const input = { tenant, login: 'anna', password: 'wrong', code: '000000' };
  const known = await authenticator.signIn(input, clock.time);
  assert.deepEqual(
    [known?.caller.actor, known?.refusal, known?.proof, known?.caller.roles],
    [anna.id, 'auth.failed', undefined, []],
  );
  assert.ok(known && grants(known.caller, 'sign-in'));
  for (const denied of ['self', 'enrolment', 'people:read', 'ledger:read'] as const) {
    assert.ok(!grants(known.caller, denied), denied);
  }
  assert.equal(await authenticator.signIn({ ...input, login: 'nobody' }, clock.time), undefined);
});

test('a code works once, on whichever node [URS-026]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna');
  const { tenant } = slice.logs.one;
  assert.ok(tenant);
  const code = codeOf(anna.secret, slice.clock.time);
  const input = { tenant, login: 'anna', password, code };
  const one = await slice.authenticator.signIn(input, slice.clock.time);
  const two = await slice.another().authenticator.signIn(input, slice.clock.time);
  assert.ok(one?.proof && two?.proof);
  await spend(slice, one.proof);
  await assert.rejects(spend(slice, two.proof), refusal('auth.failed'));
  await assert.rejects(slice.admit('sessions.create', '', input), refusal('auth.failed'));
  slice.clock.time += minuteMs;
  assert.equal(await attempt(slice, anna), 'success');
});

test('the code of the enrolment does not sign in as well [URS-026]', async (t) => {
  const slice = await makeSlice(t);
  const { person, invitation } = await invite(slice, 'anna');
  const { time } = slice.clock;
  const secret = await enrol(slice, invitation.secret);
  slice.clock.time = time;
  const anna = { id: person.id, login: 'anna', secret, log: 'one' } as const;
  assert.equal(await attempt(slice, anna), 'auth.failed');
  assert.equal(await attempt(slice, anna), 'success');
});

test('ten failures in a row lock for a quarter of an hour, and a success begins anew [URS-027]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna');
  const fail = () => attempt(slice, anna, { password: 'wrong' });
  for (let i = 0; i < 9; i++) assert.equal(await fail(), 'auth.failed');
  assert.equal(await attempt(slice, anna), 'success');
  for (let i = 0; i < 10; i++) assert.equal(await fail(), 'auth.failed');
  for (let minute = 1; minute < 15; minute++) {
    assert.equal(await attempt(slice, anna), 'auth.locked', `minute ${minute}`);
  }
  assert.equal(await attempt(slice, anna), 'success');
});

test('attempts at once are counted one after the other, and a lock stops those under way [URS-027]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna');
  const { tenant } = slice.logs.one;
  assert.ok(tenant);
  const input = { tenant, login: 'anna', password: 'wrong', code: codeOf(anna.secret, slice.clock.time) };
  const { authenticator, clock } = slice;
  const right = await authenticator.signIn({ ...input, password }, clock.time);
  const many = await Promise.all(Array.from({ length: 14 }, () => authenticator.signIn(input, clock.time)));
  const failed = many.filter((known) => known?.refusal === 'auth.failed');
  const locked = many.filter((known) => known?.refusal === 'auth.locked');
  assert.deepEqual([failed.length, locked.length], [10, 4]);
  assert.ok(right?.proof);
  await assert.rejects(spend(slice, right.proof), refusal('auth.locked'));
});

test('a hundred failures in a row lock until the person is invited anew [URS-027] [URS-028]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna');
  await slice.database.write((tx) => tx.updateTable('person').set({ failures: 99 }).execute());
  assert.equal(await attempt(slice, anna, { password: 'wrong' }), 'auth.failed');
  slice.clock.time += 365 * 86_400_000;
  assert.equal(await attempt(slice, anna), 'auth.locked');
  const change = { person: anna.id, reason: 'a reason' };
  const { invitation } = await slice.admit('people.reinvite', slice.managers.one, change);
  const secret = await enrol(slice, invitation.secret);
  assert.equal(await attempt(slice, { ...anna, secret }), 'success');
});

test('a session is known with what its person may do, and ends after eight hours [URS-019] [URS-027]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna', ['auditor']);
  const begun = slice.clock.time;
  const { secret, session } = await signIn(slice, anna);
  assert.equal(session.expiresAt, begun + 8 * 3_600_000);
  const { authenticator } = slice;
  const at = (time: number) => authenticator.authenticate(`Bearer ${secret}`, time);
  const known = await at(session.expiresAt - 1);
  assert.ok(known);
  assert.deepEqual(known.caller.means, { type: 'session', id: session.id, level: 2 });
  assert.deepEqual(
    [known.caller.actor, known.caller.roles, known.refusal],
    [anna.id, ['auditor'], undefined],
  );
  assert.deepEqual(known.validity, [{ from: 0, until: session.expiresAt, refusal: 'auth.expired' }]);
  assert.equal((await at(session.expiresAt))?.refusal, 'auth.expired');
  assert.equal((await at(session.expiresAt))?.caller.actor, anna.id);
  for (const denied of ['enrolment', 'sign-in', 'people:manage', 'approvals:decide'] as const) {
    assert.ok(!grants(known.caller, denied), denied);
  }
  for (const granted of ['self', 'public', 'people:read'] as const) {
    assert.ok(grants(known.caller, granted), granted);
  }
  const forged = [secret.replace('tks_', 'tkc_'), secret.replace('tks_', 'tki_'), secret.slice(0, -1)];
  for (const other of forged) {
    assert.equal(await authenticator.authenticate(`Bearer ${other}`, slice.clock.time), undefined);
  }
});

test('a signature takes both components of the person who is signed in [URS-026]', async (t) => {
  const slice = await makeSlice(t);
  const anna = await makePerson(slice, 'anna');
  const { secret } = await signIn(slice, anna);
  const { authenticator, clock } = slice;
  const prove = async (components: { password: string; code: string }) => {
    const known = await authenticator.authenticate(`Bearer ${secret}`, clock.time);
    assert.ok(known);
    return authenticator.prove(known.caller, components, clock.time);
  };
  const code = codeOf(anna.secret, clock.time);
  const failed = refusal('auth.failed');
  await assert.rejects(prove({ password: 'wrong', code }), failed);
  await assert.rejects(prove({ password, code: wrongCode(anna.secret, clock.time) }), failed);
  const proof = await prove({ password, code });
  await spend(slice, proof);
  await assert.rejects(prove({ password, code }), failed);
  for (let i = 1; i < 10; i++) await assert.rejects(prove({ password: 'wrong', code }), failed);
  clock.time += minuteMs;
  const next = { password, code: codeOf(anna.secret, clock.time) };
  await assert.rejects(prove(next), refusal('auth.locked'));
});

test('passwords are worked on two at a time, and only so many wait [URS-027]', async () => {
  const passwords = new Passwords(cheap);
  const hash = await passwords.hash(password);
  const asked = Array.from({ length: 40 }, (_, i) =>
    passwords.verify('stranger', i === 33 ? password : 'wrong', hash),
  );
  const settled = await Promise.allSettled(asked);
  const busy = settled.filter(({ status }) => status === 'rejected');
  assert.equal(busy.length, 6);
  for (const each of busy) {
    assert.ok(each.status === 'rejected' && each.reason.code === 'server.busy');
  }
  assert.deepEqual(settled[33], { status: 'fulfilled', value: true });
  assert.equal(await passwords.verify('known', password, hash), true);
  assert.equal(await passwords.verify('stranger', password, undefined), false);
});

test('strangers in line keep nobody from signing who is known [URS-027] [URS-031]', async () => {
  const passwords = new Passwords(cheap);
  const hash = await passwords.hash(password);
  const done: string[] = [];
  const strangers = Array.from({ length: 34 }, async () => {
    await passwords.verify('stranger', 'wrong', hash);
    done.push('stranger');
  });
  await assert.rejects(passwords.verify('stranger', password, hash), { code: 'server.busy' });
  assert.equal(await passwords.verify('known', password, hash), true);
  assert.ok(done.length <= 4, `${done.length} strangers went first`);
  await Promise.all(strangers);
});
