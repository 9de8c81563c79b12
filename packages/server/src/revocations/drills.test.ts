import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { drillScopes } from '@trialkeep/contract';
import { verifyEd25519, verifyMlDsa44 } from '@trialkeep/crypto';
import { checkEvidence, kinds, parseDocument, readEvidence } from '@trialkeep/evidence';
import { makeEvidence } from '@trialkeep/evidence/make';
import { trustOf } from '@trialkeep/ledger';
import { sha256 } from '../audit/index.ts';
import { makeServer, makeService, makeTenant, refusal, shareServer } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import { reconcile } from '../reconcile.ts';
import { sha256Hex } from '../platform/canonical.ts';
import { putDrill } from './store.ts';

const shared = shareServer();
const dayMs = 86_400_000;
const plaintext = Buffer.from('a value').toString('base64');
const stepNames = ['make', 'use', 'revoke', 'refused', 'order'];

async function runDrill(server: TestServer, custodian: string, scope?: (typeof drillScopes)[number]) {
  const { id } = await server.admit('revocations.drill', custodian, scope === undefined ? {} : { scope });
  await server.runJobs();
  const { drills } = await server.admit('revocations.drills', custodian, {});
  return drills.find((drill) => drill.id === id) ?? assert.fail();
}

test('a drill of each scope measures its steps, passes, and touches nothing real [URS-005]', async () => {
  const server = await shared();
  const { tenant, custodian, key, service } = await makeTenant(server);
  for (const scope of drillScopes) {
    const drill = await runDrill(server, custodian, scope);
    assert.deepEqual([drill.scope, drill.state], [scope, 'passed'], JSON.stringify(drill));
    assert.deepEqual(
      drill.steps.map(({ name, outcome }) => [name, outcome]),
      stepNames.map((name) => [name, 'passed']),
    );
    assert.ok(drill.endedAt !== null && drill.endedAt >= drill.begunAt);
    const last = (await server.entries(tenant)).findLast(({ state }) => state === 'passed');
    assert.deepEqual([last?.['operation'], last?.['hash']], ['revocations.drill', drill.hash]);
  }
  await server.admit('keys.encrypt', service, { key, plaintext });
  const { systems } = await server.admit('systems.list', custodian, {});
  const made = systems.filter(({ name }) => name.startsWith('Drill '));
  assert.equal(made.length, drillScopes.length);
  for (const { id: system } of made) {
    // What never protected anything is in no list of keys.
    assert.deepEqual((await server.admit('keys.list', custodian, { system })).keys, []);
    const own = (await server.entries(tenant)).find((entry) => entry['system'] === system && entry['key']);
    const { key: shown } = await server.admit('keys.show', custodian, { key: String(own?.['key']) });
    assert.equal(shown.state, 'destroyed');
  }
  const { credentials } = await server.admit('credentials.list', custodian, {});
  const left = credentials.filter(({ name, state }) => name.startsWith('Drill ') && state !== 'revoked');
  assert.deepEqual(left, []);
  assert.deepEqual(await reconcile(server.instance), []);
});

test('a drill in a tenant whose keys do not work fails, and cleans up all the same [URS-005]', async () => {
  const server = await shared();
  const { custodian } = await makeTenant(server);
  await server.admit('tenants.seal', custodian, { reason: 'An alarm.' });
  const drill = await runDrill(server, custodian);
  assert.equal(drill.state, 'failed');
  const failed = drill.steps.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name);
  assert.deepEqual(failed, ['use', 'order']);
  const codes = drill.steps.flatMap(({ code }) => code ?? []);
  assert.deepEqual(codes, ['tenant.sealed', 'drill.out_of_order']);
  assert.ok(server.notes.some((note) => note.includes(drill.id) && note.includes('"step":"use"')));
  const { credentials } = await server.admit('credentials.list', custodian, {});
  assert.ok(credentials.every(({ name, state }) => !name.startsWith('Drill ') || state === 'revoked'));
});

test('what others put into the system of a drill is neither ended nor in the way of its end [URS-005]', async (t) => {
  let intrude: ((system: string) => Promise<void>) | undefined;
  const server = await makeServer(t, (bound) => ({
    ...bound,
    'keys.encrypt': async (context) => {
      const row = await context.facts.read((tx) =>
        tx.selectFrom('drill').select('system').where('state', '=', 'running').executeTakeFirst(),
      );
      const used = await bound['keys.encrypt'](context);
      const once = intrude;
      intrude = undefined;
      if (row?.system) await once?.(row.system);
      return used;
    },
  }));
  const { custodian, tenant } = await makeTenant(server);
  let foreign: { key: string; service: string; credential: string } | undefined;
  intrude = async (system) => {
    const { id: key } = await server.admit('keys.create', custodian, { system });
    const service = await makeService(server, custodian, system, [key]);
    const { credentials } = await server.admit('credentials.list', custodian, {});
    const credential = credentials.find(({ keys }) => keys.includes(key))?.id ?? assert.fail();
    foreign = { key, service, credential };
  };
  const drill = await runDrill(server, custodian);
  assert.ok(foreign);
  assert.equal(drill.state, 'passed', JSON.stringify(drill));
  const { key, service, credential } = foreign;
  await server.admit('keys.encrypt', service, { key, plaintext });
  const { credentials } = await server.admit('credentials.list', custodian, {});
  const made = credentials.filter(({ name }) => name === `Drill ${drill.id}`);
  assert.deepEqual(
    made.map(({ state }) => state),
    ['revoked'],
  );
  const last = (await server.entries(tenant)).findLast(({ state }) => state === 'passed');
  const read = { entry: String(last?.['entry']) };
  const { payload } = await server.admit('ledger.payload', custodian, read);
  assert.deepEqual((payload as { left: object }).left, { keys: [key], credentials: [credential] });
  assert.ok(server.notes.some((note) => note.includes(key)));
});

