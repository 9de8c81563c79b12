import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordedStates, tellingEntries } from '../audit/index.ts';
import {
  approveAndRun,
  approveByBoth,
  arrange,
  askFor,
  dayMs,
  plaintext,
  reason,
  signInAgain,
  stateOf,
} from '../dual-control.fixture.test.ts';
import type { Arranged } from '../dual-control.fixture.test.ts';
import { makeServer, makeService, refusal } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import { reconcile } from '../reconcile.ts';
import { bringInLine } from '../recovery/index.ts';
import { recoverStudyErasures } from './recover-studies.ts';

/** Two studies, each with subjects and something encrypted for the study and for one of them. */
async function makeStudies(server: TestServer, arranged: Arranged) {
  const { custodian, system } = arranged;
  const { id: key } = await server.admit('keys.create', custodian, { system });
  const service = await makeService(server, custodian, system, [key]);
  const make = async (protocol: string) => {
    const { id: study } = await server.admit('studies.create', custodian, { protocol });
    const aliases: string[] = [];
    for (const number of ['1', '2']) {
      aliases.push((await server.admit('subjects.create', custodian, { study, number })).alias);
    }
    const contexts = [{ study }, ...aliases.map((subject) => ({ study, subject }))];
    const sealed: { key: string; ciphertext: string; context: Record<string, string> }[] = [];
    for (const context of contexts) {
      const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext, context });
      sealed.push({ key, ciphertext, context });
    }
    const opens = (): Promise<string[]> =>
      Promise.all(
        sealed.map((each) =>
          server.admit('keys.decrypt', service, each).then(
            () => 'opens',
            (error: { code: string }) => error.code,
          ),
        ),
      );
    return { study, aliases, opens };
  };
  return { leaving: await make('P-1'), staying: await make('P-2') };
}

async function later(server: TestServer, ms: number): Promise<void> {
  server.clock.time += ms;
  await server.runJobs();
}

async function statesIn({ server, custodian }: Arranged, study: string): Promise<string[]> {
  const { studies } = await server.admit('studies.list', custodian, {});
  const { subjects } = await server.admit('subjects.list', custodian, { study });
  return [studies.find(({ id }) => id === study)?.state ?? '', ...subjects.map(({ state }) => state)];
}

test('a study is erased with all its subjects after the waiting period, and another is not [URS-006] [URS-037]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { custodian, requester, tenant } = arranged;
  const { leaving, staying } = await makeStudies(server, arranged);
  const { study } = leaving;
  const place = { name: 'Tape in the vault', contact: 'The operators', study } as const;
  const { id: tape } = await server.admit('holders.register', custodian, { kind: 'backup', ...place });
  await approveAndRun(arranged, await askFor(arranged, 'studies.erase', { study, waitingDays: 7, reason }));
  assert.deepEqual(await statesIn(arranged, study), ['waiting', 'active', 'active']);
  // Nobody uses keys in it meanwhile, and nobody is added.
  assert.deepEqual(await leaving.opens(), ['study.erasing', 'study.erasing', 'study.erasing']);
  await assert.rejects(
    server.admit('subjects.create', custodian, { study, number: '3' }),
    refusal('study.erasing'),
  );
  await assert.rejects(
    server.admit('studies.erase', requester.session, { study, reason }),
    refusal('study.erasing'),
  );
  await assert.rejects(
    server.admit('evidence.make', custodian, { kind: 'study.erasure', study }),
    refusal('evidence.not_erased'),
  );
  await later(server, 7 * dayMs - 120_000);
  assert.equal((await statesIn(arranged, study))[0], 'waiting');
  await later(server, 120_000);
  await later(server, 15_000);
  assert.deepEqual(await statesIn(arranged, study), ['erasing', 'erasing', 'erasing']);
  const { shred } = server.instance;
  const keys = await Promise.all([study, ...leaving.aliases].map((id) => shred.find(id)));
  assert.deepEqual(keys, [undefined, undefined, undefined]);
  assert.equal(await shred.epoch(), 2);
  assert.deepEqual(await staying.opens(), ['opens', 'opens', 'opens']);
  await later(server, 61_000);
  assert.equal((await statesIn(arranged, study))[0], 'erasing');
  const early = await server.admit('evidence.make', custodian, { kind: 'study.erasure', study });
  const again = await signInAgain(arranged);
  await server.admit('holders.attest', again.requester.session, { holder: tape, study, reason });
  await server.runJobs();
  assert.deepEqual(await statesIn(again, study), ['erased', 'erased', 'erased']);
  const late = await server.admit('evidence.make', custodian, { kind: 'study.erasure', study });
  for (const { id } of [early, late]) {
    const bytes = await server.admit('evidence.fetch', custodian, { evidence: id });
    assert.equal(Buffer.from(bytes.subarray(0, 5)).toString('latin1'), '%PDF-');
  }
  const said = (await server.entries(tenant)).filter(({ operation }) => operation === 'studies.erase');
  assert.deepEqual(
    said.filter(({ outcome }) => outcome === 'success').map(({ actor, state }) => [actor, state]),
    [
      [requester.id, 'waiting'],
      [undefined, 'erasing'],
      [undefined, 'erasing'],
      [undefined, 'erased'],
    ],
  );
  assert.deepEqual(await reconcile(server.instance), []);
  await assert.rejects(
    server.admit('holds.place', custodian, { study, kind: 'legal', reason }),
    refusal('key.unusable'),
  );
});

