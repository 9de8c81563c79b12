import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, test } from 'node:test';
import type { ErrorCode, OperationId } from '@trialkeep/contract';
import { awaitApproval } from '@trialkeep/sdk/client';
import { ask, errorOf } from '../harness.ts';
import type { Answer } from '../harness.ts';
import { approve, deny, readRequest, wrongCode } from '../people.ts';
import type { SignedIn } from '../people.ts';
import { askLedger } from '../tenant.ts';
import type { TenantPersonRole } from '../tenant.ts';
import { bySession } from './callers.ts';
import { askSample, assertRecorded, assertRefused, bearer, inventory, refusal } from './refusals.ts';
import type { Refusal } from './refusals.ts';
import { approved, operationOf, samples, signed, tooEarly } from './samples.ts';
import { reason, World } from './world.ts';
import type { Sampled } from './world.ts';

let world: World;
/** The tests share a tenant; the last one leaves it with too few people. */
let tenant: Sampled;
before(async () => {
  world = await World.start();
  tenant = await world.newSampled();
});

const decisions = ['approvals.approve', 'approvals.deny'] as const;
type SignedOperation = (typeof decisions)[number];

/** People who may decide. Each signs once here: more often, they would wait for the next code. */
const newDeciders = (count: number): Promise<SignedIn[]> =>
  world.bringIn(
    tenant,
    Array.from({ length: count }, () => 'approver' as const),
  );

/** What a tenant is apart from the requests that wait and the signatures under them. */
async function done(): Promise<object> {
  const {
    approvals: _,
    signatures: __,
    ...others
  } = (await inventory(world, tenant)) as Record<string, unknown>;
  return others;
}

/** Asks as a person; gives the id of the request that is kept. */
async function keep(id: OperationId, asker = askerOf(id).person): Promise<string> {
  const answer = await askSample(world, id, tenant, asker.session);
  assert.equal(answer.status, 202, `${id}: ${answer.text}`);
  return errorOf(answer).approval ?? assert.fail(answer.text);
}

/** Who asks for it: a custodian, but for what custodians may not. */
const askerOf = (id: OperationId): { role: TenantPersonRole; person: SignedIn } =>
  id === 'holds.release'
    ? { role: 'records-manager', person: tenant.people['records-manager'] }
    : { role: 'custodian', person: tenant.requester };
const requesting = (id: OperationId = 'keys.list') => world.client(askerOf(id).person.session);
/** Looks until the request has ended; how it ended. */
const settled = (approval: string) => awaitApproval(requesting(), approval, { pollMs: 50 });

async function seal(): Promise<void> {
  const { changedAt } = await requesting().call('tenants.seal', { reason });
  tenant = { ...tenant, sealedAt: changedAt };
}

/**
 * What tests of their own show: the instance's people ask for it, or a sealed tenant refuses it, or it ends the study or the tenant that
 * all else here is done to.
 */
const elsewhere: readonly OperationId[] = [
  'roots.permit-change',
  'keys.export',
  'studies.erase',
  'tenants.exit',
];
/** What dual control keeps, of what can be done at all to a young tenant. */
const keepable = approved.filter((id) => tooEarly[id] === undefined && !elsewhere.includes(id));

/** What can be seen of each operation that dual control keeps, once it was done. */
const effects: Record<string, () => Promise<boolean>> = {
  'tenants.unseal': async () => (await requesting().call('tenants.seal-state', {})).state === 'open',
  'keys.schedule-destruction': async () =>
    (await requesting().call('keys.show', { key: tenant.spentKey })).key.destructionDueAt !== null,
  'subjects.erase': async () => {
    const { subjects } = await requesting().call('subjects.list', { study: tenant.study });
    return subjects.every(({ alias, state }) => alias !== tenant.subject || state === 'erasing');
  },
  'holds.release': async () => {
    const { holds } = await requesting().call('holds.list', {});
    return holds.every(({ id }) => id !== tenant.hold);
  },
  'payloads.redact': async () => {
    const { entry, requester } = tenant;
    const answer = await ask(world.server, 'ledger.payload', { entry }, bearer(requester.session));
    return answer.status !== 200 && errorOf(answer).code === 'payload.redacted';
  },
  'revocations.reopen-study': async () => {
    const { counts } = await requesting().call('revocations.preview', {
      scope: { study: tenant.closedStudy },
    });
    return counts.studies === 1;
  },
  'second-recipients.register': async () =>
    (await requesting().call('second-recipients.list', {})).recipients.length > 0,
  'witnessing.set-policy': async () => (await requesting().call('witnessing.show', {})).version > 0,
};

