import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  entriesOf,
  makeInstallation,
  openNode,
  openSecond,
  stores,
  until,
} from '../installation.fixture.test.ts';
import type { Node } from '../installation.fixture.test.ts';
import { systemClock } from '../platform/clock.ts';
import { OperationError } from '../platform/errors.ts';
import { schedule } from '../platform/jobs/index.ts';
import { openJob, openReviewTask } from './opening.ts';
import { findPlan, updatePlan } from './store.ts';

const dayMs = 86_400_000;

async function start({ rooms }: Node): Promise<void> {
  const handler = rooms.handlers[openReviewTask];
  assert.ok(handler);
  await rooms.jobs.start({ [openReviewTask]: handler });
}

function request(secret: string, input: object) {
  return { authorization: `Bearer ${secret}`, input, source: '192.0.2.1', requestId: 'request' };
}

async function makePlans({ rooms }: Node, custodian: string) {
  const plans = [];
  for (let i = 0; i < 8; i++) {
    const input = {
      name: `plan ${i}`,
      filter: {},
      intervalDays: 7,
      graceDays: 1,
      risk: 'low',
      reviewers: { roles: ['auditor'], persons: [] },
      rationale: 'For the test.',
    };
    plans.push(await rooms.gate.admit({ operation: 'reviews.plan', ...request(custodian, input) }));
  }
  return plans;
}

for (const { name, skip } of stores) {
  test(
    `${name}: two nodes open what is due, and somebody opens by hand: one review after the other, none twice [URS-040]`,
    { skip },
    async (t) => {
      const installation = await makeInstallation(t, { name, skip });
      const clock = { time: Date.now() + 60_000, now: () => clock.time };
      const node = await openNode(t, installation, name === 'SQLite' ? clock : systemClock);
      const second = await openSecond(t, installation, node, name === 'SQLite' ? clock : systemClock);
      const { tenant, custodian } = await node.rooms.gate.admit({
        operation: 'tenants.create',
        ...request(installation.administrator, { name: 'tenant' }),
      });
      const plans = await makePlans(node, custodian.secret);
      await Promise.all([start(node), start(second)]);
      await letAWeekPass(node, clock);
      // By hand, on either node, while the jobs are at it.
      const byHand = await Promise.allSettled(
        plans.map(({ id }, i) =>
          (i % 2 === 0 ? node : second).rooms.gate.admit({
            operation: 'reviews.open',
            ...request(custodian.secret, { plan: id, reason: 'Now.' }),
          }),
        ),
      );
      for (const each of byHand) {
        if (each.status === 'fulfilled') continue;
        assert.ok(each.reason instanceof OperationError, String(each.reason));
        assert.ok(['review.nothing_new', 'server.busy'].includes(each.reason.code), each.reason.code);
      }
      const opened = async () =>
        (await entriesOf(node.instance, tenant.id)).filter(
          ({ operation, outcome }) => operation === 'reviews.open' && outcome === 'success',
        );
      const byPolicy = async () => (await opened()).filter(({ reason }) => reason === 'policy');
      await until(async () => (await byPolicy()).length >= plans.length);
      await Promise.all([node.rooms.jobs.stop(), second.rooms.jobs.stop()]);
      assert.equal((await byPolicy()).length, plans.length);
      for (const { id, covered } of plans) {
        const rows = await node.instance.database.read((tx) =>
          tx.selectFrom('review').selectAll().where('plan', '=', id).orderBy('from_size').execute(),
        );
        const entries = (await opened()).filter(({ plan }) => plan === id);
        assert.deepEqual(
          rows.map((row) => `${row.id} ${row.to_size}`).toSorted(),
          entries.map(({ review, size }) => `${review} ${size}`).toSorted(),
        );
        let expected = covered;
        for (const { from_size, to_size } of rows) {
          assert.equal(from_size, expected);
          assert.ok(to_size > from_size);
          expected = to_size;
        }
      }
    },
  );
}

/** Plans fall due: PostgreSQL has a clock of its own, so that the rows are put a week back there, with their seals. */
async function letAWeekPass({ instance }: Node, clock: { time: number }): Promise<void> {
  const { database, hierarchy } = instance;
  if (database.dialect === 'sqlite') {
    clock.time += 7 * dayMs;
    return;
  }
  const plans = await database.read((tx) => tx.selectFrom('review_plan').select(['id', 'log']).execute());
  for (const { id, log } of plans) {
    const tenant = instance.ledger.log(log).tenant;
    const rowKey = await hierarchy.rowKey(tenant);
    await database.write(async (tx) => {
      const row = await findPlan(tx, rowKey, log, id);
      assert.ok(row);
      const due = { ...row, due_at: row.due_at - 7 * dayMs };
      await updatePlan(tx, rowKey, due);
      await schedule(tx, openJob(due));
    });
  }
}
