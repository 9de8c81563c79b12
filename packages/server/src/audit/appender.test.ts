import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { postgres, testOnStores } from '../platform/fixture.test.ts';
import type { Store } from '../platform/fixture.test.ts';
import { DatabaseError } from '../platform/database-error.ts';
import type { Database } from '../platform/database.ts';
import { Appender, stale } from './appender.ts';
import type { Appended } from './appender.ts';
import { entryBytes, parseEntry, sealDraft } from './entry.ts';
import { RollbackWatch } from './rollback.ts';
import * as store from './store.ts';

const key = {
  key: createSecretKey(randomBytes(32)),
  keyVersionId: randomBytes(16),
  tenantId: randomBytes(16),
  keyId: randomBytes(16),
};

async function makeEmptyLog(database: Database): Promise<{ log: number }> {
  const none = new Uint8Array(1);
  const log = { payload_key_version: '', wrapped_payload_key: none, tenant: null, origin: 'log' };
  const start = { size: 0, time: 0, root: new Uint8Array(32) };
  const row = await database.write((tx) => store.insertLog(tx, log, start));
  return { log: row.id };
}

/** A database with one empty log; `appender` gives that of another node. */
async function makeLog(t: TestContext, under: Store) {
  const open = await under.make(t);
  const database = await open();
  const { log } = await makeEmptyLog(database);
  const rolledBack: string[] = [];
  const watch = () => new RollbackWatch((reason) => rolledBack.push(reason));
  const appender = async () => new Appender(await open(), { now: () => 1000 }, watch());
  return { database, log, appender, rolledBack };
}

function draft(operation: string) {
  return sealDraft({ operation, outcome: 'success', recorded: {} }, 'log', {}, key);
}

async function bytesOf(database: Database, log: number) {
  return database.read((snapshot) => store.readEntries(snapshot, log, 0, 100_000));
}

async function entries(database: Database, log: number) {
  return (await bytesOf(database, log)).map(parseEntry);
}

/** Sets the head behind the appenders. */
async function setHead(database: Database, head: { size?: number; time?: number; epoch?: number }) {
  await database.write((tx) => tx.updateTable('head').set(head).execute());
}

const isAppended = (outcome: Appended | typeof stale): Appended => {
  if (outcome === stale) assert.fail('The epoch has moved on.');
  return outcome;
};

testOnStores(
  'entries of one group are durable in the order in which they were handed in [URS-032]',
  async (t, under) => {
    const { database, log, appender: makeAppender } = await makeLog(t, under);
    const appender = await makeAppender();
    const names = Array.from({ length: 1500 }, (_, i) => `test.n${i}`);
    const outcomes = await Promise.all(names.map((name) => appender.append(log, 1, draft(name))));
    assert.deepEqual(
      outcomes.map((outcome) => (outcome as Appended).position),
      names.map((_, i) => i),
    );
    assert.deepEqual(
      (await entries(database, log)).map(({ operation }) => operation),
      names,
    );
  },
);

testOnStores(
  'after a change nothing is appended under the facts from before it [URS-004]',
  async (t, under) => {
    const { database, log, appender: makeAppender } = await makeLog(t, under);
    const appender = await makeAppender();
    const change = appender.change(log, 1, async () => ({ result: 'done', draft: draft('test.revoke') }));
    const uses = Array.from({ length: 20 }, () => appender.append(log, 1, draft('test.use')));
    assert.equal(await change, 'done');
    const late = await appender.append(log, 1, draft('test.late'));
    assert.equal(late, stale);
    assert.equal(await appender.change(log, 1, () => assert.fail('It ran under old facts.')), stale);
    await Promise.all(uses);
    const written = (await entries(database, log)).map(({ operation }) => operation);
    assert.equal(written.lastIndexOf('test.use') < written.indexOf('test.revoke'), true);
  },
);