test('what a person asks for under dual control is kept, recorded, and not done [URS-010]', async () => {
  assert.deepEqual(Object.keys(effects).sort(), keepable.toSorted());
  await seal();
  const unchanged = await done();
  for (const id of keepable) {
    const { role, person } = askerOf(id);
    const answer = await askSample(world, id, tenant, person.session);
    const { status, code, message, fix, approval } = errorOf(answer);
    assert.deepEqual([status, code], [202, 'approval.needed'], answer.text);
    assert.ok(message.length > 10 && fix.length > 10 && approval !== undefined);

    const read = await readRequest(world.server, tenant.people.approver.session, approval);
    const { state, requester, operation, votes, needed } = read.approval;
    assert.deepEqual([state, requester, operation, votes], ['pending', person.id, id, []]);
    assert.equal(needed, operationOf(id).approval?.people);
    assert.deepEqual(read.document['input'], samples[id](tenant));

    const [entry, ...more] = await askLedger(world.reader(tenant), { operation: id, outcome: 'requested' });
    // The request to destroy the key was made with the tenant, and once more here.
    const last = more.at(-1) ?? entry;
    assert.deepEqual(
      [last?.actor, last?.role, last?.approval, last?.hash],
      [person.id, role, approval, read.hash],
    );
    assert.equal(await effects[id]?.(), false, id);
    await requesting(id).call('approvals.cancel', { approval, reason });
  }
  assert.deepEqual(await done(), unchanged);
});

/** Asks to decide on the tenant's waiting request, with whatever is given. */
function decide(id: SignedOperation, { session }: SignedIn, given: object = {}): Promise<Answer> {
  return ask(world.server, id, { ...samples[id](tenant), ...given }, bearer(session));
}

test('what is to be signed needs both components of the person who asks, then and there [URS-029] [URS-030] [URS-031]', async () => {
  assert.deepEqual(
    decisions,
    signed.filter((id) => operationOf(id).permission === 'approvals:decide'),
  );
  const [person, other] = (await newDeciders(2)) as [SignedIn, SignedIn];
  const unchanged = await inventory(world, tenant);
  const asker = bySession('approver', person);
  const { password } = person;
  const code = await person.codes.next();
  for (const id of decisions) {
    const cases: [ErrorCode, object][] = [
      ['signature.needed', {}],
      ['auth.failed', { signature: { password: `${password} `, code } }],
      ['auth.failed', { signature: { password, code: wrongCode(person) } }],
      ['auth.failed', { signature: { password: other.password, code: wrongCode(person) } }],
      ['request.invalid', { signature: { password } }],
      ['request.invalid', { signature: { code } }],
      ['approval.changed', { hash: tenant.hash.replace(/^./, (digit) => (digit === '0' ? '1' : '0')) }],
    ];
    await assertRecorded(world.reader(tenant), async () => {
      for (const [expected, given] of cases) {
        const answer = await decide(id, person, given);
        assertRefused(id, answer, expected);
        if (expected !== 'signature.needed') continue;
        const { meaning } = operationOf(id).signature ?? assert.fail();
        assert.deepEqual(errorOf(answer).signature, { meaning, hash: tenant.hash });
      }
      const own = await decide(id, tenant.requester, { signature: { password, code } });
      assertRefused(id, own, 'approval.own');
      const refusals = cases.map(([expected]) => refusal(id, asker, expected));
      return [...refusals, refusal(id, bySession('custodian', tenant.requester), 'approval.own')];
    });
  }
  assert.deepEqual(await inventory(world, tenant), unchanged);

  // The code was good all the time: none of the refusals has spent it.
  const approval = await keep('keys.schedule-destruction');
  const { hash } = await readRequest(world.server, person.session, approval);
  const answer = await decide('approvals.approve', person, {
    approval,
    hash,
    signature: { password, code },
  });
  assert.equal(answer.status, 200, answer.text);
  await requesting().call('approvals.cancel', { approval, reason });
});

test('a signature says who, what, when and why, and stays bound to it [URS-029] [URS-030] [URS-010]', async () => {
  const [first, second, third] = (await newDeciders(3)) as [SignedIn, SignedIn, SignedIn];
  const approval = await keep('keys.schedule-destruction');
  const { hash } = await readRequest(world.server, first.session, approval);
  const again = (id: SignedOperation, person: SignedIn) =>
    decide(id, person, { approval, hash, signature: { password: 'x', code: '000000' } });

  const pending = await approve(world.server, first.session, first, approval);
  assert.deepEqual([pending.state, pending.votes.length, pending.needed], ['pending', 1, 2]);
  for (const id of decisions) {
    assertRefused(id, await again(id, first), 'approval.decided');
  }
  const denied = await deny(world.server, second.session, second, approval, reason);
  assert.equal(denied.state, 'denied');
  for (const id of decisions) {
    assertRefused(id, await again(id, third), 'approval.closed');
  }
  assert.equal(await effects['keys.schedule-destruction']?.(), false);

  const { signatures } = await world.client(tenant.people.auditor.session).call('signatures.list', {});
  for (const [person, operation, meaning] of [
    [first, 'approvals.approve', 'approval'],
    [second, 'approvals.deny', 'rejection'],
  ] as const) {
    const vote = denied.votes.find((each) => each.person === person.id) ?? assert.fail();
    const found = signatures.find(({ id }) => id === vote.signature) ?? assert.fail();
    const entries = await askLedger(world.reader(tenant), { actor: person.id, operation });
    const entry = entries.find(({ outcome }) => outcome === 'success') ?? assert.fail();
    assert.deepEqual(
      [entry.approval, entry.hash, entry.signature, entry.time],
      [approval, hash, createHash('sha256').update(found.record).digest('hex'), found.signedAt],
    );
    const { utc, time, ...said } = JSON.parse(found.record) as Record<string, unknown>;
    assert.equal(utc, new Date(time as number).toISOString());
    assert.equal(said['origin'], (JSON.parse(found.document ?? '') as { origin: string }).origin);
    const { origin: _, ...rest } = said;
    assert.deepEqual(rest, {
      approval,
      components: ['password', 'totp'],
      hash,
      meaning,
      name: person.name,
      operation,
      person: person.id,
      signature: vote.signature,
      v: 1,
    });
    assert.deepEqual([found.name, found.meaning, found.valid], [person.name, meaning, true]);
  }
});

