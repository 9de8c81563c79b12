import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  approveAndRun,
  arrange,
  ask,
  askFor,
  approveByBoth,
  dayMs,
  keyState,
  plaintext,
  reason,
  signInAgain,
} from '../dual-control.fixture.test.ts';
import type { Arranged } from '../dual-control.fixture.test.ts';
import { makeServer, refusal, shareServer } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import {
  entriesOf,
  makeInstallation,
  makeTenant,
  openNode,
  openSecond,
  stores,
  until,
} from '../installation.fixture.test.ts';
import { reconcile } from '../reconcile.ts';
import { cancelDestruction, destructionTask, scheduleDestruction } from './destruction.ts';
import { findKey, updateKey } from './store.ts';

const shared = shareServer();
const roles = ['custodian', 'custodian', 'custodian', 'records-manager', 'records-manager'] as const;

/** Has people who may release a hold. */
async function release(arranged: Arranged, hold: string): Promise<void> {
  const [, , , manager] = arranged.people;
  assert.ok(manager);
  await approveAndRun(
    arranged,
    await askFor({ ...arranged, requester: manager }, 'holds.release', { hold, reason }),
  );
}

async function secretsOf({ instance }: TestServer, key: string): Promise<number[]> {
  const rows = await instance.database.read((tx) =>
    tx.selectFrom('key_version').select('wrapped_secret').where('key', '=', key).execute(),
  );
  return rows.map(({ wrapped_secret }) => wrapped_secret.length);
}

test('a key is destroyed when its waiting period is over, and not before, with an entry [URS-006] [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { key, tenant, requester } = arranged;
  const input = { key, waitingDays: 7, reason };
  await approveAndRun(arranged, await askFor(arranged, 'keys.schedule-destruction', input));
  const { destructionDueAt } = (await server.admit('keys.show', arranged.custodian, { key })).key;
  assert.ok(destructionDueAt);
  await assert.rejects(
    server.admit('keys.schedule-destruction', requester.session, { key, reason }),
    refusal('key.destruction_pending'),
  );
  await assert.rejects(
    server.admit('evidence.make', arranged.custodian, { kind: 'key.destruction', key }),
    refusal('evidence.not_destroyed'),
  );
  server.clock.time = destructionDueAt - 1;
  await server.runJobs();
  assert.equal(await keyState(arranged), 'destruction-pending');
  assert.ok((await secretsOf(server, key)).every((bytes) => bytes > 0));
  server.clock.time = destructionDueAt;
  await server.runJobs();
  assert.equal(await keyState(arranged), 'destroyed');
  assert.deepEqual(await secretsOf(server, key), [0]);
  const said = (await server.entries(tenant)).filter((entry) => entry['key'] === key).slice(-3);
  assert.deepEqual(
    said
      .filter(({ operation }) => operation !== 'keys.show')
      .map(({ operation, outcome, actor, state }) => [operation, outcome, actor, state]),
    [['keys.destroy', 'success', undefined, 'destroyed']],
  );
  await assert.rejects(
    server.admit('keys.cancel-destruction', arranged.custodian, { key, reason }),
    refusal('key.destruction_none'),
  );
  const made = await server.admit('evidence.make', arranged.custodian, { kind: 'key.destruction', key });
  assert.equal(made.kind, 'key.destruction');
});

test('while it waits nobody uses the key, and who still needs it learns the date; cancelled, it is as before [URS-006]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, key, ciphertext } = arranged;
  const recovery = await server.admit('credentials.issue', custodian, {
    name: 'recovery',
    role: 'data-recovery',
    expiresAt: server.clock.time + 90 * dayMs,
  });
  const read = { key, ciphertext, reason };
  await approveAndRun(arranged, await ask(arranged));
  const { destructionDueAt } = (await server.admit('keys.show', custodian, { key })).key;
  await assert.rejects(server.admit('keys.decrypt', recovery.secret, read), (error: Error) => {
    assert.match(error.message, new RegExp(new Date(destructionDueAt ?? 0).toISOString()));
    return refusal('key.destruction_pending')(error);
  });
  const cancelled = await server.admit('keys.cancel-destruction', custodian, { key, reason });
  assert.deepEqual([cancelled.state, cancelled.destructionDueAt], ['deactivated', null]);
  assert.equal((await server.admit('keys.decrypt', recovery.secret, read)).plaintext, plaintext);
  server.clock.time += 40 * dayMs;
  await server.runJobs();
  assert.equal(await keyState(arranged), 'deactivated');
});