testOnStores(
  'a change has as many entries as it says, one behind the other, and can leave the epoch [URS-032] [URS-046]',
  async (t, under) => {
    const { database, log, appender: makeAppender } = await makeLog(t, under);
    const appender = await makeAppender();
    const further = Array.from({ length: 300 }, (_, i) => draft(`test.n${i}`));
    const work = async () => ({ result: 'done', draft: draft('test.first'), further });
    const uses = Array.from({ length: 20 }, () => appender.append(log, 1, draft('test.use')));
    assert.equal(await appender.change(log, 1, work, { keepsEpoch: true }), 'done');
    for (const use of await Promise.all(uses)) isAppended(use);
    const last = isAppended(await appender.append(log, 1, draft('test.last')));
    const written = (await entries(database, log)).map(({ operation }) => operation);
    assert.deepEqual([written.length, written[last.position]], [322, 'test.last']);
    const first = written.indexOf('test.first');
    assert.deepEqual(
      written.slice(first + 1, first + 301),
      further.map(({ operation }) => operation),
    );
  },
);

testOnStores(
  'a change that throws leaves neither rows nor an entry [URS-032] [URS-046]',
  async (t, under) => {
    const { database, log, appender: makeAppender } = await makeLog(t, under);
    const appender = await makeAppender();
    const change = appender.change(log, 1, async (tx) => {
      await tx.updateTable('log').set({ payload_key_version: 'half done' }).execute();
      throw new Error('No.');
    });
    await assert.rejects(change, /No/);
    const row = await database.read((snapshot) => store.findLog(snapshot, log));
    assert.equal(row?.payload_key_version, '');
    assert.deepEqual(await entries(database, log), []);
  },
);

testOnStores(
  'when the database fails every caller of the group learns it, and nothing is released [URS-046]',
  async (t, under) => {
    const { database, log, appender: makeAppender } = await makeLog(t, under);
    const appender = await makeAppender();
    await database.write(async (tx) => {
      await tx.schema.dropTable('ledger_payload').execute();
    });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => appender.append(log, 1, draft('test.use'))),
    );
    for (const outcome of outcomes) {
      assert.equal(outcome.status, 'rejected');
      assert.equal((outcome.reason as { code: string }).code, 'server.storage_failed');
    }
    assert.deepEqual(await entries(database, log), []);
  },
);

testOnStores('more callers than may wait are told to try again [URS-046]', async (t, under) => {
  const { database, log, appender: makeAppender } = await makeLog(t, under);
  const appender = await makeAppender();
  const sealed = draft('test.use');
  const outcomes = await Promise.allSettled(
    Array.from({ length: 4100 }, () => appender.append(log, 1, sealed)),
  );
  const busy = outcomes.filter((outcome) => outcome.status === 'rejected');
  assert.equal(busy.length, 4);
  assert.equal((await entries(database, log)).length, 4096);
});

testOnStores(
  'a result is discarded whether or not its entry was committed, and the next append goes on [URS-032] [URS-046]',
  async (t, under) => {
    const { database, log } = await makeLog(t, under);
    const failures = [
      { sqlState: '55P03', committed: false, code: 'server.busy' },
      { sqlState: '08006', committed: false, code: 'server.storage_failed' },
      { sqlState: '08007', committed: true, code: 'server.storage_failed' },
    ];
    let written = 0;
    for (const { sqlState, committed, code } of failures) {
      let failing = true;
      const broken =
        (run: Database['write']): Database['write'] =>
        async (work) => {
          if (failing && !committed) throw new DatabaseError('No.', sqlState);
          const result = await run(work);
          if (failing) throw new DatabaseError('No.', sqlState);
          return result;
        };
      const { write, single } = database;
      const faulty = { ...database, write: broken(write), single: broken(single) };
      const appender = new Appender(faulty, { now: () => 1000 }, new RollbackWatch());
      const uses = [draft('test.a'), draft('test.b')].map((sealed) => appender.append(log, 1, sealed));
      for (const use of uses) await assert.rejects(use, { code });
      failing = false;
      written += committed ? 2 : 0;
      assert.equal(isAppended(await appender.append(log, 1, draft('test.c'))).position, written++);
    }
    assert.equal((await entries(database, log)).length, written);
  },
);

/** A time beyond every clock's: entries get it once the head has it, whichever clock the store goes by. */
const later = 9_000_000_000_000;
const window = (from: number, until: number) => [{ from, until, refusal: 'key.unusable' as const }];

