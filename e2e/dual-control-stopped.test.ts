/** Dual control over real servers, the same on both stores: what people did not approve, or would not any more, never happens. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from '@trialkeep/sdk/client';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import {
  assertNeverExecuted,
  entriesOf,
  openHouse,
  requestDestruction,
  retiredKeys,
  show,
  untilState,
  withCode,
} from './dual-control/house.ts';
import type { House, Kept, Retired } from './dual-control/house.ts';
import { clientOf } from './harness.ts';
import { postgresSite, sqliteSite } from './nodes.ts';
import { approve, deny, oneTimeCode, readRequest } from './people.ts';
import type { SignedIn } from './people.ts';

/** What was not approved, for whatever reason, never happens. */
async function tellRefusals(house: House): Promise<void> {
  const { server, ada, ben, nextApprover } = house;
  const [denied, cancelled] = await retiredKeys(house, 2);
  assert.ok(denied && cancelled);
  const toDeny = await requestDestruction(server, ada, denied.key);
  const denier = nextApprover();
  await deny(server, denier.session, denier, toDeny.approval, 'It is still needed.');
  const toCancel = await requestDestruction(server, ada, cancelled.key);
  const other = nextApprover();
  await approve(server, other.session, other, toCancel.approval);
  const cancel = { approval: toCancel.approval, reason: 'A mistake.' };
  await assert.rejects(
    clientOf(server, ben.session).call('approvals.cancel', cancel),
    withCode('approval.foreign'),
  );
  await clientOf(server, ada.session).call('approvals.cancel', cancel);
  for (const [kept, state] of [
    [toDeny, 'denied'],
    [toCancel, 'cancelled'],
  ] as const) {
    assert.equal((await show(server, ada, kept.approval)).state, state);
    const { hash } = await readRequest(server, ben.session, kept.approval);
    const late = { approval: kept.approval, hash };
    await assert.rejects(
      clientOf(server, ben.session).call('approvals.approve', late),
      withCode('approval.closed'),
    );
  }
  await assertNeverExecuted(house, denied);
  await assertNeverExecuted(house, cancelled);
}

/** Makes executions wait from now on, and lets them go. */
const hold = {
  on: {
    sqlite: `create trigger hold after insert on job when new.task = 'approvals.execute'
      begin update job set due_at = 9000000000000 where name = new.name; end`,
    postgres: `create function hold() returns trigger language plpgsql
      as $$ begin new.due_at := 9000000000000; return new; end $$;
      create trigger hold before insert on job for each row when (new.task = 'approvals.execute')
      execute function hold()`,
  },
  off: {
    sqlite: `drop trigger hold; update job set due_at = 0 where task = 'approvals.execute'`,
    postgres: `drop trigger hold on job; update job set due_at = 0 where task = 'approvals.execute'`,
  },
};

/** Between approval and execution somebody without whom it would not have been approved loses the right to. */
async function tellChangesOfMind(house: House): Promise<void> {
  const { site, server, tenant, ada, ben, cleo, nextApprover } = house;
  const retired = await retiredKeys(house, 4);
  const [a, b, c, d] = retired;
  assert.ok(a && b && c && d);
  await site.alter(hold.on);
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  const approved = async (requester: SignedIn, { key }: Retired, by: readonly SignedIn[]): Promise<Kept> => {
    const kept = await requestDestruction(server, requester, key);
    for (const person of by) await approve(server, person.session, person, kept.approval);
    assert.equal((await show(server, ada, kept.approval)).state, 'approved');
    return kept;
  };
  const leaver = nextApprover();
  const requesterLeft = await approved(ben, a, [nextApprover(), nextApprover()]);
  const approverLeft = await approved(ada, b, [leaver, nextApprover()]);
  const roleLost = await approved(cleo, c, [nextApprover(), nextApprover()]);
  const takenBack = await approved(ada, d, [nextApprover(), nextApprover()]);
  const reason = 'Left the company.';
  await custodian.call('people.leave', { person: ben.id, reason });
  await custodian.call('people.leave', { person: leaver.id, reason });
  await custodian.call('people.set-roles', { person: cleo.id, roles: ['approver'], reason });
  await clientOf(server, ada.session).call('approvals.cancel', { approval: takenBack.approval, reason });
  await site.alter(hold.off);
  for (const [kept, state, failure] of [
    [requesterLeft, 'failed', 'access.denied'],
    [approverLeft, 'failed', 'approval.too_few_people'],
    [roleLost, 'failed', 'access.denied'],
    [takenBack, 'cancelled', null],
  ] as const) {
    await untilState(house, kept, state);
    assert.equal((await show(server, ada, kept.approval)).failure, failure);
    const entries = await entriesOf(house, kept);
    const codes = entries.map(({ outcome, code }) => code ?? outcome);
    assert.deepEqual(codes, failure === null ? ['requested'] : ['requested', failure]);
  }
  for (const each of retired) await assertNeverExecuted(house, each);
}

/** What nobody decided on in time is over, by the time that counts. */
async function tellExpiry(house: House): Promise<void> {
  const { site, server, tenant, ada, nextApprover } = house;
  const [retired] = await retiredKeys(house, 1);
  assert.ok(retired);
  const kept = await requestDestruction(server, ada, retired.key);
  const [early, late] = [nextApprover(), nextApprover()];
  await approve(server, early.session, early, kept.approval);
  const days = 8;
  await site.advance(days);
  const step = Math.floor((Date.now() + days * 86_400_000) / 30_000);
  const proofs = (after: number) => ({
    password: late.password,
    code: oneTimeCode(late.totpSecret, step + after),
  });
  const anybody = createClient({ url: server.url });
  const { secret } = await anybody.call('sessions.create', {
    tenant: tenant.id,
    login: late.login,
    ...proofs(0),
  });
  const { approval, hash } = await readRequest(server, secret, kept.approval);
  assert.equal(approval.state, 'expired');
  const input = { approval: kept.approval, hash, signature: proofs(1) };
  await assert.rejects(
    clientOf(server, secret).call('approvals.approve', input),
    withCode('approval.closed'),
  );
  // That of the tenant has expired, too.
  const expiresAt = step * 30_000 + 3_600_000;
  const recovery = { name: 'recovery', role: 'data-recovery', expiresAt } as const;
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  const issued = await custodian.call('credentials.issue', recovery);
  const fresh = { id: issued.credential.id, secret: issued.secret };
  const credentials = { ...tenant.credentials, 'data-recovery': fresh };
  await assertNeverExecuted({ ...house, tenant: { ...tenant, credentials } }, retired);
}

function tell(name: string, skip: string | false, open: () => Promise<House>): void {
  let opened: Promise<House> | undefined;
  const house = (): Promise<House> => (opened ??= open());

  test(`${name}: what was denied or taken back never happens [URS-010]`, { skip }, async () =>
    tellRefusals(await house()),
  );

  test(
    `${name}: what was approved does not happen once somebody who counts has left [URS-010] [URS-021]`,
    { skip },
    async () => tellChangesOfMind(await house()),
  );

  test(`${name}: what nobody approved in time never happens [URS-010]`, { skip }, async () =>
    tellExpiry(await house()),
  );
}

const approvers = 11;
tell('SQLite', false, async () => openHouse(await sqliteSite(), approvers));
tell('PostgreSQL, two nodes', postgresMissing, async () => openHouse(await postgresSite(), approvers));
