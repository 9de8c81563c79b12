import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import type { ErrorCode } from '@trialkeep/contract';
import { Batches } from './batch.fixture.test.ts';
import type { Encrypted } from './batch.fixture.test.ts';
import { makeInstallation, openNode, openSecond, stores } from './installation.fixture.test.ts';
import type { Entry } from './installation.fixture.test.ts';
import { OperationError } from './platform/errors.ts';

/** What happens while a batch is under way: its operation, and what it means to items after it, if anything. */
interface Change {
  readonly operation: string;
  readonly code?: ErrorCode;
  make(of: Batches): Promise<unknown>;
}
interface Case {
  readonly change: Change;
  readonly count: number;
  /** The item before which it happens. */
  readonly at: number;
  /** Whether the items before that are durable by then. */
  readonly isRecorded: boolean;
}
const reason = 'test';
const changes: readonly Change[] = [
  {
    operation: 'keys.revoke',
    code: 'key.revoked',
    make: (of) => of.rules('keys.revoke', { key: of.key, cause: 'breach', reason }),
  },
  {
    operation: 'keys.suspend',
    code: 'key.unusable',
    make: (of) => of.rules('keys.suspend', { key: of.key, reason }),
  },
  {
    operation: 'credentials.revoke',
    code: 'auth.revoked',
    make: (of) => of.rules('credentials.revoke', { credential: of.credential, reason }),
  },
  {
    operation: 'tenants.seal',
    code: 'tenant.sealed',
    make: (of) => of.rules('tenants.seal', { reason }),
  },
  { operation: 'keys.rotate', make: (of) => of.rules('keys.rotate', { key: of.key }) },
  { operation: 'studies.create', make: (of) => of.rules('studies.create', { protocol: 'P' }) },
];

/** Waits until what was handed in so far is durable. */
async function untilRecorded({ node }: Batches): Promise<void> {
  await setImmediate();
  await node.instance.ledger.appender.idle();
}

/** The outcomes; undefined where the whole was refused. */
async function outcomesOf(of: Batches, count: number): Promise<Encrypted[] | OperationError> {
  try {
    return await of.encrypts(count);
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    return error;
  }
}

/** Every item has one entry that says what it was told, and no success is behind the change that forbids it. */
async function assertKept(of: Batches, change: Change, outcomes: readonly Encrypted[]): Promise<void> {
  const entries = await of.entries();
  const changed = entries.findIndex(({ operation }) => operation === change.operation);
  assert.ok(changed > 0);
  const uses = entries.flatMap((entry, position): [Entry, number][] =>
    entry['operation'] === 'keys.encrypt' ? [[entry, position]] : [],
  );
  assert.equal(uses.length, outcomes.length);
  const codes = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome.error.code] : []));
  const refused = uses.filter(([{ outcome }]) => outcome !== 'success');
  assert.deepEqual(
    refused.map(([{ code }]) => code),
    codes,
  );
  assert.ok(codes.every((code) => code === change.code));
  assert.ok(refused.every(([, position]) => position > changed));
  outcomes.forEach((outcome, i) => {
    if ('error' in outcome) return;
    const [entry, position] = uses.find(([{ class: kind }]) => kind === `c${i}`) ?? assert.fail();
    const isLater = position > changed;
    assert.deepEqual([entry['outcome'], entry['version']], ['success', outcome.result.version]);
    assert.ok(!isLater || change.code === undefined, `${change.operation}: a success at ${position}`);
    if (change.operation === 'keys.rotate') assert.equal(outcome.result.version, isLater ? 2 : 1);
  });
}