testOnStores(
  'the time of the flush decides whether an authorisation still holds [URS-002] [URS-004]',
  async (t, under) => {
    const { database, log, appender: makeAppender } = await makeLog(t, under);
    const appender = await makeAppender();
    await setHead(database, { time: later });
    const windows = [
      [],
      window(0, later),
      window(0, later + 1),
      window(later, later + 1),
      window(later + 1, later + 2),
      [...window(0, later + 9), ...window(later + 1, later + 9)],
    ];
    const flush = () =>
      Promise.all(windows.map((validity, i) => appender.append(log, 1, draft(`test.n${i}`), validity)));
    const expected = [undefined, 'key.unusable', undefined, undefined, 'key.unusable', 'key.unusable'];
    for (const outcomes of [await flush(), await flush()]) {
      assert.deepEqual(
        outcomes.map((outcome) => [isAppended(outcome).denied, isAppended(outcome).time]),
        expected.map((denied) => [denied, later]),
      );
    }
    assert.deepEqual(
      (await entries(database, log)).map(({ operation, outcome, code, time }) => [
        operation,
        outcome,
        code,
        time,
      ]),
      [...expected, ...expected].map((denied, i) => [
        `test.n${i % windows.length}`,
        denied === undefined ? 'success' : 'refused',
        denied,
        later,
      ]),
    );
  },
);

testOnStores(
  'a group whose windows have no time in common is decided one by one [URS-002]',
  async (t, under) => {
    const { database, log, appender: makeAppender } = await makeLog(t, under);
    const appender = await makeAppender();
    await setHead(database, { time: later });
    const outcomes = await Promise.all([
      appender.append(log, 1, draft('test.early'), window(0, later - 5)),
      appender.append(log, 1, draft('test.late'), window(later, later + 5)),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => isAppended(outcome).denied),
      ['key.unusable', undefined],
    );
  },
);

testOnStores(
  'the time of the ledger never goes back, whatever the clock does [URS-032]',
  async (t, under) => {
    const { database, log, appender: makeAppender } = await makeLog(t, under);
    const appender = await makeAppender();
    await appender.append(log, 1, draft('test.a'));
    const [first] = await entries(database, log);
    assert.ok(first !== undefined && first.time > 0);
    await setHead(database, { time: later });
    assert.equal(isAppended(await appender.append(log, 1, draft('test.b'))).time, later);
    await appender.change(log, 1, async (_, time) => ({
      result: assert.equal(time, later),
      draft: draft('test.c'),
    }));
    assert.equal(isAppended(await appender.append(log, 2, draft('test.d'))).time, later);
  },
);

testOnStores('an entry has the same bytes whichever way it is appended [URS-032]', async (t, under) => {
  const { database, log, appender: makeAppender } = await makeLog(t, under);
  const appender = await makeAppender();
  const recorded = { class: 'Łódź 東京 🩺 "\\', version: 3, key: 'k', purpose: '\u007f\t' };
  const drafts = [
    draft('test.a'),
    sealDraft({ operation: 'test.b', outcome: 'success', recorded }, 'log', {}, key),
  ];
  const grouped = await Promise.all(drafts.map((sealed) => appender.append(log, 1, sealed)));
  for (const sealed of drafts) await appender.append(log, 1, sealed, window(0, 1));
  const { time } = isAppended(grouped[0] ?? stale);
  const bytes = await bytesOf(database, log);
  assert.deepEqual(
    bytes.slice(0, 2).map((entry) => Buffer.from(entry).toString('utf8')),
    drafts.map((sealed) => Buffer.from(entryBytes(sealed, time, undefined)).toString('utf8')),
  );
  const payloads = await database.read((tx) =>
    tx.selectFrom('ledger_payload').select('ciphertext').orderBy('position').execute(),
  );
  assert.deepEqual(
    payloads.map(({ ciphertext }) => Buffer.from(ciphertext)),
    [...drafts, ...drafts].map(({ ciphertext }) => Buffer.from(ciphertext)),
  );
});

