import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkProof, parseCheckpoint, parseNote, parseProof, trustOf } from '@trialkeep/ledger';
import { verifyEd25519, verifyMlDsa44 } from '@trialkeep/crypto';
import {
  approveAndRun,
  approveByBoth,
  arrange,
  askFor,
  rejection,
  stateOf,
} from '../../dual-control.fixture.test.ts';
import { makeServer, makeService, refusal } from '../../fixture.test.ts';
import { signIn } from '../../people.fixture.test.ts';
import { entriesOf } from '../../ledger.fixture.test.ts';
import { reconcile } from '../../reconcile.ts';
import { sha256 } from '../sha256.ts';

const reason = 'Archived in two places.';
const plaintext = Buffer.from('a value').toString('base64');
const yearMs = 366 * 86_400_000;

/** A tenant with three people, and six hundred uses of a key that are older than a year. */
async function makeScene(t: Parameters<typeof makeServer>[0]) {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { custodian, system } = arranged;
  const { id: key } = await server.admit('keys.create', custodian, { system });
  const service = await makeService(server, custodian, system, [key]);
  const encrypt = () => server.admit('keys.encrypt', service, { key, plaintext });
  await Promise.all(Array.from({ length: 600 }, encrypt));
  const log = server.instance.ledger.logOfTenant(arranged.tenant) ?? assert.fail();
  const checkpoint = await server.admit('ledger.checkpoint', custodian, {});
  return { ...arranged, server, log, checkpoint };
}

test('archived entries are pruned by approval: they are gone, every proof and every state stays [URS-010] [URS-033] [URS-039]', async (t) => {
  const scene = await makeScene(t);
  const { server, custodian, log, checkpoint, tenant } = scene;
  const { database } = server.instance;
  const before = await entriesOf(database, log.id);
  const stating = await reconcile(server.instance);
  const young = server.admit('ledger.prune', scene.requester.session, { below: 512, checkpoint, reason });
  await assert.rejects(
    young,
    refusal('prune.out_of_range'),
    'nobody is asked for what is younger than a year',
  );

  server.clock.time += yearMs;
  const people = await arrangeAgain(scene);
  await approveAndRun(people, await askFor(people, 'ledger.prune', { below: 512, checkpoint, reason }));
  assert.equal((await server.admit('ledger.bounds', custodian, {})).minimumIndex, 512);
  const tile = (path: string) => server.admit('ledger.tile', custodian, { path });
  for (const path of ['entries/000', 'entries/001', 'entries/000.p/7']) {
    await assert.rejects(tile(path), refusal('tile.unknown'), path);
  }
  assert.equal((await tile('0/000')).length, 8192);
  assert.ok((await tile('entries/002.p/9')).length > 0);

  const verifierKeys = (await server.admit('ledger.verifier-key', custodian, {})).trim().split('\n');
  const trust = trustOf(sha256, { ed25519: verifyEd25519, mlDsa44: verifyMlDsa44 }, { verifierKeys });
  for (const index of [0, 300, 511, 512]) {
    const proof = parseProof(Buffer.from(await server.admit('ledger.proof', custodian, { index })));
    assert.equal((await checkProof(sha256, proof, before[index] ?? assert.fail(), trust)).index, index);
  }
  const rows = await database.read((tx) =>
    tx
      .selectFrom('ledger_entry')
      .select(['position', 'bytes'])
      .where('log', '=', log.id)
      .orderBy('position')
      .execute(),
  );
  const kept = rows.filter(({ position }) => position < 512);
  assert.ok(kept.length < 40 && kept[0]?.position === 0, String(kept.length));
  assert.ok(kept.slice(1).every(({ bytes }) => /"(state|approval)":"/.test(Buffer.from(bytes).toString())));
  const payloads = await database.read((tx) =>
    tx
      .selectFrom('ledger_payload')
      .select('position')
      .where('log', '=', log.id)
      .orderBy('position')
      .execute(),
  );
  const left = payloads.map(({ position }) => position).filter((position) => position < 512);
  assert.deepEqual(
    left,
    kept.map(({ position }) => position),
    'what stays says why',
  );
  assert.deepEqual([stating, await reconcile(server.instance)], [[], []]);
  const entry = (await server.entries(tenant)).findLast(({ operation }) => operation === 'ledger.prune');
  assert.deepEqual([entry?.['outcome'], entry?.['prunedBelow']], ['success', 512]);
});

/** After a year sessions are over: the same people sign in again. */
async function arrangeAgain(scene: Awaited<ReturnType<typeof makeScene>>) {
  const house = {
    admit: scene.server.admit,
    clock: scene.server.clock,
    managers: { one: scene.custodian, two: '', instance: scene.server.administrator },
    logs: { one: { tenant: scene.tenant }, two: { tenant: null }, instance: { tenant: null } },
  };
  const people = [];
  for (const person of [scene.requester, scene.one, scene.two]) {
    people.push({ ...person, session: (await signIn(house, person)).secret });
  }
  const [requester, one, two] = people;
  assert.ok(requester && one && two);
  return { ...scene, requester, one, two };
}

test('nothing is pruned that no archive of this log covers, or that is pruned already [URS-010] [URS-033]', async (t) => {
  const scene = await makeScene(t);
  const { server, checkpoint } = scene;
  server.clock.time += yearMs;
  const people = await arrangeAgain(scene);
  const refused = async (input: { below: number; checkpoint: string }, code: string) => {
    const error = await rejection(
      server.admit('ledger.prune', people.requester.session, { ...input, reason }),
    );
    assert.equal(error.code, code);
  };
  const foreign = await server.admit('ledger.checkpoint', server.administrator, {});
  for (const other of ['nothing', foreign, checkpoint.replace(/\n[0-9]+\n/, '\n5\n')]) {
    await refused({ below: 256, checkpoint: other }, 'archive.mismatch');
  }
  const { size } = parseCheckpoint(parseNote(Buffer.from(checkpoint)).text);
  await refused({ below: Math.ceil(size / 256) * 256, checkpoint }, 'archive.mismatch');
  await refused({ below: 300, checkpoint }, 'request.invalid');
  const approval = await askFor(people, 'ledger.prune', { below: 256, checkpoint, reason });
  const second = await askFor(people, 'ledger.prune', { below: 256, checkpoint, reason });
  await approveAndRun(people, approval);
  await approveByBoth(people, second);
  await server.runJobs();
  assert.equal((await stateOf(people, second)).state, 'failed');
  await refused({ below: 256, checkpoint }, 'prune.out_of_range');
});
