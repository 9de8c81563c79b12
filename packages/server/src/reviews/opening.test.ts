import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dayMs } from '../dual-control.fixture.test.ts';
import { refusal, shareServer } from '../fixture.test.ts';
import { nextDue } from './opening.ts';
import { arrangeAuditors } from './reviews.fixture.test.ts';
import type { Auditors } from './reviews.fixture.test.ts';

const shared = shareServer();

async function rangesOf({ server, custodian }: Auditors, plan: string) {
  const { reviews } = await server.admit('reviews.list', custodian, { plan });
  // Two may have been opened at one time.
  return reviews.map(({ from, to }) => [from, to] as const).sort(([one], [other]) => one - other);
}

test('the next date of a plan is the first of its rhythm that is to come', () => {
  const days = fc.integer({ min: 1, max: 366 });
  fc.assert(
    fc.property(fc.nat(1e12), days, fc.nat(1e12), (dueAt, intervalDays, later) => {
      const next = nextDue(dueAt, intervalDays, dueAt + later);
      assert.ok(next > dueAt + later && next - intervalDays * dayMs <= dueAt + later);
      assert.equal((next - dueAt) % (intervalDays * dayMs), 0);
    }),
  );
});

test('whatever happens between them, the reviews of a plan follow each other without gap or overlap [URS-040]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, custodian, plan, open } = arranged;
  const step = fc.constantFrom('entry', 'hand', 'day', 'days', 'filter', 'rhythm');
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 10 }), async (steps) => {
      const { id, covered } = await plan({ intervalDays: 2, rationale: steps.join() });
      const change = (what: object) =>
        server.admit('reviews.change-plan', custodian, { plan: id, ...what, reason: 'Once more.' });
      for (const one of steps) {
        if (one === 'entry') await server.admit('keys.list', custodian, {});
        if (one === 'hand') await open(id);
        if (one === 'filter') await change({ filter: { operation: 'keys.list' } });
        if (one === 'rhythm') await change({ intervalDays: 1 });
        if (one === 'day' || one === 'days') {
          server.clock.time += (one === 'day' ? 1 : 5) * dayMs;
          await server.runJobs();
        }
      }
      let expected = covered;
      for (const [from, to] of await rangesOf(arranged, id)) {
        assert.equal(from, expected);
        assert.ok(to > from);
        expected = to;
      }
      const { plans } = await server.admit('reviews.plans', custodian, {});
      assert.equal(plans.find((each) => each.id === id)?.covered, expected);
    }),
    { numRuns: 6 },
  );
});

test('a review is opened when it is due, by nobody, and its entry says what it covers [URS-040]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, tenant, plan, custodian } = arranged;
  const { id, dueAt } = await plan({ filter: { operation: 'systems.list' } });
  for (let i = 0; i < 3; i++) await server.admit('systems.list', custodian, {});
  await server.runJobs();
  assert.deepEqual(await rangesOf(arranged, id), []);
  server.clock.time = dueAt;
  await server.runJobs();
  await server.runJobs();
  const [range, ...others] = await rangesOf(arranged, id);
  assert.deepEqual(others, []);
  const entries = await server.entries(tenant);
  const opened = entries.filter(({ operation, plan: of }) => operation === 'reviews.open' && of === id);
  assert.deepEqual(
    opened.map(({ actor, reason, size, state, outcome }) => [actor, reason, size, state, outcome]),
    [[undefined, 'policy', range?.[1], 'open', 'success']],
  );
  const { plans } = await server.admit('reviews.plans', custodian, {});
  assert.equal(plans.find((each) => each.id === id)?.dueAt, dueAt + 30 * dayMs);
  const { reviews } = await server.admit('reviews.list', custodian, { plan: id });
  assert.deepEqual([reviews[0]?.matched, reviews[0]?.openedBy, reviews[0]?.perMille], [3, null, 1000]);
});

test('a plan begins at a place that is there, and ends for good [URS-040]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, plan, open, tenant, custodian } = arranged;
  await assert.rejects(plan({ first: 1_000_000 }), refusal('review.range'));
  await assert.rejects(plan({ firstDueAt: 1 }), refusal('date.past'));
  const { id, name, covered } = await plan();
  const entries = await server.entries(tenant);
  assert.equal(entries[covered]?.['plan'], id);
  await assert.rejects(plan({ name }), refusal('review.plan_exists'));
  const end = () => server.admit('reviews.end-plan', custodian, { plan: id, reason: 'It is over.' });
  assert.equal((await end()).state, 'ended');
  await assert.rejects(end(), refusal('review.plan_ended'));
  await assert.rejects(open(id), refusal('review.plan_ended'));
  const elsewhere = await arrangeAuditors(server);
  await assert.rejects(elsewhere.open(id), refusal('review.plan_unknown'));
  server.clock.time += 100 * dayMs;
  await server.runJobs();
  assert.deepEqual(await rangesOf(arranged, id), []);
  // The name is free again.
  await plan({ name });
});

test('what is changed about a plan holds from its next review on, and the entry keeps what it was [URS-040]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, plan, open, tenant, custodian } = arranged;
  const made = await plan({ risk: 'low' });
  const first = await open(made.id);
  const changed = await server.admit('reviews.change-plan', custodian, {
    plan: made.id,
    risk: 'high',
    intervalDays: 7,
    rationale: 'An incident.',
    reason: 'CAPA 7.',
  });
  assert.deepEqual(
    [changed.version, changed.risk, changed.rationale, changed.dueAt < made.dueAt],
    [2, 'high', 'An incident.', true],
  );
  const { review } = await server.admit('reviews.show', custodian, { review: first.id });
  assert.deepEqual([review.planVersion, review.risk], [1, 'low']);
  const entries = await server.entries(tenant);
  const entry = entries.find(({ operation }) => operation === 'reviews.change-plan');
  const { payload } = await server.admit('ledger.payload', custodian, { entry: String(entry?.['entry']) });
  const { before } = payload as { before: { risk: string; rationale: string } };
  assert.equal(before.risk, 'low');
});