test('an erasure of a study is called off by a person, or by a hold that is placed while it waits [URS-006]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { custodian, tenant } = arranged;
  const { leaving } = await makeStudies(server, arranged);
  const { study, aliases } = leaving;
  await assert.rejects(
    server.admit('studies.cancel-erasure', custodian, { study, reason }),
    refusal('study.erasure_none'),
  );
  await approveAndRun(arranged, await askFor(arranged, 'studies.erase', { study, reason }));
  await server.admit('studies.cancel-erasure', custodian, { study, reason });
  assert.deepEqual(await leaving.opens(), ['opens', 'opens', 'opens']);
  await later(server, 31 * dayMs);
  assert.deepEqual(await leaving.opens(), ['opens', 'opens', 'opens']);

  const again = await signInAgain(arranged);
  await approveAndRun(again, await askFor(again, 'studies.erase', { study, waitingDays: 7, reason }));
  const subject = aliases[0] ?? assert.fail();
  const { id: hold } = await server.admit('holds.place', custodian, {
    study,
    subject,
    kind: 'legal',
    reason,
  });
  await later(server, 8 * dayMs);
  assert.deepEqual(await leaving.opens(), ['opens', 'opens', 'opens']);
  const last = (await server.entries(tenant)).findLast(
    ({ operation }) => operation === 'studies.cancel-erasure',
  );
  assert.deepEqual([last?.['hold'], last?.['reason'], last?.['state']], [hold, 'hold', 'cancelled']);
  const anew = await signInAgain(again);
  await assert.rejects(
    server.admit('studies.erase', anew.requester.session, { study, reason }),
    refusal('hold.applies'),
  );
});

test('a hold that is placed while people decide refuses the erasure of a study [URS-006]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { custodian } = arranged;
  const { leaving } = await makeStudies(server, arranged);
  const { study } = leaving;
  const approval = await askFor(arranged, 'studies.erase', { study, reason });
  await server.admit('holds.place', custodian, { kind: 'legal', reason });
  await approveByBoth(arranged, approval);
  await server.runJobs();
  const { state, failure } = await stateOf(arranged, approval);
  assert.deepEqual([state, failure], ['failed', 'hold.applies']);
  assert.deepEqual(await leaving.opens(), ['opens', 'opens', 'opens']);
});

test('a database that was put back forgets no erasure of a study, and keys that are there again go anew [URS-006] [URS-080]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { tenant } = arranged;
  const { leaving, staying } = await makeStudies(server, arranged);
  const { study } = leaving;
  const { database, hierarchy, ledger, shred } = server.instance;
  await approveAndRun(arranged, await askFor(arranged, 'studies.erase', { study, waitingDays: 7, reason }));
  const again = await signInAgain(arranged);
  await approveAndRun(again, await askFor(again, 'studies.erase', { study: staying.study, reason }));
  await later(server, 7 * dayMs);
  await later(server, 15_000);
  await later(server, 61_000);
  const log = ledger.logOfTenant(tenant) ?? assert.fail();
  const states = await database.read((tx) => recordedStates(tx, log.id));
  assert.equal(states.studyErasure.get(study)?.state, 'erased');
  const read = () => database.read((tx) => tx.selectFrom('study_erasure').selectAll().execute());
  const before = (await read()).map(({ study: id, state, due_at }) => [id, state, due_at]);
  await database.write(async (tx) => {
    await tx.deleteFrom('study_erasure').execute();
    await tx.deleteFrom('erasure').execute();
    await tx.deleteFrom('job').execute();
    await tx.updateTable('subject').set({ state: 'active' }).execute();
  });
  const reasons = await reconcile(server.instance);
  assert.equal(reasons.length, 2, reasons.join('\n'));
  const rowKey = await hierarchy.rowKey(tenant);
  const entries = await tellingEntries(database, log.id);
  const of = { rowKey, log: log.id, time: server.clock.time };
  for (let times = 0; times < 2; times++) {
    const recovery = await recoverStudyErasures(shred, tenant, entries);
    await database.write((tx) => recovery.apply(tx, of));
  }
  const after = (await read()).map(({ study: id, state, due_at }) => [id, state, due_at]);
  assert.deepEqual(new Set(after.map(String)), new Set(before.map(String)));
  assert.deepEqual(await reconcile(server.instance), []);
  // The shred store came from the same backup.
  await hierarchy.createShreddable(tenant, 'study', study);
  await bringInLine(server.instance, log, {});
  assert.equal((await read()).find(({ study: id }) => id === study)?.state, 'erasing');
  assert.deepEqual(await reconcile(server.instance), []);
  await server.runJobs();
  assert.equal(await shred.find(study), undefined);
  await later(server, 15_000);
  await later(server, 61_000);
  assert.equal((await statesIn(again, study))[0], 'erased');
});
