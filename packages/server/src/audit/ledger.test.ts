import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { parseTilePath, verifyLog } from '@trialkeep/ledger';
import type { LogSource } from '@trialkeep/ledger';
import { postgres, sqlite, testOnStores } from '../platform/fixture.test.ts';
import type { Store } from '../platform/fixture.test.ts';
import { OperationError } from '../platform/errors.ts';
import type { Context } from '../platform/implementation.ts';
import { JobRunner, JobTaken } from '../platform/jobs/index.ts';
import type { Job } from '../platform/jobs/index.ts';
import { checkpointHandler, checkpointTask } from './checkpoint-job.ts';
import {
  anchorFile,
  append,
  checkpoints,
  clock,
  entriesOf,
  makeScene,
  makeTenant,
  naiveRoot,
  origin,
  sha256,
  sizeOf,
} from '../ledger.fixture.test.ts';
import type { Node } from '../ledger.fixture.test.ts';
import { Ledger } from './ledger.ts';
import { questionImplementations } from '../questions/index.ts';
import { ledgerImplementations } from './operations.ts';
import { logVerifier } from './log-keys/keys.ts';

/** What a client reads of the instance's log, from the node that answers. */
function sourceOf({ database, hierarchy, ledger }: Node, checkpoint: Uint8Array): LogSource {
  const { 'ledger.tile': tile } = ledgerImplementations({
    database,
    hierarchy,
    ledger,
    wake: () => undefined,
  });
  return {
    read: async (path) => {
      if (path === 'checkpoint') return checkpoint;
      parseTilePath(path);
      const input = { path: path.replace(/^tile\//, '') };
      try {
        const context = { input, caller: { log: ledger.instanceLog } };
        return await tile(context as unknown as Context<'ledger.tile'>);
      } catch (error) {
        if (error instanceof OperationError && error.code === 'tile.unknown') return undefined;
        throw error;
      }
    },
  };
}

async function verify(node: Node, checkpoint: Uint8Array, kept?: Uint8Array) {
  const { verifierKey } = node.ledger.instanceLog;
  return verifyLog({
    sha256,
    verifiers: [logVerifier(verifierKey)],
    source: sourceOf(node, checkpoint),
    ...(kept && { kept }),
  });
}

/** The anchor's file for the origin of a log. */
const fileOf = (node: Node, name: string): string =>
  join(node.anchor, `${sha256(Buffer.from(name)).toString('hex').slice(0, 32)}.checkpoint`);

/** A scene with two nodes that each have an anchor of the instance's log. */
async function startTwo(t: TestContext, under: Store) {
  const scene = await makeScene(t, under);
  const one = await scene.start();
  const other = await startOther(scene);
  return { scene, one, other };
}

async function startOther(scene: Awaited<ReturnType<typeof makeScene>>): Promise<Node> {
  const other = await scene.start('other');
  await other.ledger.poll();
  return other;
}

testOnStores(
  'nodes that integrate one log at once end with one tree, and its verifier agrees [URS-033]',
  async (t, under) => {
    const { one, other } = await startTwo(t, under);
    const first = await one.ledger.anchorNow(one.ledger.instanceLog.id);
    const integrating = async ({ ledger }: Node): Promise<void> => {
      for (let i = 0; i < 15; i++) await ledger.instanceLog.integrate();
    };
    await Promise.all([append(one, 900), append(other, 900), integrating(one), integrating(other)]);
    // More than one step of integration at once.
    await append(one, 1500);
    await Promise.all([one, other].map(({ ledger }) => ledger.instanceLog.integrate()));
    const entries = await entriesOf(one.database, one.ledger.instanceLog.id);
    assert.equal(entries.length, 3301);
    const notes = await Promise.all(
      [one, other].map(({ ledger }) => ledger.anchorNow(ledger.instanceLog.id)),
    );
    assert.deepEqual(Buffer.from(notes[0] ?? []), Buffer.from(notes[1] ?? []));
    const result = await verify(other, notes[0] ?? assert.fail(), first);
    assert.deepEqual([result.verdict, result.size], ['verified', 3301]);
    assert.deepEqual(Buffer.from(result.root ?? []), naiveRoot(entries));
  },
);

testOnStores(
  'a checkpoint of one node is verified with the tiles of another, and questions see every entry [URS-032] [URS-033]',
  async (t, under) => {
    const { one, other } = await startTwo(t, under);
    for (const count of [3, 300]) {
      await append(one, count);
      const note = await one.ledger.anchorNow(one.ledger.instanceLog.id);
      assert.ok(other.ledger.instanceLog.size < one.ledger.instanceLog.size);
      assert.equal((await verify(other, note)).verdict, 'consistent');
    }
    await append(one, 5);
    const implementations = {
      ...ledgerImplementations({ ...other, wake: () => undefined }),
      ...questionImplementations(other),
    };
    const caller = { log: other.ledger.instanceLog };
    const question = { input: { operation: 'test.entry', limit: 1000 }, caller, record: {}, now: 0 };
    const answer = await implementations['ledger.query'](question as unknown as Context<'ledger.query'>);
    assert.deepEqual([answer.entries.length, answer.size, answer.next], [308, 309, null]);
    const { entry } = JSON.parse(answer.entries.at(-1)?.entry ?? '') as { entry: string };
    const shown = { input: { entry }, caller } as unknown as Context<'ledger.payload'>;
    assert.deepEqual((await implementations['ledger.payload'](shown)).payload, {});
  },
);

testOnStores(
  'what a process left undone between any two steps of a checkpoint is done by the next [URS-032] [URS-033]',
  async (t, under) => {
    const scene = await makeScene(t, under);
    for (const outcome of ['lost', 'unconfirmed'] as const) {
      // The tree, and then the checkpoint, are the two writes.
      for (const broken of [1, 2]) {
        const node = await scene.start();
        await append(node, 7);
        let writes = 0;
        const write: Node['database']['write'] = async (work) => {
          if (++writes !== broken) return node.database.write(work);
          if (outcome === 'unconfirmed') await node.database.write(work);
          throw new Error('The process has ended.');
        };
        const database = { ...node.database, write };
        const parts = { database, hierarchy: node.hierarchy, clock, anchorFolder: node.anchor };
        const ledger = new Ledger({ ...parts, notes: { warn: () => undefined } });
        await ledger.refresh();
        await assert.rejects(ledger.anchorNow(ledger.instanceLog.id), /has ended/);
        // The same process goes on where it did not end, and another one where it did.
        const { size } = await sizeOf(node);
        if (outcome === 'unconfirmed') await ledger.anchorNow(ledger.instanceLog.id);
        const next = await scene.start();
        assert.deepEqual(next.reasons, []);
        const note = await next.ledger.anchorNow(next.ledger.instanceLog.id);
        assert.deepEqual(
          [(await verify(next, note)).verdict, next.ledger.instanceLog.size],
          ['consistent', size],
        );
      }
    }
  },
);

testOnStores(
  'a log that has grown gets one job, whichever nodes notice it, and one checkpoint [URS-033]',
  async (t, under) => {
    const { one, other } = await startTwo(t, under);
    const nodes = [one, other];
    const jobs = async () => {
      const rows = await one.database.read((snapshot) => snapshot.selectFrom('job').select('name').execute());
      return rows.map(({ name: job }) => job);
    };
    await one.ledger.poll();
    assert.deepEqual(await jobs(), [], 'nothing has grown');
    await append(one, 3);
    await Promise.all(nodes.map(({ ledger }) => ledger.poll()));
    await one.ledger.poll();
    const { id } = one.ledger.instanceLog;
    assert.deepEqual(await jobs(), [`${checkpointTask}/${id}`]);

    const runners = nodes.map(({ database }) => {
      const timing = { pollMs: 5, backoffMs: 1, maxBackoffMs: 1 };
      const notes = { warn: (details: object) => assert.fail(JSON.stringify(details)) };
      return new JobRunner({ database, clock: { now: () => Date.now() }, notes, timing });
    });
    for (const [i, runner] of runners.entries()) {
      await runner.start({ [checkpointTask]: checkpointHandler((nodes[i] ?? one).ledger) });
    }
    try {
      while ((await jobs()).length > 0) await setTimeout(5);
      assert.deepEqual(await checkpoints(one), [1, 4]);
      await Promise.all([append(one, 50), append(other, 50)]);
      while ((await checkpoints(one)).at(-1) !== 104) {
        await Promise.all(nodes.map(({ ledger }) => ledger.poll()));
        await setTimeout(5);
      }
    } finally {
      await Promise.all(runners.map((runner) => runner.stop()));
    }
    for (const node of nodes) {
      await node.ledger.poll();
      assert.match(readFileSync(anchorFile(node.anchor), 'utf8'), /\n104\n/);
    }
    assert.deepEqual(await jobs(), []);
  },
);

testOnStores('a checkpoint is stored with the end of its job, or not at all [URS-033]', async (t, under) => {
  const node = await (await makeScene(t, under)).start();
  await append(node, 3);
  const run = (complete: Job['complete']) => {
    const job = { name: '', input: { log: node.ledger.instanceLog.id }, attempts: 1, beganAt: 0 };
    return checkpointHandler(node.ledger)({ ...job, complete, reschedule: () => assert.fail() });
  };
  await assert.rejects(
    run(async () => {
      throw new JobTaken('taken');
    }),
    JobTaken,
  );
  assert.deepEqual(await checkpoints(node), [1]);
  let completed = 0;
  const complete = async (): Promise<void> => void completed++;
  await run(complete);
  assert.deepEqual([await checkpoints(node), completed], [[1, 4], 1]);
  // Delivered again: another run has stored it already.
  await run(complete);
  assert.deepEqual([await checkpoints(node), completed], [[1, 4], 2]);
});

testOnStores(
  'every node keeps the newest checkpoint, whichever node has signed it [URS-080]',
  async (t, under) => {
    const { one, other } = await startTwo(t, under);
    await append(one, 3);
    const note = Buffer.from(await one.ledger.anchorNow(one.ledger.instanceLog.id));
    assert.match(readFileSync(anchorFile(other.anchor), 'utf8'), /\n1\n/);
    await other.ledger.poll();
    assert.deepEqual(readFileSync(anchorFile(other.anchor)), note);

    await append(one, 1);
    const newer = Buffer.from(await one.ledger.anchorNow(one.ledger.instanceLog.id));
    assert.deepEqual(Buffer.from(await other.ledger.anchorNow(other.ledger.instanceLog.id)), newer);
    assert.deepEqual(readFileSync(anchorFile(other.anchor)), newer, 'also where nothing has to be signed');
  },
);

testOnStores(
  'a stored checkpoint that this log has not signed is not kept [URS-008] [URS-080]',
  async (t, under) => {
    const { one, other } = await startTwo(t, under);
    const forged = await (await makeScene(t, under)).start();
    await append(forged, 2);
    await append(one, 2);
    await other.ledger.instanceLog.integrate();
    const note = Buffer.from(await forged.ledger.anchorNow(forged.ledger.instanceLog.id)).toString('utf8');
    const row = { log: one.ledger.instanceLog.id, size: 3, note, created_at: 0 };
    await one.database.write((tx) => tx.insertInto('ledger_checkpoint').values(row).execute());
    const before = readFileSync(anchorFile(other.anchor), 'utf8');
    await assert.rejects(other.ledger.instanceLog.follow(), { code: 'database.altered' });
    await assert.rejects(other.ledger.anchorNow(row.log), { code: 'database.altered' });
    assert.equal(readFileSync(anchorFile(other.anchor), 'utf8'), before);
  },
);

/** Appends an entry to the instance's log whose time is not that of the entry before. */
async function appendLater(node: Node): Promise<void> {
  const { id } = node.ledger.instanceLog;
  await node.database.write((tx) =>
    tx
      .updateTable('head')
      .set((eb) => ({ time: eb('time', '+', 10_000) }))
      .where('log', '=', id)
      .execute(),
  );
  await append(node, 1);
}

testOnStores('a log that another node has made is opened on demand, once [URS-032]', async (t, under) => {
  const { one, other } = await startTwo(t, under);
  const { log, tenant, opened } = await makeTenant(one);
  assert.throws(() => other.ledger.log(log), /not open/);
  assert.equal(other.ledger.logOfTenant(tenant), undefined);
  await opened();
  const found = await Promise.all([
    other.ledger.open(log),
    other.ledger.open(log),
    other.ledger.openOfTenant(tenant),
  ]);
  assert.equal(new Set([...found, other.ledger.log(log)]).size, 1);
  await append(other, 2, log);
  assert.deepEqual(
    Buffer.from(await other.ledger.anchorNow(log)),
    Buffer.from(await one.ledger.anchorNow(log)),
  );
  await assert.rejects(other.ledger.open(999), /no log 999/);
  assert.equal(await other.ledger.openOfTenant('nobody'), undefined);
  assert.deepEqual(
    [one, other].map(({ ledger }) => ledger.logs.length),
    [2, 2],
  );
});

testOnStores(
  'a tenant that was made while a node was away needs no anchor there, and gets one [URS-080]',
  async (t, under) => {
    const { scene, one, other } = await startTwo(t, under);
    const { log, tenant, opened } = await makeTenant(one);
    await opened();
    await appendLater(one);
    await one.ledger.anchorNow(one.ledger.instanceLog.id);
    const again = await scene.start('other');
    assert.deepEqual(again.reasons, []);
    await again.ledger.poll();
    const file = fileOf(again, `${origin}/${tenant}`);
    assert.equal(existsSync(file), true);
    assert.equal(again.ledger.log(log).anchor.size, 1);
    assert.deepEqual((await scene.start('other')).reasons, []);
    rmSync(file);
    assert.match(
      (await scene.start('other')).reasons.join(),
      new RegExp(`anchor of log .*${tenant} is gone`),
    );
    assert.equal(other.rolledBack.length, 0);
  },
  // Only there can another node have made it.
  [postgres],
);

testOnStores(
  "whatever the instance's log has recorded, the tenants from before are anchored first [URS-080]",
  async (t, under) => {
    const { scene, one, other } = await startTwo(t, under);
    // The node that makes the tenant ends before it has signed anything.
    const { tenant } = await makeTenant(one);
    await appendLater(one);
    await other.ledger.anchorNow(other.ledger.instanceLog.id);
    assert.equal(readdirSync(other.anchor).length, 2);
    assert.deepEqual((await scene.start('other')).reasons, []);
    rmSync(fileOf(other, `${origin}/${tenant}`));
    assert.match((await scene.start('other')).reasons.join(), /is gone/);
    assert.deepEqual((await scene.start()).reasons, [], 'the other node has no newer anchor of the instance');
  },
  // Only there can another node have made it.
  [postgres],
);

testOnStores(
  'where no other node is, the anchor of the newest tenant cannot be taken away unnoticed either [URS-080]',
  async (t, under) => {
    const scene = await makeScene(t, under);
    const one = await scene.start();
    const { tenant, opened } = await makeTenant(one);
    await opened();
    await one.ledger.anchorNow(one.ledger.instanceLog.id);
    assert.deepEqual((await scene.start()).reasons, []);
    rmSync(fileOf(one, `${origin}/${tenant}`));
    assert.match((await scene.start()).reasons.join(), new RegExp(`anchor of log .*${tenant} is gone`));
  },
  [sqlite],
);

testOnStores('a node without any anchor does not start [URS-080]', async (t, under) => {
  const { scene } = await startTwo(t, under);
  assert.match((await scene.start('third')).reasons.join(), /is gone/);
});