testOnStores(
  'two nodes append to one log without gap or duplicate, and time does not go back [URS-032]',
  async (t, under) => {
    const { database, log, appender } = await makeLog(t, under);
    const nodes = [await appender(), await appender()];
    const outcomes: Appended[] = [];
    const caller = async (node: Appender, name: string): Promise<void> => {
      for (let i = 0; i < 20; i++)
        outcomes.push(isAppended(await node.append(log, 1, draft(`test.${name}`))));
    };
    const callers = nodes.flatMap((node, n) => Array.from({ length: 16 }, () => caller(node, `node${n}`)));
    await Promise.all(callers);
    assert.deepEqual(
      outcomes.map(({ position }) => position).sort((a, b) => a - b),
      Array.from({ length: 640 }, (_, i) => i),
    );
    const written = await entries(database, log);
    assert.equal(new Set(written.map(({ entry }) => entry)).size, 640);
    for (const { position, time } of outcomes) assert.equal(written[position]?.time, time);
    const times = written.map(({ time }) => time);
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
  },
);

testOnStores(
  'once a change of one node is committed, no other appends under the facts from before it [URS-004]',
  async (t, under) => {
    const { database, log, appender } = await makeLog(t, under);
    const [one, other] = [await appender(), await appender()];
    let stopped = false;
    const use = async (): Promise<number> => {
      for (let appended = 0; ; appended++) {
        if ((await other.append(log, 1, draft('test.use'))) === stale) return appended;
        assert.equal(stopped, false, 'An append that began after the change was not refused.');
      }
    };
    const uses = Array.from({ length: 8 }, use);
    await other.append(log, 1, draft('test.use'));
    assert.equal(
      await one.change(log, 1, async () => ({ result: 'done', draft: draft('test.revoke') })),
      'done',
    );
    await Promise.all([...uses]);
    stopped = true;
    assert.equal(await other.append(log, 1, draft('test.use')), stale);
    const written = (await entries(database, log)).map(({ operation }) => operation);
    assert.equal(written.at(-1), 'test.revoke');
    const changes = await Promise.all(
      [one, other].map((node) =>
        node.change(log, 2, async () => ({ result: 'done', draft: draft('test.both') })),
      ),
    );
    assert.deepEqual(changes.map(String).sort(), ['Symbol(stale)', 'done']);
  },
);

testOnStores(
  'a database that was put back underneath gets no entry and releases no result [URS-080]',
  async (t, under) => {
    for (const way of ['append', 'change', 'both'] as const) {
      const { database, log, appender: makeAppender, rolledBack } = await makeLog(t, under);
      const appender = await makeAppender();
      await Promise.all(Array.from({ length: 5 }, () => appender.append(log, 1, draft('test.use'))));
      await database.write(async (tx) => {
        await tx.deleteFrom('ledger_entry').where('position', '>=', 3).execute();
        await tx.deleteFrom('ledger_payload').where('position', '>=', 3).execute();
        await tx.updateTable('head').set({ size: 3 }).execute();
      });
      const inRecovery = { code: 'server.in_recovery' };
      const change = () =>
        appender.change(log, 1, async () => ({ result: 'released', draft: draft('test.change') }));
      const use = () => appender.append(log, 1, draft('test.use'));
      if (way !== 'change') await assert.rejects(use(), inRecovery);
      if (way !== 'append') await assert.rejects(change(), inRecovery);
      assert.equal(rolledBack.length, 1);
      assert.match(rolledBack[0] ?? '', /had 5 entries, and has 3 now/);
      await setHead(database, { size: 3 });
      assert.equal((await entries(database, log)).length, 3);
      // Whatever becomes of the database, this process has to start again.
      await setHead(database, { size: 9 });
      await assert.rejects(use(), inRecovery);
      await assert.rejects(change(), inRecovery);
    }
  },
);

test('on PostgreSQL a group is one statement [URS-032]', { skip: postgres.skip }, async (t) => {
  const open = await postgres.make(t);
  const { log } = await makeEmptyLog(await open());
  const database = { ...(await open()), read: () => assert.fail(), write: () => assert.fail() };
  const appender = new Appender(database, { now: () => assert.fail() }, new RollbackWatch());
  const outcomes = await Promise.all(
    Array.from({ length: 100 }, () => appender.append(log, 1, draft('test.use'), window(0, later))),
  );
  assert.deepEqual(
    outcomes.map((outcome) => isAppended(outcome).position),
    Array.from({ length: 100 }, (_, i) => i),
  );
});