test('a hold on the key, the tenant, or a study that it protected refuses its destruction; another does not [URS-006]', async () => {
  const server = await shared();
  const arranged = await arrange(server, roles);
  const { custodian, key, requester, system } = arranged;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'used' });
  const { id: unused } = await server.admit('studies.create', custodian, { protocol: 'unused' });
  const { alias: subject } = await server.admit('subjects.create', custodian, { study, number: '1' });
  const { id: used } = await server.admit('keys.create', custodian, { system });
  const service = await server.admit('credentials.issue', custodian, {
    name: 'other service',
    role: 'service',
    system,
    keys: [used],
  });
  await server.admit('keys.encrypt', service.secret, { key: used, plaintext, context: { study, subject } });
  await server.admit('keys.revoke', custodian, { key: used, cause: 'cessation', reason });
  const refused = (of: string) =>
    assert.rejects(
      server.admit('keys.schedule-destruction', requester.session, { key: of, reason }),
      refusal('hold.applies'),
    );
  const notRefused = (of: string) =>
    assert.rejects(
      server.admit('keys.schedule-destruction', requester.session, { key: of, reason }),
      refusal('approval.needed'),
    );
  for (const thing of [{ key: used }, { study }, { study, subject }, {}] as const) {
    const placed = await server.admit('holds.place', custodian, { ...thing, kind: 'legal', reason });
    await refused(used);
    if (placed.about === 'tenant') await refused(key);
    else await notRefused(key);
    await release(arranged, placed.id);
    await notRefused(used);
  }
  await server.admit('holds.place', custodian, { study: unused, kind: 'legal', reason });
  await notRefused(used);
});

test('a hold that was placed while the destruction waited calls it off, and says which [URS-006]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, key, tenant } = arranged;
  await approveAndRun(arranged, await ask(arranged));
  const { id: hold } = await server.admit('holds.place', custodian, { key, kind: 'legal', reason });
  server.clock.time += 31 * dayMs;
  await server.runJobs();
  assert.equal(await keyState(arranged), 'deactivated');
  assert.ok((await secretsOf(server, key)).every((bytes) => bytes > 0));
  const last = (await server.entries(tenant)).findLast(
    ({ operation }) => operation === 'keys.cancel-destruction',
  );
  assert.deepEqual([last?.['reason'], last?.['hold'], last?.['actor']], ['hold', hold, undefined]);
});

test('what was approved before a hold does not run against it [URS-006] [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian } = arranged;
  const approval = await ask(arranged);
  await approveByBoth(arranged, approval);
  await server.admit('holds.place', custodian, {
    kind: 'retention',
    until: server.clock.time + dayMs,
    reason,
  });
  await server.runJobs();
  const { approval: shown } = await server.admit('approvals.show', arranged.one.session, { approval });
  assert.deepEqual([shown.state, shown.failure], ['failed', 'hold.applies']);
  assert.equal(await keyState(arranged), 'deactivated');
  server.clock.time += dayMs;
  const later = await signInAgain(arranged);
  await approveAndRun(later, await ask(later));
  assert.equal(await keyState(later), 'destruction-pending');
});

test('a row that forgets its pending destruction, and a hold that is gone, are noticed at start [URS-006] [URS-080]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { custodian, key, tenant } = arranged;
  await approveAndRun(arranged, await ask(arranged));
  const { database, hierarchy } = server.instance;
  assert.deepEqual(await reconcile(server.instance), []);
  const rowKey = await hierarchy.rowKey(tenant);
  await database.write(async (tx) => {
    const row = (await findKey(tx, rowKey, tenant, key)) ?? assert.fail();
    await updateKey(tx, rowKey, { ...row, destruction_due_at: null });
  });
  assert.match((await reconcile(server.instance)).join(), /destruction of key/);
  await database.write((tx) => tx.updateTable('key').set({ destruction_due_at: 1 }).execute());
  await assert.rejects(server.admit('keys.show', custodian, { key }).then(() => reconcile(server.instance)));
});

test('a hold that somebody took out of the database is noticed at start [URS-006] [URS-080]', async (t) => {
  const server = await makeServer(t);
  const { custodian } = await arrange(server);
  await server.admit('holds.place', custodian, { kind: 'legal', reason });
  assert.deepEqual(await reconcile(server.instance), []);
  await server.instance.database.write((tx) => tx.deleteFrom('hold').execute());
  assert.match((await reconcile(server.instance)).join(), /is gone in the database and placed in the ledger/);
});

