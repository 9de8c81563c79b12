import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Input, OperationId, Operations } from '@trialkeep/contract';
import { systemClock } from '../platform/clock.ts';
import { OperationError } from '../platform/errors.ts';
import { FactsCache } from '../platform/facts.ts';
import {
  entriesOf,
  makeInstallation,
  openNode,
  openSecond,
  stores,
  until,
} from '../installation.fixture.test.ts';
import type { Node, Store } from '../installation.fixture.test.ts';
import { currentOf } from './current.ts';
import { recordWithholding } from './withhold.ts';
import { TestWitness, policyOf, setPolicy, show, untilWitnessed, work } from './witnessing.fixture.test.ts';

const boundSeconds = 5;

async function arrange(t: TestContext, store: Store) {
  const installation = await makeInstallation(t, store);
  const node = await openNode(t, installation);
  const witness = await TestWitness.start(t, 'witness.example/1');
  const admit = <Id extends OperationId>(
    at: Node,
    operation: Id,
    secret: string,
    input: Input<Operations[Id]>,
  ) =>
    at.rooms.gate.admit({
      operation,
      authorization: `Bearer ${secret}`,
      input,
      source: '192.0.2.1',
      requestId: 'r',
    });
  const { tenant, custodian } = await admit(node, 'tenants.create', installation.administrator, {
    name: 'one',
  });
  const secret = custodian.secret;
  const { id: system } = await admit(node, 'systems.create', secret, {
    name: 'edc',
    type: 'edc',
    vendor: 'v',
  });
  const { id: key } = await admit(node, 'keys.create', secret, { system });
  const issued = await admit(node, 'credentials.issue', secret, {
    name: 'edc',
    role: 'service',
    system,
    keys: [key],
  });
  const encrypt = (at: Node = node): Promise<string> =>
    admit(at, 'keys.encrypt', issued.secret, { key, plaintext: 'c2FtcGxl' }).then(
      () => 'released',
      (error: unknown) => {
        if (error instanceof OperationError) return error.code;
        throw error;
      },
    );
  return { installation, node, witness, tenant: tenant.id, custodian: secret, system, key, encrypt, admit };
}

for (const store of stores) {
  test(
    `results of key use are withheld beyond the bound, and revocation never is, on ${store.name} [URS-034] [URS-080]`,
    { skip: store.skip },
    async (t) => {
      const { installation, node, witness, tenant, custodian, key, encrypt, admit } = await arrange(t, store);
      const second = await openSecond(t, installation, node);
      const log = await setPolicy(node, tenant, { policy: policyOf([witness]), boundSeconds });
      const stops = [await work(t, node)];
      if (second.instance !== node.instance) stops.push(await work(t, second));
      await untilWitnessed(node, log);
      assert.equal(await encrypt(), 'released');
      await witness.down();
      assert.equal(await encrypt(), 'released', 'within the bound');
      await until(async () => (await encrypt()) === 'ledger.unwitnessed');
      assert.equal(await encrypt(second), 'ledger.unwitnessed');
      await admit(node, 'keys.suspend', custodian, { key, reason: 'urgent' });
      await admit(node, 'keys.resume', custodian, { key, reason: 'not so urgent' });
      await node.rooms.witnessing.poll();
      const { withheld, withheldSince } = await show(node, log);
      assert.equal(withheld, true);
      assert.ok(withheldSince !== null);
      await witness.up();
      await until(async () => (await encrypt()) === 'released');
      assert.equal(await encrypt(second), 'released');
      await Promise.all([node.rooms.witnessing.poll(), second.rooms.witnessing.poll()]);
      const entries = await entriesOf(node.instance, tenant);
      const about = entries.filter(({ operation }) => String(operation).startsWith('witnessing.'));
      assert.deepEqual(
        about.map(({ operation, state }) => [operation, state]),
        [
          ['witnessing.set-policy', 'required'],
          ['witnessing.withhold', 'withheld'],
          ['witnessing.release', 'released'],
        ],
      );
      assert.ok(about.every(({ policy }) => policy === about[0]?.['policy'] && typeof policy === 'string'));
      const refused = entries.filter(({ code }) => code === 'ledger.unwitnessed');
      assert.ok(refused.length > 0 && refused.every(({ outcome }) => outcome === 'refused'));
      for (const stop of stops) await stop();
    },
  );
}

test('a start of withholding that has been overtaken writes nothing, though every other entry is witnessed [URS-034]', async (t) => {
  const [store] = stores;
  assert.ok(store);
  const { node, witness, tenant } = await arrange(t, store);
  const log = await setPolicy(node, tenant, { policy: policyOf([witness]) });
  const stop = await work(t, node);
  await untilWitnessed(node, log);
  await stop();
  const { size } = await show(node, log);
  const facts = new FactsCache(node.instance.database);
  const parts = { ...node.instance, facts, clock: systemClock, notes: { warn: assert.fail } };
  const current = await currentOf(parts, log);
  assert.ok(current);
  await recordWithholding(parts, { ...current, deadline: 0 });
  assert.equal((await show(node, log)).size, size);
});

test('in the background nothing is withheld, and the state is shown [URS-034]', async (t) => {
  const [store] = stores;
  assert.ok(store);
  const { node, witness, tenant, encrypt } = await arrange(t, store);
  await witness.down();
  const log = await setPolicy(node, tenant, {
    policy: policyOf([witness]),
    mode: 'background',
    boundSeconds,
  });
  const stop = await work(t, node);
  await until(async () => typeof (await show(node, log)).witnesses[0]?.failure === 'string');
  const begun = Date.now();
  await until(() => Date.now() - begun > (boundSeconds + 1) * 1000);
  assert.equal(await encrypt(), 'released');
  const { withheld, witnessedSize } = await show(node, log);
  assert.deepEqual([withheld, witnessedSize], [false, 0]);
  await stop();
});

test('where results wait for witnesses, proofs and checkpoints are of the witnessed size [URS-034]', async (t) => {
  const [store] = stores;
  assert.ok(store);
  const { node, witness, tenant, custodian, encrypt, admit } = await arrange(t, store);
  const log = await setPolicy(node, tenant, { policy: policyOf([witness]) });
  const stop = await work(t, node);
  await untilWitnessed(node, log);
  await stop();
  const { witnessedSize } = await show(node, log);
  assert.equal(await encrypt(), 'released');
  const checkpoint = await admit(node, 'ledger.checkpoint', custodian, {});
  assert.equal(checkpoint.split('\n')[1], String(witnessedSize));
  assert.match(checkpoint, /— witness\.example\/1 /);
  assert.match(await admit(node, 'ledger.proof', custodian, { index: 0 }), /— witness\.example\/1 /);
  await assert.rejects(
    admit(node, 'ledger.proof', custodian, { index: witnessedSize }),
    (error) => error instanceof OperationError && error.code === 'ledger.unwitnessed',
  );
});
