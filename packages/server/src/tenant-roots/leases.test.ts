import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { OwnWrapping } from '../keys/index.ts';
import { StartupError } from '../platform/errors.ts';
import type { StartupErrorCode } from '../platform/errors.ts';
import type { RootOfTrust } from '../roots/index.ts';
import { RootLeases } from './leases.ts';
import type { LeaseState, LeaseTiming } from './leases.ts';

/** Longer than any test runs. */
const dayMs = 86_400_000;

/** A root of trust whose answers a test decides on; the real ones are asked in the integration tests. */
class StandInRoot {
  asked = 0;
  closed = false;
  failure: StartupErrorCode | undefined;
  /** Where it is set, a question waits until the test lets it go. */
  held: Promise<void> | undefined;
  readonly key: KeyObject = createSecretKey(randomBytes(32));

  async unwrap(): Promise<KeyObject> {
    this.asked++;
    const { failure } = this;
    await this.held;
    if (failure !== undefined) throw new StartupError(failure, 'https://internal.example/secret-path');
    return this.key;
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

function makeLeases(t: TestContext, timing: Partial<LeaseTiming> = {}, maxLeases = 100) {
  const roots = new Map<string, StandInRoot>();
  const clock = { time: 1_000_000, now: () => clock.time };
  const over: string[] = [];
  const answers: LeaseState[] = [];
  const leases = new RootLeases({
    open: async (tenant) => roots.get(tenant) as unknown as RootOfTrust,
    clock,
    timing: { retryMs: 0, ...timing },
    maxLeases,
  });
  leases.whenOver((tenant) => over.push(tenant));
  leases.whenChanged((state) => answers.push(state));
  t.after(() => leases.close());
  const add = (tenant: string, leaseMs: number) => {
    const root = new StandInRoot();
    roots.set(tenant, root);
    const id = Buffer.alloc(16);
    const place = { kind: 'tenant', tenantId: id, keyId: id, versionId: id, purpose: 'wrap' } as const;
    const own: OwnWrapping = { tenant, root: `root of ${tenant}`, place, wrapped: id, leaseMs };
    return { root, own, use: () => leases.key(own) };
  };
  return { leases, clock, over, answers, add };
}

function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { held: promise, open: resolve };
}

const refused = { code: 'tenant.root_refused' };
const unreachable = { code: 'tenant.root_unreachable' };

test('within its lease a key is used without asking, and after it not without [URS-049]', async (t) => {
  const { clock, over, add } = makeLeases(t);
  const { root, use } = add('a', dayMs);
  for (let i = 0; i < 100; i++) assert.equal(await use(), root.key);
  assert.equal(root.asked, 1);
  clock.time += dayMs;
  await use();
  assert.equal(root.asked, 2);
  assert.deepEqual(over, ['a']);
  root.failure = 'root.refused';
  await use();
  clock.time += dayMs;
  await assert.rejects(use(), refused);
});

test('the lease begins before the question, and a clock that is set back lengthens none [URS-049]', async (t) => {
  const { clock, add } = makeLeases(t, { renewAt: 2 });
  const { root, use } = add('a', dayMs / 2);
  const { held, open } = gate();
  root.held = held;
  const first = use();
  // The answer takes the whole lease.
  clock.time += dayMs;
  open();
  await first;
  root.held = undefined;
  await use();
  assert.equal(root.asked, 2);
  const short = add('b', 30);
  await short.use();
  clock.time -= dayMs;
  await setTimeout(60);
  short.root.failure = 'root.key_gone';
  await assert.rejects(short.use(), refused);
});

test('without a lease every use asks, and none is answered by a question from before it [URS-049]', async (t) => {
  const { leases, add } = makeLeases(t);
  const { root, use } = add('a', 0);
  await use();
  await use();
  assert.equal(root.asked, 2);
  assert.equal(leases.state('a')?.isHeld, false);
  const { held, open } = gate();
  root.held = held;
  const early = use();
  while (root.asked < 3) await setTimeout(1);
  root.failure = 'root.refused';
  // All of them share one further question.
  const late = [use(), use(), use()].map((each) => assert.rejects(each, refused));
  open();
  assert.equal(await early, root.key);
  await Promise.all(late);
  assert.equal(root.asked, 4);
});

test('a slow root has one question at a time, its tenant waits no longer than is said, and others do not wait [URS-049]', async (t) => {
  const { add } = makeLeases(t, { waitMs: 50 });
  const [slow, other] = [add('slow', dayMs), add('other', dayMs)];
  const { held, open } = gate();
  slow.root.held = held;
  const waiting = Array.from({ length: 50 }, () => assert.rejects(slow.use(), unreachable));
  assert.equal(await other.use(), other.root.key);
  await Promise.all(waiting);
  await assert.rejects(slow.use(), unreachable);
  assert.equal(slow.root.asked, 1);
  open();
  slow.root.held = undefined;
  while ((await slow.use().catch(() => undefined)) === undefined) await setTimeout(1);
});

test('of one tenant no more than a thousand uses wait [URS-049]', async (t) => {
  const { add } = makeLeases(t);
  const { root, use } = add('a', 0);
  const { held, open } = gate();
  root.held = held;
  const waiting = Array.from({ length: 1000 }, () => use());
  await assert.rejects(use(), { code: 'server.busy' });
  open();
  await Promise.all(waiting);
  assert.equal(root.asked, 2);
});

test('a key in use is renewed ahead of the end, beside the uses; one that nobody uses is let go [URS-049]', async (t) => {
  const { leases, over, add } = makeLeases(t, { renewAt: 0.01 });
  const { root, use } = add('a', 2000);
  await use();
  while (root.asked < 2) await setTimeout(1);
  assert.equal(leases.state('a')?.isHeld, true);
  assert.deepEqual(over, []);
  // Nobody has used it since.
  while (over.length === 0) await setTimeout(10);
  assert.equal(leases.state('a')?.isHeld, false);
  assert.equal(root.asked, 2);
  assert.deepEqual(over, ['a']);
});

test('a root that says no ends the lease at once; one that is away, when it has run out [URS-049]', async (t) => {
  const { clock, over, add } = makeLeases(t, { renewAt: 1e-7 });
  const [no, away] = [add('no', dayMs), add('away', dayMs)];
  for (const { use } of [no, away]) await use();
  no.root.failure = 'root.key_gone';
  away.root.failure = 'root.unreachable';
  while (over.length === 0) {
    await no.use().catch(() => undefined);
    await away.use();
    clock.time += 1;
    await setTimeout(5);
  }
  assert.deepEqual(over, ['no']);
  await assert.rejects(no.use(), refused);
  assert.equal(await away.use(), away.root.key);
  clock.time += dayMs;
  await assert.rejects(away.use(), unreachable);
});

test('a failure is told to all who come soon after without asking again, and tells nothing of the installation [URS-049]', async (t) => {
  const { add } = makeLeases(t, { retryMs: dayMs });
  const { root, use } = add('a', 0);
  root.failure = 'root.refused';
  for (let i = 0; i < 100; i++) {
    await assert.rejects(use(), ({ code, message }) => {
      assert.equal(code, 'tenant.root_refused');
      assert.doesNotMatch(message, /internal/);
      return true;
    });
  }
  assert.equal(root.asked, 1);
});

test('a change of the answer is told once, however many uses there are [URS-049]', async (t) => {
  const { answers, add } = makeLeases(t);
  const { root, use } = add('a', 0);
  for (let i = 0; i < 3; i++) await use();
  root.failure = 'root.refused';
  for (let i = 0; i < 3; i++) await assert.rejects(use(), refused);
  root.failure = 'root.unreachable';
  for (let i = 0; i < 3; i++) await assert.rejects(use(), unreachable);
  root.failure = undefined;
  for (let i = 0; i < 3; i++) await use();
  assert.deepEqual(
    answers.map(({ answer }) => answer),
    ['refused', 'unreachable', 'open'],
  );
});

test('another wrapping or lease ends the one before, and its root is closed [URS-049]', async (t) => {
  const { leases, add } = makeLeases(t);
  const { root, own, use } = add('a', dayMs);
  await use();
  await leases.key({ ...own, leaseMs: 0 });
  assert.equal(root.asked, 2);
  while (!root.closed) await setTimeout(1);
});

test('a lease ends by its timer no later than counted from the question, however long the answer took [URS-049]', async (t) => {
  const { leases, add } = makeLeases(t);
  const { root, use } = add('a', dayMs);
  const { held, open } = gate();
  root.held = held;
  const timers = t.mock.method(globalThis, 'setTimeout');
  const first = use();
  const begun = performance.now();
  while (performance.now() - begun < 50) await setTimeout(5);
  open();
  await first;
  const delays = timers.mock.calls.map(({ arguments: [, delay] }) => Number(delay));
  timers.mock.restore();
  assert.equal(leases.state('a')?.isHeld, true);
  const longest = Math.max(...delays);
  assert.ok(longest > dayMs / 2 && longest <= dayMs - 49, `${dayMs - longest} ms short`);
});

test('what is held of a tenant ends when its key is wrapped elsewhere, its lease changes, or others need the room [URS-049]', async (t) => {
  const { leases, over, add } = makeLeases(t, {}, 2);
  const [a, b, c] = [add('a', dayMs), add('b', dayMs), add('c', dayMs)];
  await a.use();
  leases.keepOnly('a', a.own);
  leases.keepOnly('b', b.own);
  assert.deepEqual(over, []);
  assert.equal(leases.state('a')?.isHeld, true);
  leases.keepOnly('a', { ...a.own, leaseMs: 1000 });
  assert.deepEqual(over.splice(0), ['a']);
  assert.equal(leases.state('a')?.isHeld, false);
  await a.use();
  leases.keepOnly('a', undefined);
  assert.deepEqual(over.splice(0), ['a']);
  assert.equal(leases.state('a'), undefined);
  for (const { use } of [a, b, c]) await use();
  assert.deepEqual(over, ['a']);
  while (!a.root.closed) await setTimeout(1);
  assert.deepEqual([b.root.closed, c.root.closed], [false, false]);
});