test('no sequence of asking, cancelling, holds and time destroys a key that is held, or before its date [URS-002] [URS-006]', async () => {
  const server = await shared();
  const action = fc.oneof(
    fc.constant('schedule' as const),
    fc.constant('cancel' as const),
    fc.constant('hold' as const),
    fc.integer({ min: 1, max: 20 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 6 }), async (actions) => {
      let arranged = await arrange(server);
      const { custodian, key } = arranged;
      const model = { dueAt: undefined as number | undefined, heldUntil: 0, destroyed: false };
      for (const step of actions) {
        if (step === 'schedule') {
          const isHeld = server.clock.time < model.heldUntil;
          const wanted = model.destroyed
            ? 'key.transition_undefined'
            : model.dueAt !== undefined
              ? 'key.destruction_pending'
              : isHeld
                ? 'hold.applies'
                : undefined;
          const input = { key, waitingDays: 7, reason };
          if (wanted === undefined) {
            await approveAndRun(arranged, await askFor(arranged, 'keys.schedule-destruction', input));
            const { destructionDueAt } = (await server.admit('keys.show', custodian, { key })).key;
            assert.ok(destructionDueAt && destructionDueAt >= server.clock.time + 6 * dayMs);
            model.dueAt = destructionDueAt;
          } else {
            const asked = server.admit('keys.schedule-destruction', arranged.requester.session, input);
            await assert.rejects(asked, refusal(wanted));
          }
        } else if (step === 'cancel') {
          const cancelled = server.admit('keys.cancel-destruction', custodian, { key, reason });
          if (model.dueAt === undefined) await assert.rejects(cancelled, refusal('key.destruction_none'));
          else await cancelled;
          model.dueAt = undefined;
        } else if (step === 'hold') {
          const placed = server.admit('holds.place', custodian, {
            key,
            kind: 'retention',
            until: server.clock.time + 10 * dayMs,
            reason,
          });
          if (model.destroyed) await assert.rejects(placed, refusal('key.unusable'));
          else model.heldUntil = Math.max(model.heldUntil, (await placed).until ?? 0);
        } else {
          server.clock.time += step * dayMs;
          await server.runJobs();
          arranged = await signInAgain(arranged);
          if (model.dueAt !== undefined && server.clock.time >= model.dueAt) {
            model.destroyed = server.clock.time >= model.heldUntil;
            model.dueAt = undefined;
          }
        }
        const expected = model.destroyed
          ? 'destroyed'
          : model.dueAt === undefined
            ? 'deactivated'
            : 'destruction-pending';
        assert.equal(await keyState(arranged), expected);
      }
    }),
    { numRuns: 5 },
  );
});

for (const store of stores) {
  test(
    `${store.name}: two nodes race over keys that are due, one of them after a restart, and each is destroyed once [URS-006]`,
    { skip: store.skip },
    async (t) => {
      const installation = await makeInstallation(t, store);
      const first = await openNode(t, installation);
      const { tenant, createKey, admit } = await makeTenant(first, installation.administrator);
      const keys = await Promise.all(Array.from({ length: 12 }, () => createKey()));
      const rowKey = await first.instance.hierarchy.rowKey(tenant);
      for (const key of keys) await admit('keys.revoke', { key, cause: 'cessation', reason });
      const { database } = first.instance;
      const [spared] = keys;
      await database.write(async (tx) => {
        for (const key of keys) {
          const row = (await findKey(tx, rowKey, tenant, key)) ?? assert.fail();
          await updateKey(tx, rowKey, { ...row, destruction_due_at: 1 });
          await scheduleDestruction(tx, key, tenant, 1);
        }
        // Called off behind the back of its job, which then means another date.
        const row = (await findKey(tx, rowKey, tenant, spared ?? '')) ?? assert.fail();
        await updateKey(tx, rowKey, { ...row, destruction_due_at: 2 });
      });
      const second = await openSecond(t, installation, first);
      for (const node of [first, second]) {
        const handler = node.rooms.handlers[destructionTask] ?? assert.fail();
        await node.rooms.jobs.start({ [destructionTask]: handler });
      }
      const left = () =>
        database.read((tx) =>
          tx.selectFrom('job').select('name').where('task', '=', destructionTask).execute(),
        );
      await until(async () => (await left()).length === 0);
      const entries = (await entriesOf(first.instance, tenant)).filter(
        ({ operation }) => operation === 'keys.destroy',
      );
      assert.deepEqual(new Set(entries.map(({ key }) => key)), new Set(keys.filter((key) => key !== spared)));
      assert.equal(entries.length, keys.length - 1, 'each once');
      await database.write((tx) => cancelDestruction(tx, spared ?? ''));
      assert.deepEqual([first.notes, second.notes], [[], []]);
    },
  );
}