test('a drill whose process ended halfway fails when it is taken up again [URS-005]', async (t) => {
  const server = await makeServer(t);
  const { custodian } = await makeTenant(server);
  const { database } = server.instance;
  const passed = await runDrill(server, custodian);
  const { id } = await server.admit('revocations.drill', custodian, {});
  const again = await server.admit('revocations.drill', custodian, {});
  assert.equal(again.id, id);
  const kept = await database.read((tx) => tx.selectFrom('drill').selectAll().execute());
  const [before] = kept.filter((row) => row.id === passed.id);
  assert.ok(before?.record);
  assert.equal(sha256Hex(before.record), passed.hash);
  // As it is when the things are made up, and nothing else was done.
  const [tenant] = server.instance.ledger.logs.filter((log) => log.tenant !== null);
  const rowKey = await server.instance.hierarchy.rowKey(tenant?.tenant ?? null);
  await database.write(async (tx) => {
    const row = await tx.selectFrom('drill').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
    const { system, key, credential } = before;
    await putDrill(tx, rowKey, { ...row, system, key, credential });
  });
  await server.runJobs();
  const { drills } = await server.admit('revocations.drills', custodian, {});
  const drill = drills.find((each) => each.id === id);
  assert.equal(drill?.state, 'failed');
  assert.deepEqual(
    drill.steps.map(({ name }) => name),
    ['interrupted'],
  );
});

test('scheduled drills are done when they are due, each once, and one that is not done is overdue [URS-005]', async (t) => {
  const server = await makeServer(t);
  const { custodian, tenant } = await makeTenant(server);
  const { clock } = server;
  const planned = await server.admit('revocations.schedule-drill', custodian, { everyDays: 30 });
  assert.deepEqual(
    [planned.schedule?.everyDays, planned.schedule?.overdue, planned.schedule?.scope],
    [30, false, 'system'],
  );
  const list = () => server.admit('revocations.drills', custodian, {});
  for (let round = 1; round <= 2; round++) {
    clock.time = ((await list()).schedule?.nextAt ?? 0) + 2 * dayMs;
    assert.equal((await list()).schedule?.overdue, true);
    const status = server.implementations['instance.status'];
    assert.ok((await status()).limits.some((limit) => limit.includes('overdue')));
    await server.runJobs();
    const { drills, schedule } = await list();
    assert.deepEqual([drills.length, schedule?.overdue], [round, false]);
    assert.ok(drills.every(({ state }) => state === 'passed'));
    assert.equal(schedule?.nextAt, (drills[0]?.begunAt ?? 0) + 30 * dayMs);
    assert.ok(!(await status()).limits.some((limit) => limit.includes('overdue')));
  }
  const begun = (await server.entries(tenant)).filter(
    ({ operation, state }) => operation === 'revocations.drill' && state === 'running',
  );
  assert.equal(begun.length, 2);
  assert.ok(begun.every(({ actor }) => actor === undefined));
  assert.equal(
    (await server.admit('revocations.schedule-drill', custodian, { everyDays: 0 })).schedule,
    null,
  );
  clock.time += 100 * dayMs;
  await server.runJobs();
  assert.equal((await list()).drills.length, 2);
});

test('the evidence of a drill has its record, its entries and the bound of data keys [URS-005] [URS-004] [URS-084]', async () => {
  const server = await shared();
  const { custodian } = await makeTenant(server);
  const unknown = { kind: 'revocation.drill', drill: randomUUID() } as const;
  await assert.rejects(server.admit('evidence.make', custodian, unknown), refusal('drill.unknown'));
  const { id: running } = await server.admit('revocations.drill', custodian, {});
  await assert.rejects(
    server.admit('evidence.make', custodian, { ...unknown, drill: running }),
    refusal('drill.running'),
  );
  await server.runJobs();
  const { id } = await server.admit('evidence.make', custodian, { ...unknown, drill: running });
  const pdf = await server.admit('evidence.fetch', custodian, { evidence: id });
  const keys = (await server.admit('ledger.verifier-key', custodian, {})).trim().split('\n');
  const primitives = { ed25519: verifyEd25519, mlDsa44: verifyMlDsa44 };
  const trust = trustOf(sha256, primitives, { verifierKeys: keys });
  const result = await checkEvidence(pdf, { sha256, trust, render: makeEvidence });
  assert.deepEqual([result.verdict, result.findings], ['consistent', []]);
  const document = parseDocument(readEvidence(pdf).files['evidence.json']);
  const body = document.body as unknown as { record: string; entries: unknown[] };
  assert.equal(document.kind, 'revocation.drill');
  const record = JSON.parse(body.record) as Record<string, unknown>;
  const { state, boundSeconds, measured } = record;
  assert.deepEqual([state, boundSeconds, measured, record['drill']], ['passed', 60, 'one-node', running]);
  const proven = kinds['revocation.drill'].proven(document.body);
  assert.ok(proven.some((sentence) => sentence.includes('ordered for all')));
  assert.ok(body.entries.length >= 6);
  const context = { names: {}, origin: document.origin, sha256 };
  const contradictions = (changed: object) =>
    kinds['revocation.drill'].contradictions({ ...body, ...changed }, context);
  assert.deepEqual(contradictions({}), []);
  const forged = body.record.replace('"passed"', '"failed"');
  assert.notDeepEqual(contradictions({ record: forged }), []);
  assert.notDeepEqual(contradictions({ entries: body.entries.slice(0, -1) }), []);
});
