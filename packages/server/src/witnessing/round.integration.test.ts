import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openNote, parseCheckpoint, verifierOf } from '@trialkeep/ledger';
import { verifyEd25519, verifyMlDsa44 } from '@trialkeep/crypto';
import { sha256 } from '../audit/index.ts';
import {
  entriesOf,
  makeInstallation,
  makeTenant,
  openNode,
  openSecond,
  stores,
  until,
} from '../installation.fixture.test.ts';
import { TestWitness, policyOf, setPolicy, show, untilWitnessed, work } from './witnessing.fixture.test.ts';

const verifier = (key: string) => verifierOf(sha256, { ed25519: verifyEd25519, mlDsa44: verifyMlDsa44 }, key);

for (const store of stores) {
  test(
    `the checkpoint that leaves the server carries the cosignatures of the quorum on ${store.name} [URS-034]`,
    { skip: store.skip },
    async (t) => {
      const installation = await makeInstallation(t, store);
      const node = await openNode(t, installation);
      const witnesses = [
        await TestWitness.start(t, 'witness.example/1'),
        await TestWitness.start(t, 'witness.example/2'),
      ];
      const tenant = await makeTenant(node, installation.administrator);
      const log = await setPolicy(node, tenant.tenant, { policy: policyOf(witnesses) });
      const stop = await work(t, node);
      await tenant.createKey();
      await untilWitnessed(node, log);
      const note = await node.instance.ledger.present(log);
      const keys = witnesses.map(({ verifierKeys }) => verifierKeys[0] ?? '');
      const { text, signedBy } = await openNote(note, keys.map(verifier));
      assert.equal(signedBy.length, 2);
      assert.equal(parseCheckpoint(text).size, (await entriesOf(node.instance, tenant.tenant)).length);
      const { witnesses: shown } = await show(node, log);
      assert.deepEqual(
        shown.map(({ failure, size }) => [failure, size]),
        [
          [null, parseCheckpoint(text).size],
          [null, parseCheckpoint(text).size],
        ],
      );
      await stop();
    },
  );

  test(
    `two nodes collect for one log without a double and without a gap on ${store.name} [URS-034]`,
    { skip: store.skip },
    async (t) => {
      const installation = await makeInstallation(t, store);
      const first = await openNode(t, installation);
      const second = await openSecond(t, installation, first);
      const witnesses = [await TestWitness.start(t, 'witness.example/1')];
      const tenant = await makeTenant(first, installation.administrator);
      const log = await setPolicy(first, tenant.tenant, { policy: policyOf(witnesses) });
      const stops = [await work(t, first), await work(t, second)];
      for (let i = 0; i < 10; i++) await tenant.createKey();
      await untilWitnessed(first, log);
      await untilWitnessed(second, log);
      const sizes = witnesses[0]?.sizes ?? [];
      assert.deepEqual(
        sizes,
        [...new Set(sizes)].sort((one, other) => one - other),
      );
      const rows = await first.instance.database.read((tx) =>
        tx.selectFrom('job').select('name').where('task', 'like', 'witnessing.%').execute(),
      );
      assert.ok(rows.length <= 1, JSON.stringify(rows));
      for (const stop of stops) await stop();
    },
  );
}

test('a witness that is gone for a while is asked again, and told once [URS-034]', async (t) => {
  const [store] = stores;
  assert.ok(store);
  const installation = await makeInstallation(t, store);
  const node = await openNode(t, installation);
  const witness = await TestWitness.start(t, 'witness.example/1');
  const tenant = await makeTenant(node, installation.administrator);
  const log = await setPolicy(node, tenant.tenant, { policy: policyOf([witness]) });
  await witness.down();
  const stop = await work(t, node);
  await until(async () => typeof (await show(node, log)).witnesses[0]?.failure === 'string');
  await witness.up();
  await untilWitnessed(node, log);
  assert.equal((await show(node, log)).witnesses[0]?.failure, null);
  assert.equal(node.notes.filter((note) => note.includes('No cosignature')).length, 1);
  await stop();
});
