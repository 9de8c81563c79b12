import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { changeOwn, sealDraft } from '../audit/index.ts';
import {
  entriesOf,
  makeInstallation,
  makeTenant,
  openNode,
  stores,
  until,
} from '../installation.fixture.test.ts';
import type { Store } from '../installation.fixture.test.ts';
import { systemClock } from '../platform/clock.ts';
import { JobRunner } from '../platform/jobs/index.ts';
import type { JobInput } from '../platform/jobs/index.ts';
import { shredRemoval } from '../erasure/index.ts';
import { Effects, beginEffect } from './index.ts';
import type { EffectOutcome } from './index.ts';

const done: EffectOutcome = { outcome: 'success', recorded: { reason: 'done' }, payload: {} };
const timing = { pollMs: 10, backoffMs: 5, maxBackoffMs: 10 };

/** A tenant whose changes mean effects of one kind; `act` does them. */
async function makeScene(t: TestContext, store: Store, act: (input: JobInput) => Promise<EffectOutcome>) {
  const installation = await makeInstallation(t, store);
  const node = await openNode(t, installation);
  const { tenant } = await makeTenant(node, installation.administrator);
  const { database, hierarchy, ledger } = node.instance;
  const { facts } = node.rooms;
  const log = await ledger.openOfTenant(tenant);
  assert.ok(log);
  const rowKey = await hierarchy.rowKey(tenant);
  const effects = new Effects({
    database,
    hierarchy,
    ledger,
    facts,
    kinds: { 'test.act': { operation: 'test.outcome', act } },
  });
  const notes: object[] = [];
  const runner = new JobRunner({
    database,
    clock: systemClock,
    notes: { warn: (details) => void notes.push(details) },
    timing,
  });
  /** A change that means the effect, and may throw after it. */
  const mean = (input: JobInput, then?: Error): Promise<string> =>
    changeOwn(ledger, facts, log.id, async (tx, time) => {
      const id = await beginEffect(tx, { rowKey, log: log.id, kind: 'test.act', input, time });
      if (then !== undefined) throw then;
      const draft = { operation: 'test.intent', outcome: 'success', recorded: {} } as const;
      return { result: id, draft: sealDraft(draft, log.origin, {}, log.payloadKey) };
    });
  const work = async (): Promise<void> => {
    await effects.recover();
    await runner.start(effects.handlers());
  };
  /** What was meant and is not done yet, with its kind and what its job says. */
  const open = () =>
    database.read(async (snapshot) => {
      const meant = snapshot.selectFrom('effect').select(['id', 'kind']).where('state', '=', 'intended');
      const jobs = await snapshot.selectFrom('job').select(['name', 'attempts', 'failure']).execute();
      return (await meant.execute()).map(({ id, kind }) => {
        const job = jobs.find(({ name }) => name === `effects.settle/${id}`);
        return { kind, attempts: job?.attempts, failure: job?.failure };
      });
    });
  const settled = async (): Promise<void> => {
    await until(async () => (await open()).length === 0);
    await runner.stop();
  };
  const entries = async () =>
    (await entriesOf(node.instance, tenant))
      .filter(({ operation }) => String(operation).startsWith('test.'))
      .map(({ operation, outcome, code, reason }) => [operation, outcome, code, reason]);
  t.after(() => runner.stop());
  return { node, tenant, database, open, runner, notes, mean, work, settled, entries };
}

const intent = ['test.intent', 'success', undefined, undefined];
const outcome = ['test.outcome', 'success', undefined, 'done'];

