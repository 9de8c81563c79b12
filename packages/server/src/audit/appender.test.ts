import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { createDatabase, openDatabase } from '../platform/database.ts';
import type { Database } from '../platform/database.ts';
import { Appender, stale } from './appender.ts';
import type { Appended } from './appender.ts';
import { parseEntry, sealDraft } from './entry.ts';
import * as store from './store.ts';

const key = {
  key: createSecretKey(randomBytes(32)),
  keyVersionId: randomBytes(16),
  tenantId: randomBytes(16),
  keyId: randomBytes(16),
};

/** A database with one empty log, whose clock the test sets. */
async function makeLog(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-appender-'));
  const file = join(folder, 'test.db');
  createDatabase(file, 'main');
  const database: Database = openDatabase(file, 'main');
  t.after(async () => {
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const { id: log } = await database.write((tx) =>
    store.insertLog(
      tx,
      {
        tenant: null,
        origin: 'log',
        verifier_key: '',
        wrapped_signing_key: new Uint8Array(1),
        payload_key_version: '',
        wrapped_payload_key: new Uint8Array(1),
      },
      new Uint8Array(32),
      0,
    ),
  );
  const clock = { time: 1000, now: () => clock.time };
  return { database, log, clock };
}

function draft(operation: string) {
  return sealDraft({ operation, outcome: 'success', recorded: {} }, 'log', {}, key);
}

async function entries(database: Database, log: number) {
  const bytes = await database.read((snapshot) => store.readEntries(snapshot, log, 0, 10_000));
  return bytes.map(parseEntry);
}

test('entries of one group are durable in the order in which they were handed in [URS-032]', async (t) => {
  const { database, log, clock } = await makeLog(t);
  const appender = new Appender(database, clock, () => undefined);
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
});

test('after a change nothing is appended under the facts from before it [URS-004]', async (t) => {
  const { database, log, clock } = await makeLog(t);
  const appender = new Appender(database, clock, () => undefined);
  const change = appender.change(log, 1, async () => ({ result: 'done', draft: draft('test.revoke') }));
  const uses = Array.from({ length: 20 }, () => appender.append(log, 1, draft('test.use')));
  assert.equal(await change, 'done');
  const late = await appender.append(log, 1, draft('test.late'));
  assert.equal(late, stale);
  assert.equal(await appender.change(log, 1, () => assert.fail('It ran under old facts.')), stale);
  await Promise.all(uses);
  const written = (await entries(database, log)).map(({ operation }) => operation);
  assert.equal(written.lastIndexOf('test.use') < written.indexOf('test.revoke'), true);
});

test('the time of the flush decides whether an authorisation still holds [URS-002] [URS-004]', async (t) => {
  const { database, log, clock } = await makeLog(t);
  const appender = new Appender(database, clock, () => undefined);
  const until = [{ from: 0, until: 2000, refusal: 'key.unusable' as const }];
  assert.equal(((await appender.append(log, 1, draft('test.a'), until)) as Appended).denied, undefined);
  clock.time = 2000;
  assert.equal(((await appender.append(log, 1, draft('test.b'), until)) as Appended).denied, 'key.unusable');
  const [, second] = await entries(database, log);
  assert.deepEqual([second?.outcome, second?.code, second?.time], ['refused', 'key.unusable', 2000]);
});

test('the time of the ledger never goes back, whatever the clock does [URS-032]', async (t) => {
  const { database, log, clock } = await makeLog(t);
  const appender = new Appender(database, clock, () => undefined);
  await appender.append(log, 1, draft('test.a'));
  clock.time = 10;
  assert.equal(((await appender.append(log, 1, draft('test.b'))) as Appended).time, 1000);
});

test('a change that throws leaves neither rows nor an entry [URS-032] [URS-046]', async (t) => {
  const { database, log, clock } = await makeLog(t);
  const appender = new Appender(database, clock, () => undefined);
  const change = appender.change(log, 1, async (tx) => {
    await tx.updateTable('log').set({ verifier_key: 'half done' }).execute();
    throw new Error('No.');
  });
  await assert.rejects(change, /No/);
  const [row] = await database.read((snapshot) => store.listLogs(snapshot));
  assert.equal(row?.verifier_key, '');
  assert.deepEqual(await entries(database, log), []);
});

test('when the database fails every caller of the group learns it, and nothing is released [URS-046]', async (t) => {
  const { database, log, clock } = await makeLog(t);
  const appender = new Appender(database, clock, () => undefined);
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
});

test('more callers than may wait are told to try again [URS-046]', async (t) => {
  const { database, log, clock } = await makeLog(t);
  const appender = new Appender(database, clock, () => undefined);
  const sealed = draft('test.use');
  const outcomes = await Promise.allSettled(
    Array.from({ length: 4100 }, () => appender.append(log, 1, sealed)),
  );
  const busy = outcomes.filter((outcome) => outcome.status === 'rejected');
  assert.equal(busy.length, 4);
  assert.equal((await entries(database, log)).length, 4096);
});
