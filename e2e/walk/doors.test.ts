import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import type { ErrorCode, Input, Operations } from '@trialkeep/contract';
import { ask, errorOf } from '../harness.ts';
import type { Answer } from '../harness.ts';
import { CodeClock, enrol, invitePeople, proofsOf, signIn, wrongCode } from '../people.ts';
import type { Person, SignedIn } from '../people.ts';
import { askLedger } from '../tenant.ts';
import { byCredential, byInvitation, bySession } from './callers.ts';
import { assertRecorded, assertRefused, bearer, inventory, refusal, refuseAll } from './refusals.ts';
import { reason, World } from './world.ts';
import type { Sampled } from './world.ts';

let world: World;
let tenant: Sampled;
before(async () => {
  world = await World.start();
  tenant = await world.newSampled();
});

type Proofs = Input<Operations['sessions.create']>;

/** Signs in with whatever is given, showing nothing else. */
const trySignIn = (given: Partial<Proofs>): Promise<Answer> =>
  ask(world.server, 'sessions.create', { tenant: tenant.id, ...given });

/** Somebody who has enrolled and never signed in. */
async function newEnrolled(): Promise<Person> {
  const [invited] = await invitePeople(world.server, tenant.credentials.custodian.secret, [
    { name: 'Lena Moor', login: `lena.${randomUUID()}`, roles: ['approver'] },
  ]);
  return enrol(world.server, invited?.invitation ?? assert.fail());
}

async function newApprover(): Promise<SignedIn> {
  const [person] = await world.bringIn(tenant, ['approver']);
  return person ?? assert.fail();
}

test('an enrolment wants a code of the newest generator and a good password, and ends with both [URS-025] [URS-026]', async () => {
  const manager = tenant.credentials.custodian.secret;
  const [invited] = await invitePeople(world.server, manager, [
    { name: 'Nora Fink', login: 'nora.fink', roles: ['approver'] },
  ]);
  assert.ok(invited);
  const asker = byInvitation(invited);
  const password = 'nine lives of a cat';
  const finish = (input: object) => ask(world.server, 'enrolment.finish', input, bearer(invited.invitation));
  const client = world.client(invited.invitation);
  await assertRecorded(world.reader(tenant), async () => {
    const refused: ErrorCode[] = [];
    const refuse = async (input: { password: string; code: string }, code: ErrorCode): Promise<void> => {
      assertRefused('enrolment.finish', await finish(input), code);
      refused.push(code);
    };
    await refuse({ password, code: '000000' }, 'enrolment.not_begun');
    const { totp: replaced } = await client.call('enrolment.begin', {});
    const { totp } = await client.call('enrolment.begin', {});
    const code = await new CodeClock(totp.secret).next();
    await refuse({ password, code: await new CodeClock(replaced.secret).next() }, 'enrolment.code_wrong');
    for (const weak of ['short', 'password1234', 'nora.fink.2024', 'Trialkeep!!', 'aaaaaaaaaaaa']) {
      await refuse({ password: weak, code }, 'password.weak');
    }
    // Nothing is in force until both are.
    assertRefused(
      'sessions.create',
      await trySignIn({ login: invited.login, password, code }),
      'auth.failed',
    );
    assert.equal((await finish({ password, code })).status, 200);
    const failed = refusal('sessions.create', asker, 'auth.failed');
    return [...refused.map((each) => refusal('enrolment.finish', asker, each)), failed];
  });
});

test('whatever is wrong with a sign-in, the answer is the same, and it is recorded [URS-024] [URS-027] [URS-032]', async () => {
  const [person, gone] = [await newEnrolled(), await newEnrolled()];
  await world.client(tenant.people.custodian.session).call('people.leave', { person: gone.id, reason });
  const used = await proofsOf(person);
  assert.equal((await trySignIn({ login: person.login, ...used })).status, 200);
  const answers: object[] = [];
  const refuse = async (given: Partial<Proofs>): Promise<void> => {
    const answer = await trySignIn(given);
    assertRefused('sessions.create', answer, 'auth.failed');
    answers.push({ ...errorOf(answer), requestId: '' });
  };

  const code = await person.codes.next();
  const { login, password } = person;
  await assertRecorded(world.reader(tenant), async () => {
    await refuse({ login, password: `${password} `, code });
    await refuse({ login, password: gone.password, code });
    await refuse({ login, password, code: wrongCode(person) });
    await refuse({ login, ...used });
    await refuse({ login: tenant.newcomer.login, password, code });
    await refuse({ login: gone.login, ...(await proofsOf(gone)) });
    const known = [person, person, person, person, tenant.newcomer, gone];
    return known.map(({ id }) => ({ operation: 'sessions.create', actor: id, code: 'auth.failed' }));
  });
  // Whom nobody knows is counted in the instance's log, by source and minute.
  await assertRecorded(world.reader(tenant), async () => {
    await refuse({ login: 'nobody.here', password, code });
    await refuse({ login, password, code, tenant: randomUUID() });
    const answer = await ask(world.server, 'sessions.create', { login, password, code });
    answers.push({ ...errorOf(answer), requestId: '' });
    return [];
  });
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  await world.restart();
  const [counted, ...others] = await askLedger(world.reader(), { operation: 'instance.authenticate' });
  assert.ok(counted !== undefined && others.length === 0);
  const { payload } = await world.reader().call('ledger.payload', { entry: counted.entry });
  assert.deepEqual(
    [(payload as { count: number }).count, (payload as { operations: string[] }).operations],
    [3, ['sessions.create']],
  );

  // Nothing was wrong with the person: the proofs that are left do let them in, whatever else they show.
  const shown = bearer(tenant.credentials.service.secret);
  const given = { tenant: tenant.id, login, password, code };
  const answer = await ask(world.server, 'sessions.create', given, shown);
  assert.equal(answer.status, 200, answer.text);
  const { session } = JSON.parse(answer.text) as { session: { id: string; level: number } };
  const entries = await askLedger(world.reader(tenant), { actor: person.id, outcome: 'success' });
  assert.equal(entries.at(-1)?.session, session.id);
  assert.equal(session.level, 2);
});