for (const store of stores) {
  const { name, skip } = store;

  test(
    `${name}: an act that fails stays open and visible until it is done [URS-032]`,
    { skip },
    async (t) => {
      const inputs: JobInput[] = [];
      const seen: unknown[] = [];
      const scene = await makeScene(t, store, async (input) => {
        inputs.push(input);
        seen.push((await scene.open()).map(({ kind, attempts, failure }) => [kind, attempts, failure]));
        if (inputs.length < 3) throw Object.assign(new Error('Out of reach.'), { code: 'test.away' });
        return done;
      });
      const id = await scene.mean({ number: 7 });
      assert.deepEqual(await scene.entries(), [intent]);
      await scene.work();
      await scene.settled();
      assert.deepEqual(inputs, [{ number: 7 }, { number: 7 }, { number: 7 }]);
      assert.deepEqual(seen, [
        [['test.act', 1, null]],
        [['test.act', 2, 'test.away']],
        [['test.act', 3, 'test.away']],
      ]);
      assert.deepEqual(await scene.entries(), [intent, outcome]);
      assert.equal(JSON.stringify(scene.notes).split(id).length - 1, 2, 'Each failure names the effect.');
    },
  );

  test(`${name}: an act that cannot be done ends with an entry that says so`, { skip }, async (t) => {
    const refused = { ...done, outcome: 'failed', code: 'server.internal' } as const;
    const scene = await makeScene(t, store, async () => refused);
    await scene.mean({});
    await scene.work();
    await scene.settled();
    assert.deepEqual(await scene.entries(), [intent, ['test.outcome', 'failed', 'server.internal', 'done']]);
  });

  test(`${name}: what a change that is rolled back meant is not done`, { skip }, async (t) => {
    const inputs: JobInput[] = [];
    const scene = await makeScene(t, store, async (input) => {
      inputs.push(input);
      return done;
    });
    await assert.rejects(scene.mean({ number: 1 }, new Error('No.')), /No/);
    await scene.mean({ number: 2 });
    await scene.work();
    await scene.settled();
    assert.deepEqual([inputs, await scene.entries()], [[{ number: 2 }], [intent, outcome]]);
  });

  test(
    `${name}: an effect that lost its job gets one at the start, and one too many does nothing`,
    { skip },
    async (t) => {
      let acts = 0;
      const scene = await makeScene(t, store, async () => {
        acts++;
        return done;
      });
      await scene.mean({});
      const { database } = scene;
      const jobs = () =>
        database.read((tx) =>
          tx.selectFrom('job').selectAll().where('name', 'like', 'effects.settle/%').execute(),
        );
      const [job] = await jobs();
      assert.ok(job);
      await database.write((tx) => tx.deleteFrom('job').execute());
      await scene.work();
      await until(async () => (await scene.open()).length === 0);
      // As a start does that looks for lost jobs while another node settles the effect.
      await database.write((tx) => tx.insertInto('job').values(job).execute());
      await until(async () => (await jobs()).length === 0);
      await scene.settled();
      assert.deepEqual([acts, await scene.entries()], [1, [intent, outcome]]);
    },
  );

  test(`${name}: an effect that somebody wrote into the database is not done`, { skip }, async (t) => {
    const scene = await makeScene(t, store, () => assert.fail('It acted.'));
    await scene.mean({ number: 1 });
    await scene.database.write((tx) => tx.updateTable('effect').set({ input: '{"number":2}' }).execute());
    await scene.work();
    await until(async () => (await scene.open())[0]?.failure === 'database.altered');
    await scene.runner.stop();
    assert.deepEqual(await scene.entries(), [intent]);
  });

  test(
    `${name}: removing a subject's key forgets it everywhere here, and no other key, however often [URS-037]`,
    { skip },
    async (t) => {
      const { node, tenant } = await makeScene(t, store, async () => done);
      const { hierarchy, shred } = node.instance;
      const [subject, other] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
      for (const id of [subject, other]) await hierarchy.createShreddable(tenant, 'subject', id);
      const known = async (id: string) => (await hierarchy.shreddable(tenant, 'subject', id)) !== undefined;
      assert.deepEqual([await known(subject), await known(other)], [true, true]);
      const removal = shredRemoval({ shred, forget: (owner) => hierarchy.releaseTenant(owner) });
      await removal.act({ tenant: 'another tenant', study: 'study', subject });
      assert.deepEqual([await known(subject), await known(other)], [true, true]);
      for (let times = 0; times < 2; times++) {
        const { alongside, ...said } = await removal.act({ tenant, study: 'study', subject });
        assert.ok(alongside);
        assert.deepEqual(said, {
          outcome: 'success',
          recorded: { study: 'study', subject, state: 'erasing' },
          payload: { epoch: 1 },
        });
        assert.deepEqual([await known(subject), await known(other)], [false, true]);
      }
    },
  );
}