for (const store of stores) {
  test(
    `whatever another node changes in the middle of a batch holds from its entry on, on ${store.name} [URS-003] [URS-004] [URS-032]`,
    {
      skip: store.skip,
    },
    async (t) => {
      const installation = await makeInstallation(t, store);
      const node = await openNode(t, installation);
      const second = await openSecond(t, installation, node);
      const cases = fc.record({
        change: fc.constantFrom(...changes),
        count: fc.integer({ min: 2, max: 60 }),
        at: fc.nat({ max: 59 }),
        isRecorded: fc.boolean(),
      });
      const holds = async ({ change, count, at, isRecorded }: Case): Promise<void> => {
        const of = await Batches.tenant([node, second], installation.administrator);
        of.beforeEach = async (done) => {
          if (done !== at % count) return;
          if (isRecorded) await untilRecorded(of);
          await change.make(of);
        };
        const outcomes = await outcomesOf(of, count);
        if (Array.isArray(outcomes)) return assertKept(of, change, outcomes);
        const uses = await of.entries('keys.encrypt');
        assert.equal(outcomes.code, change.code);
        assert.deepEqual(
          uses.map(({ outcome, code }) => [outcome, code]),
          [['refused', change.code]],
        );
      };
      const examples = changes.map((change): [Case] => [{ change, count: 40, at: 30, isRecorded: true }]);
      await fc.assert(fc.asyncProperty(cases, holds), { numRuns: examples.length + 6, examples });
    },
  );
}

test('what is recorded is done; the rest is authorised again as often as the batch gets on [URS-032]', async (t) => {
  const installation = await makeInstallation(t, stores[0] ?? assert.fail());
  const node = await openNode(t, installation);
  const of = await Batches.tenant([node, node], installation.administrator);
  let moved = 0;
  of.beforeEach = async (done) => {
    if (done % 20 !== 19) return;
    await untilRecorded(of);
    await of.rules('studies.create', { protocol: `P-${moved++}` });
  };
  const outcomes = await of.encrypts(400);
  assert.ok(outcomes.every((outcome) => 'result' in outcome));
  assert.ok(moved > 10);
  const classes = (await of.entries('keys.encrypt')).map((entry) => entry['class']);
  assert.deepEqual([classes.length, new Set(classes).size], [400, 400]);
});

test('a batch whose facts always move on gives up what is left, and gives what it has [URS-032]', async (t) => {
  const installation = await makeInstallation(t, stores[0] ?? assert.fail());
  const node = await openNode(t, installation);
  const of = await Batches.tenant([node, node], installation.administrator);
  let moved = 0;
  of.beforeEach = async (done) => {
    if (done < 5) return;
    if (done === 5) await untilRecorded(of);
    await of.rules('studies.create', { protocol: `P-${moved++}` });
  };
  const outcomes = await of.encrypts(8);
  assert.deepEqual(
    outcomes.map((outcome) => ('error' in outcome ? outcome.error.code : 'success')),
    [...Array<string>(5).fill('success'), ...Array<string>(3).fill('server.busy')],
  );
  assert.equal((await of.entries('keys.encrypt')).length, 5);
});

test(
  'batches of one tenant keep no other from theirs, and no more of them wait than may [URS-002]',
  { timeout: 300_000 },
  async (t) => {
    const installation = await makeInstallation(t, stores[0] ?? assert.fail());
    const node = await openNode(t, installation);
    const one = await Batches.tenant([node, node], installation.administrator);
    const two = await Batches.tenant([node, node], installation.administrator);
    let release: (() => void) | undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    one.beforeEach = () => released;
    const refused: unknown[] = [];
    const held = Array.from({ length: 60 }, () => one.encrypts(1));
    for (const each of held) each.catch((error: unknown) => refused.push(error));
    // Three are under way, and fifty wait.
    while (one.encryptions < 3 || refused.length < 7) await setImmediate();
    const [outcome] = await two.encrypts(1);
    assert.ok(outcome && 'result' in outcome);
    assert.equal(one.encryptions, 3);
    release?.();
    const codes = (await Promise.allSettled(held)).map((result) =>
      result.status === 'rejected' ? (result.reason as OperationError).code : 'success',
    );
    assert.deepEqual(codes.toSorted(), [
      ...Array<string>(7).fill('server.busy'),
      ...Array<string>(53).fill('success'),
    ]);
  },
);