test('what two people approve runs once, with the input that they saw, and without them nothing does [URS-010] [URS-004]', async () => {
  assert.equal((await requesting().call('tenants.seal-state', {})).state, 'sealed');
  for (const id of keepable) {
    const [one, two] = (await newDeciders(2)) as [SignedIn, SignedIn];
    const approval = await keep(id);
    await approve(world.server, one.session, one, approval);
    assert.equal(await effects[id]?.(), false, id);
    await approve(world.server, two.session, two, approval);
    const ended = await settled(approval);
    assert.deepEqual([ended.state, ended.failure], ['executed', null], id);
    assert.equal(await effects[id]?.(), true, id);
    const entries = (await askLedger(world.reader(tenant))).filter((entry) => entry.approval === approval);
    assert.deepEqual(
      entries
        .filter(({ operation }) => operation !== 'approvals.show')
        .map(({ operation, outcome, actor, hash }) => [operation, outcome, actor, hash]),
      [
        [id, 'requested', askerOf(id).person.id, ended.hash],
        ['approvals.approve', 'success', one.id, ended.hash],
        ['approvals.approve', 'success', two.id, ended.hash],
        [id, 'success', askerOf(id).person.id, ended.hash],
      ],
    );
  }
});

test('who has left, or may not any more, neither counts nor gets what they asked for [URS-010] [URS-004]', async () => {
  const [first, second, third] = (await newDeciders(3)) as [SignedIn, SignedIn, SignedIn];
  const [asker] = (await world.bringIn(tenant, ['custodian'])) as [SignedIn];
  const manager = world.client(tenant.people.custodian.session);
  await seal();
  const approval = await keep('tenants.unseal', asker);
  await approve(world.server, first.session, first, approval);
  await manager.call('people.leave', { person: first.id, reason });
  const pending = await approve(world.server, second.session, second, approval);
  assert.deepEqual([pending.state, pending.votes.length], ['pending', 2]);
  await manager.call('people.set-roles', { person: asker.id, roles: ['auditor'], reason });
  await approve(world.server, third.session, third, approval);
  const ended = await settled(approval);
  assert.deepEqual([ended.state, ended.failure], ['failed', 'access.denied']);
  assert.equal(await effects['tenants.unseal']?.(), false);
  const [refused] = await askLedger(world.reader(tenant), {
    operation: 'tenants.unseal',
    outcome: 'refused',
  });
  assert.deepEqual([refused?.approval, refused?.actor, refused?.code], [approval, asker.id, 'access.denied']);
});

test('a request that too few people could approve is not kept [URS-010]', async () => {
  const manager = world.client(tenant.people.custodian.session);
  const { people } = await manager.call('people.list', {});
  const staying = [tenant.people.custodian.id, tenant.requester.id];
  for (const { id, state } of people.filter((each) => !staying.includes(each.id))) {
    if (state !== 'left') await manager.call('people.leave', { person: id, reason });
  }
  const { id: spentKey } = await manager.call('keys.create', { system: tenant.system });
  await manager.call('keys.revoke', { key: spentKey, cause: 'cessation', reason });
  const closed = await world.closedStudy(tenant.people.custodian.session, 'Closed anew');
  const { alias: subject } = await manager.call('subjects.create', { study: tenant.study, number: '7' });
  const made = await askLedger(world.reader(tenant), { operation: 'subjects.create' });
  const { entry } = made.at(-1) ?? assert.fail();
  const unchanged = await inventory(world, tenant);
  const asker = bySession('custodian', tenant.requester);
  await assertRecorded(world.reader(tenant), async () => {
    const refusals: Refusal[] = [];
    for (const id of keepable.filter((each) => askerOf(each).role === 'custodian')) {
      const answer = await askSample(
        world,
        id,
        { ...tenant, ...closed, spentKey, subject, entry },
        asker.secret,
      );
      assertRefused(id, answer, 'approval.too_few_people');
      refusals.push(refusal(id, asker, 'approval.too_few_people'));
    }
    return refusals;
  });
  assert.deepEqual(await inventory(world, tenant), unchanged);
});
