/**
 * Dual control over two servers on one PostgreSQL, where the one that is at it dies or stands still in the middle of a transaction,
 * and where decisions on both meet. TRIALKEEP_RACE_SEED repeats the choices of an earlier run.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { Choices } from './crash/random.ts';
import {
  assertNeverExecuted,
  codeOf,
  openHouse,
  readyToApprove,
  requestDestruction,
  retiredKeys,
  show,
  untilScheduled,
  untilState,
} from './dual-control/house.ts';
import type { House, Kept, Retired } from './dual-control/house.ts';
import { tellLedger } from './dual-control/stories.ts';
import { clientOf } from './harness.ts';
import { postgresSite, until } from './nodes.ts';
import type { PostgresSite, ServerNode } from './nodes.ts';
import { approve } from './people.ts';
import type { ApprovalView } from './people.ts';

const seed = Number(process.env['TRIALKEEP_RACE_SEED'] ?? randomInt(2 ** 31));
const skip = postgresMissing;
let site: PostgresSite;
let house: House;

before(async () => {
  if (skip !== false) return;
  site = await postgresSite();
  house = await openHouse(site, 9);
});

const execution = { event: 'update', table: 'approval', when: `new.state = 'executed'` } as const;

function approveOn(node: ServerNode, { approval }: Kept): Promise<ApprovalView> {
  const person = house.nextApprover();
  return approve(node, person.session, person, approval);
}

/** A request that one more approval has carried out. */
async function almostApproved(): Promise<{ retired: Retired; kept: Kept }> {
  const [retired] = await retiredKeys(house, 1);
  assert.ok(retired);
  const kept = await requestDestruction(site.nodes[0], house.ada, retired.key);
  await approveOn(site.nodes[0], kept);
  return { retired, kept };
}

const otherThan = (node: ServerNode): ServerNode => (node === site.nodes[0] ? site.nodes[1] : site.nodes[0]);

test(
  'a last approval whose node dies before it is committed has not happened at all [URS-010] [URS-032]',
  { skip },
  async () => {
    const { retired, kept } = await almostApproved();
    const [victim, other] = site.nodes;
    const write = { event: 'insert', table: 'job', when: `new.task = 'approvals.execute'` } as const;
    let asked: Promise<string> | undefined;
    const caught = await site.catchAt(write, () => {
      asked = approveOn(victim, kept).then(
        () => 'success',
        (error: { code: string }) => error.code,
      );
    });
    assert.equal(caught, victim);
    await victim.kill();
    assert.equal(await asked, 'client.unreachable');
    const { state, votes } = await show(other, house.ada, kept.approval);
    assert.deepEqual([state, votes.length], ['pending', 1]);
    await victim.start();
    await approveOn(other, kept);
    await untilScheduled(house, retired, kept);
  },
);

test(
  'what a node had begun to execute when it died the other executes [URS-010] [URS-032]',
  { skip },
  async () => {
    const { retired, kept } = await almostApproved();
    const victim = await site.catchAt(execution, () => approveOn(site.nodes[0], kept));
    await victim.kill();
    const other = otherThan(victim);
    await until('the other node has executed', async () => {
      const { state } = await show(other, house.ada, kept.approval);
      return state === 'executed';
    });
    await victim.start();
    await untilScheduled(house, retired, kept);
  },
);

test(
  'a node that stands still in the middle of an execution finds it done by the other [URS-010] [URS-032]',
  { skip },
  async () => {
    const { retired, kept } = await almostApproved();
    const stopped = await site.catchAt(execution, () => approveOn(site.nodes[1], kept));
    const other = otherThan(stopped);
    stopped.server.pause();
    try {
      // The transaction holds the lock that every change of the tenant needs.
      const custodian = clientOf(other, house.tenant.credentials.custodian.secret);
      await custodian.call('keys.create', { system: house.tenant.system });
      await until('the other node has executed', async () => {
        const { state } = await show(other, house.ada, kept.approval);
        return state === 'executed';
      });
    } finally {
      stopped.server.resume();
    }
    await untilScheduled(house, retired, kept);
  },
);

test(
  'a request that is taken back while others approve it is either taken back or carried out, and never both [URS-010]',
  { skip },
  async (t) => {
    const choices = new Choices(seed);
    const outcomes: Record<string, number> = {};
    let usualMs = 200;
    for (const retired of await retiredKeys(house, 5)) {
      const kept = await requestDestruction(site.nodes[0], house.ada, retired.key);
      const [one, two] = choices.fraction() < 0.5 ? site.nodes : ([site.nodes[1], site.nodes[0]] as const);
      const ready: (() => Promise<number>)[] = [];
      for (const node of [one, two]) {
        ready.push(await readyToApprove(node, house.nextApprover(), kept.approval));
      }
      const approving = ready.map(async (send) => {
        const took = await send().catch(codeOf);
        if (typeof took === 'number') usualMs = took;
        return typeof took === 'number' ? 'success' : took;
      });
      await pause(1.3 * choices.fraction() * usualMs);
      const input = { approval: kept.approval, reason: 'A mistake.' };
      const cancelling = clientOf(two, house.ada.session).call('approvals.cancel', input);
      const cancelled = await cancelling.then(() => 'success', codeOf);
      for (const outcome of await Promise.all(approving))
        assert.match(outcome, /^(success|approval\.closed)$/);
      assert.match(cancelled, /^(success|approval\.closed)$/);
      outcomes[cancelled] = (outcomes[cancelled] ?? 0) + 1;
      if (cancelled === 'success') {
        await untilState(house, kept, 'cancelled');
        await assertNeverExecuted(house, retired);
      } else await untilScheduled(house, retired, kept);
    }
    t.diagnostic(`seed ${seed}; taken back: ${JSON.stringify(outcomes)}`);
  },
);

tellLedger({ name: 'PostgreSQL, two nodes', skip, house: async () => house });