test('a code lets in once, however many use it at the same time [URS-026]', async () => {
  const person = await newEnrolled();
  const proofs = { login: person.login, ...(await proofsOf(person)) };
  const answers = await Promise.all([1, 2, 3, 4].map(() => trySignIn(proofs)));
  const statuses = answers.map(({ status }) => status).toSorted((one, other) => one - other);
  assert.deepEqual(statuses, [200, 401, 401, 401]);
});

test('ten failures in a row lock sign-in and signature alike, until somebody else invites anew [URS-027]', async () => {
  const person = await newApprover();
  const asker = bySession('approver', person);
  const { login, password } = person;
  const { approval, hash } = tenant;
  const sign = (signature: object) =>
    ask(world.server, 'approvals.approve', { approval, hash, signature }, bearer(person.session));
  const wrong = { password: 'not the password', code: wrongCode(person) };
  await assertRecorded(world.reader(tenant), async () => {
    for (let failure = 0; failure < 5; failure++) {
      assertRefused('sessions.create', await trySignIn({ login, ...wrong }), 'auth.failed');
      assertRefused('approvals.approve', await sign(wrong), 'auth.failed');
    }
    const right = { password, code: await person.codes.next() };
    assertRefused('approvals.approve', await sign(right), 'auth.locked');
    assertRefused('sessions.create', await trySignIn({ login, ...right }), 'auth.locked');
    const signIns = { operation: 'sessions.create', actor: person.id };
    const failed = [1, 2, 3, 4, 5].flatMap(() => [
      { ...signIns, code: 'auth.failed' },
      refusal('approvals.approve', asker, 'auth.failed'),
    ]);
    const locked = [refusal('approvals.approve', asker, 'auth.locked'), { ...signIns, code: 'auth.locked' }];
    return [...failed, ...locked];
  });
  const manager = world.client(tenant.people.custodian.session);
  const { invitation } = await manager.call('people.reinvite', { person: person.id, reason });
  const again = await enrol(world.server, invitation.secret);
  await signIn(world.server, again, { tenant: tenant.id });
});

test('what is for oneself is about nobody else [URS-019] [URS-024]', async () => {
  const { requester, people, approval, credentials, newcomer } = tenant;
  const unchanged = await inventory(world, tenant);
  for (const [role, person] of Object.entries(people)) {
    const current = await world.client(person.session).call('sessions.current', {});
    assert.deepEqual([current.person.id, current.person.roles], [person.id, [role]]);
  }
  // A request for approval is its requester's own, and nobody else takes it back.
  await assertRecorded(world.reader(tenant), async () => {
    const others = [bySession('custodian', people.custodian), bySession('approver', people.approver)];
    const strangers = [byCredential('custodian', credentials.custodian), byInvitation(newcomer)];
    const refusals = [];
    for (const asker of others) {
      refusals.push(await refuseAll(world, tenant, asker, [['approvals.cancel', 'approval.foreign']]));
    }
    for (const asker of strangers) {
      refusals.push(await refuseAll(world, tenant, asker, [['approvals.cancel', 'access.denied']]));
    }
    return refusals.flat();
  });
  assert.deepEqual(await inventory(world, tenant), unchanged);
  const cancelled = await world.client(requester.session).call('approvals.cancel', { approval, reason });
  assert.equal(cancelled.state, 'cancelled');
});

test('a person of the instance signs in there and nowhere else [URS-024] [URS-049]', async () => {
  const administrator: Person = await world.newAdministrator();
  const { login, password } = administrator;
  const code = await administrator.codes.next();
  assertRefused('sessions.create', await trySignIn({ login, password, code }), 'auth.failed');
  const answer = await ask(world.server, 'sessions.create', { login, password, code });
  assert.equal(answer.status, 200, answer.text);
  await assert.rejects(signIn(world.server, tenant.people.auditor), { code: 'auth.failed' });
});
