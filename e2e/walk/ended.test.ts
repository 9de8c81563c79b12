import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { OperationId } from '@trialkeep/contract';
import { enrol, invitePeople, signIn } from '../people.ts';
import type { Invited, SignedIn } from '../people.ts';
import { askerFor, byCredential, byInvitation, bySession } from './callers.ts';
import type { Asker } from './callers.ts';
import { askSample, assertRecorded, inventory, refuseAll } from './refusals.ts';
import type { Refusal } from './refusals.ts';
import { guarded } from './samples.ts';
import { reason, World } from './world.ts';
import type { Sampled } from './world.ts';

let world: World;
/** The tests share a tenant, and each ends what is its own; the last one revokes the credentials that all use. */
let tenant: Sampled;
before(async () => {
  world = await World.start();
  tenant = await world.newSampled();
});

let turn = 0;
/** Every other operation, in turns: after some 120 refusals of one asker in a minute the log only counts them. */
function everyOther(): OperationId[] {
  turn += 1;
  return guarded.filter((_, index) => index % 2 === turn % 2);
}

/** Nothing at all is done for the asker, whatever they ask for, and all of it is recorded under their name. */
async function assertEnded(asker: Asker, reader = world.reader(tenant)): Promise<void> {
  const unchanged = await inventory(world, tenant);
  const cases = everyOther().map((id) => [id, 'auth.revoked'] as const);
  await assertRecorded(reader, () => refuseAll(world, tenant, asker, cases));
  assert.deepEqual(await inventory(world, tenant), unchanged);
}

async function newCustodian(): Promise<SignedIn> {
  const [person] = await world.bringIn(tenant, ['custodian']);
  return person ?? assert.fail();
}

async function invite(login: string): Promise<Invited> {
  const { secret } = tenant.credentials.custodian;
  const invitee = { name: 'Eva Lang', login, roles: ['custodian' as const] };
  const [invited] = await invitePeople(world.server, secret, [invitee]);
  return invited ?? assert.fail();
}

/** Somebody who has lost their roles. */
function withoutRole({ shows, actor, secret }: Asker): Asker {
  return { shows, actor, secret };
}

const managing = () => world.client(tenant.people.custodian.session);
const place = () => ({ tenant: tenant.id });

test('an ended session gets nothing; another of the same person goes on [URS-019] [URS-024] [URS-032]', async () => {
  const person = await newCustodian();
  const other = await signIn(world.server, person, place());
  const { id } = await world.client(person.session).call('sessions.end', {});
  const { session } = await world.client(other).call('sessions.current', {});
  assert.notEqual(session.id, id);
  await assertEnded(bySession('custodian', person));
  assert.equal((await askSample(world, 'keys.create', tenant, other)).status, 200);
});

test('a person who left gets nothing, signed in or invited [URS-004] [URS-019] [URS-024] [URS-032]', async () => {
  const [gone, invited] = [await newCustodian(), await invite('eva.left')];
  for (const { id } of [gone, invited]) await managing().call('people.leave', { person: id, reason });
  await assertEnded(withoutRole(bySession('custodian', gone)));
  await assertEnded(byInvitation(invited));
  await assert.rejects(signIn(world.server, gone, place()), { code: 'auth.failed' });
});

test('who is invited anew starts anew: the old session, password and invitation are over [URS-024] [URS-028]', async () => {
  const [person, invited] = [await newCustodian(), await invite('eva.again')];
  const { invitation } = await managing().call('people.reinvite', { person: person.id, reason });
  await managing().call('people.reinvite', { person: invited.id, reason });
  await assertEnded(bySession('custodian', person));
  await assertEnded(byInvitation(invited));
  await assert.rejects(signIn(world.server, person, place()), { code: 'auth.failed' });

  const again = await enrol(world.server, invitation.secret);
  assert.deepEqual([again.id, again.login], [person.id, person.login]);
  assert.notEqual(again.totpSecret, person.totpSecret);
  const session = await signIn(world.server, again, place());
  assert.equal((await askSample(world, 'keys.create', tenant, session)).status, 200);
  // What was over is not revived by the return of the person.
  await assert.rejects(world.client(person.session).call('sessions.current', {}), { code: 'auth.revoked' });
  await assert.rejects(world.client(invitation.secret).call('enrolment.begin', {}), { code: 'auth.revoked' });
});

test('an invitation serves once [URS-019] [URS-024] [URS-032]', async () => {
  const invited = await invite('eva.lang');
  await enrol(world.server, invited.invitation);
  await assertEnded(byInvitation(invited));
});

test('people of the instance end in the same way [URS-004] [URS-019] [URS-032]', async () => {
  const [leaving, staying] = [await world.newAdministrator(), await world.newAdministrator()];
  await world.client(staying.session).call('people.leave', { person: leaving.id, reason });
  await world.client(staying.session).call('sessions.end', {});
  await assertEnded(withoutRole(bySession('instance-administrator', leaving)), world.reader());
  await assertEnded(bySession('instance-administrator', staying), world.reader());
});

test('a revoked credential gets nothing, and what it tries is recorded under its name [URS-019] [URS-032]', async () => {
  const custodian = world.client(tenant.credentials.custodian.secret);
  const reader = await custodian.call('credentials.issue', { name: 'reader', role: 'auditor' });
  const second = await custodian.call('credentials.issue', { name: 'second custodian', role: 'custodian' });
  for (const { id } of Object.values(tenant.credentials)) {
    await world.client(second.secret).call('credentials.revoke', { credential: id, reason });
  }
  const revoked = byCredential('custodian', tenant.credentials.custodian);
  await assertRecorded(world.client(reader.secret), async () => {
    const refusals: Refusal[] = [];
    for (const id of everyOther()) {
      // The credential that granted it, so that it is the revocation alone that refuses it.
      const granted = askerFor(id, tenant);
      const asker = granted.shows === 'credential' ? granted : revoked;
      refusals.push(...(await refuseAll(world, tenant, asker, [[id, 'auth.revoked']])));
    }
    return refusals;
  });
});
