import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeTenant, shareServer } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import { boundOfPast, takePast } from './as-of.ts';

const shared = shareServer();
const dayMs = 86_400_000;
const reason = 'test';

type Step =
  | { readonly act: 'create'; readonly activates: number; readonly expires: number; readonly days: number }
  | {
      readonly act: 'rotate' | 'suspend' | 'resume' | 'revoke' | 'compromise' | 'use';
      readonly which: number;
    };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    act: fc.constant('create' as const),
    activates: fc.integer({ min: 0, max: 3 }),
    expires: fc.integer({ min: 0, max: 6 }),
    days: fc.integer({ min: 60, max: 180 }),
  }),
  fc.record({
    act: fc.constantFrom(...(['rotate', 'suspend', 'resume', 'revoke', 'compromise', 'use'] as const)),
    which: fc.nat(4),
  }),
);
const steps = fc.array(fc.tuple(step, fc.integer({ min: 0, max: 2 * dayMs })), {
  minLength: 1,
  maxLength: 14,
});

/** What the live inventory and that of a past time both tell. */
async function live(server: TestServer, credential: string) {
  const { keys } = await server.admit('inventory.find', credential, { limit: 1000 });
  return keys
    .map(({ systemName: _name, vendor: _vendor, module: _module, ...key }) => key)
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

async function past(server: TestServer, credential: string, asOf: number, limit = 1000) {
  const keys: Awaited<ReturnType<typeof live>> = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const at = cursor === undefined ? {} : { cursor };
    const page = await server.admit('inventory.as-of', credential, { asOf, limit, ...at });
    for (const { told, ...key } of page.keys) {
      assert.equal(told, true);
      keys.push(key as (typeof keys)[number]);
    }
    cursor = page.next;
  }
  return keys.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

test('the inventory as of any time is what the live one said then [URS-007] [URS-001]', async () => {
  const server = await shared();
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      const made = await makeTenant(server);
      const { custodian, system, service } = made;
      const keys = [made.key];
      const seen: { at: number; rows: Awaited<ReturnType<typeof live>> }[] = [];
      for (const [act, pause] of history) {
        await attempt(server, { custodian, system, service, keys }, act);
        // Another millisecond: what comes next is not of this time.
        seen.push({ at: server.clock.time, rows: await live(server, custodian) });
        server.clock.time += 1 + pause;
      }
      for (const { at, rows } of seen) assert.deepEqual(await past(server, custodian, at), rows);
      assert.deepEqual(await past(server, custodian, server.clock.time, 2), await live(server, custodian));
    }),
    { numRuns: 12 },
  );
});

async function attempt(
  server: TestServer,
  to: { custodian: string; system: string; service: string; keys: string[] },
  act: Step,
): Promise<void> {
  const { custodian, system, service, keys } = to;
  if (act.act === 'create') {
    const now = server.clock.time;
    const activatesAt = act.activates > 0 ? now + act.activates * dayMs : undefined;
    const expiresAt = act.expires > act.activates ? now + act.expires * dayMs : undefined;
    const made = await server.admit('keys.create', custodian, {
      system,
      description: `key ${keys.length}`,
      rotationPeriodDays: act.days,
      ...(activatesAt !== undefined && { activatesAt }),
      ...(expiresAt !== undefined && { expiresAt }),
    });
    keys.push(made.id);
    return;
  }
  const key = keys[act.which % keys.length] ?? '';
  const acts = {
    rotate: () => server.admit('keys.rotate', custodian, { key }),
    suspend: () => server.admit('keys.suspend', custodian, { key, reason }),
    resume: () => server.admit('keys.resume', custodian, { key, reason }),
    revoke: () => server.admit('keys.revoke', custodian, { key, cause: 'role-change', reason }),
    compromise: () => server.admit('keys.revoke', custodian, { key, cause: 'breach', reason }),
    use: () => server.admit('keys.encrypt', service, { key, plaintext: 'AAAA' }),
  };
  // What the state of the key does not allow is refused, and changes nothing.
  await acts[act.act]().catch(() => undefined);
}

test('keys of a past day are found by system and state, page by page [URS-007]', async () => {
  const server = await shared();
  const { custodian, system, key } = await makeTenant(server);
  const { id: other } = await server.admit('systems.create', custodian, {
    name: 'b',
    type: 'ctms',
    vendor: 'B',
  });
  const made: string[] = [key];
  for (let i = 0; i < 7; i++) {
    const { id } = await server.admit('keys.create', custodian, { system: i % 2 === 0 ? other : system });
    made.push(id);
    if (i % 3 === 0) await server.admit('keys.suspend', custodian, { key: id, reason });
  }
  const asOf = server.clock.time;
  server.clock.time += 10;
  for (const id of made) {
    await server.admit('keys.revoke', custodian, { key: id, cause: 'cessation', reason });
  }
  const ids = async (filter: { system?: string; state?: 'active' | 'suspended' | 'deactivated' }) => {
    const found: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const at = cursor === undefined ? {} : { cursor };
      const page = await server.admit('inventory.as-of', custodian, { asOf, limit: 2, ...filter, ...at });
      found.push(...page.keys.map(({ id }) => id));
      cursor = page.next;
    }
    return found;
  };
  assert.deepEqual(await ids({}), made);
  assert.deepEqual(
    await ids({ system: other }),
    [1, 3, 5, 7].map((i) => made[i]),
  );
  assert.deepEqual(
    await ids({ state: 'suspended' }),
    [1, 4, 7].map((i) => made[i]),
  );
  assert.deepEqual(await ids({ state: 'deactivated' }), []);
});

test('what a drill makes up is in neither inventory [URS-007] [URS-005]', async () => {
  const server = await shared();
  const { custodian, key } = await makeTenant(server);
  await server.admit('revocations.drill', custodian, {});
  await server.runJobs();
  const { drills } = await server.admit('revocations.drills', custodian, {});
  assert.deepEqual(
    drills.map(({ state }) => state),
    ['passed'],
  );
  const now = await live(server, custodian);
  assert.deepEqual(
    now.map(({ id }) => id),
    [key],
  );
  assert.deepEqual(await past(server, custodian, server.clock.time), now);
});

test('histories that do not fit into one read are told to their end [URS-007]', async () => {
  const server = await shared();
  const { custodian, system, key, tenant } = await makeTenant(server);
  const { id: other } = await server.admit('keys.create', custodian, { system });
  for (let i = 0; i < 4; i++) {
    for (const id of [key, other]) await server.admit('keys.rotate', custodian, { key: id });
  }
  await server.admit('keys.suspend', custodian, { key: other, reason });
  const asOf = server.clock.time;
  const log = server.instance.ledger.logOfTenant(tenant) ?? assert.fail();
  const bound = await boundOfPast(server.instance, log, { asOf, now: asOf });
  for (const most of [1, 2, 11, 12]) {
    const page = await takePast(server.instance, bound, { asOf, after: -1, limit: 10 }, most);
    assert.deepEqual(
      page.keys.map(({ id, version, state }) => [id, version, state]),
      [
        [key, 5, 'active'],
        [other, 5, 'suspended'],
      ],
    );
  }
});
