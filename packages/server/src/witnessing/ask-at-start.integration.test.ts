import assert from 'node:assert/strict';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import {
  makeFolder,
  makeInstallation,
  makeTenant,
  openNode,
  stores,
  until,
} from '../installation.fixture.test.ts';
import type { Node } from '../installation.fixture.test.ts';
import { OperationError } from '../platform/errors.ts';
import { systemClock } from '../platform/clock.ts';
import { askAtStart } from './ask-at-start.ts';
import { PolicyFolder } from './policy-file.ts';
import { TestWitness, policyOf, setPolicy, untilWitnessed, work } from './witnessing.fixture.test.ts';
import type { PolicyChange } from './witnessing.fixture.test.ts';

const ask = ({ instance }: Node) =>
  askAtStart(
    { ...instance, clock: systemClock, notes: { warn: () => undefined } },
    new PolicyFolder(instance.directory.anchor),
  );

/** A closed installation whose one tenant was witnessed, and a copy of its data directory from before its last entries. */
async function arrange(t: TestContext, witnesses: number, change: (all: TestWitness[]) => PolicyChange) {
  const [store] = stores;
  assert.ok(store);
  const installation = await makeInstallation(t, store);
  const all: TestWitness[] = [];
  for (let i = 0; i < witnesses; i++) all.push(await TestWitness.start(t, `witness.example/${i}`));
  const first = await openNode(t, installation);
  const tenant = await makeTenant(first, installation.administrator);
  const log = await setPolicy(first, tenant.tenant, change(all));
  const stop = await work(t, first);
  await untilWitnessed(first, log);
  await stop();
  await first.close();
  const copy = join(makeFolder(t), 'copy');
  cpSync(installation.data, copy, { recursive: true });
  const again = await openNode(t, installation);
  const stopAgain = await work(t, again);
  const { gate } = again.rooms;
  const request = {
    authorization: `Bearer ${installation.administrator}`,
    source: '192.0.2.1',
    requestId: 'r',
  };
  await gate.admit({ operation: 'tenants.create', input: { name: 'another' }, ...request });
  await setPolicy(again, tenant.tenant, change(all));
  await untilWitnessed(again, log);
  await stopAgain();
  await again.close();
  return { installation, all, tenant: tenant.tenant, log, copy };
}

/** Puts the whole data directory back, the anchor included. */
function putBack(data: string, copy: string): void {
  rmSync(data, { recursive: true });
  cpSync(copy, data, { recursive: true });
}

const required = (needed: number | 'all' | 'any') => (all: TestWitness[]) => ({
  policy: policyOf(all, needed),
});

test('a whole data directory that is put back is caught by a witness, and not by its own anchor [URS-080]', async (t) => {
  const { installation, copy } = await arrange(t, 1, required('all'));
  putBack(installation.data, copy);
  const node = await openNode(t, installation);
  assert.deepEqual(node.instance.recovery, []);
  const { contradictions, unknown } = await ask(node);
  assert.match(contradictions.join(' '), /witness w0 knows of it speaks against the database/);
  assert.deepEqual(unknown, []);
});

test('a database that has forgotten its policy is caught by the one in the anchor folder [URS-080]', async (t) => {
  const { installation, copy } = await arrange(t, 1, required('all'));
  const anchor = join(installation.data, 'anchor');
  const kept = join(makeFolder(t), 'anchor');
  cpSync(anchor, kept, { recursive: true });
  putBack(installation.data, copy);
  for (const name of ['anchor']) rmSync(join(installation.data, name), { recursive: true });
  cpSync(kept, anchor, { recursive: true });
  assert.ok(existsSync(anchor));
  const node = await openNode(t, installation);
  const { forgotten } = await ask(node);
  assert.match(forgotten.join(' '), /has forgotten the newest witnessing policy/);
});

test('a running server that is shown proof of a roll-back releases nothing any more [URS-080]', async (t) => {
  const { installation, copy, all } = await arrange(t, 1, required('all'));
  putBack(installation.data, copy);
  const node = await openNode(t, installation);
  const stop = await work(t, node);
  const { ledger } = node.instance;
  // What would be asked about grows, so that the witness is asked.
  const { gate } = node.rooms;
  const request = {
    authorization: `Bearer ${installation.administrator}`,
    source: '192.0.2.1',
    requestId: 'r',
  };
  await until(async () => {
    for (const log of ledger.logs) {
      if (log.tenant !== null)
        await setPolicy(node, log.tenant, { policy: policyOf(all) }).catch(() => undefined);
    }
    return gate.admit({ operation: 'tenants.list', input: {}, ...request }).then(
      () => false,
      (error: unknown) => error instanceof OperationError && error.code === 'server.in_recovery',
    );
  });
  await stop();
});

test('where a quorum is required, too few answers keep the server in recovery [URS-080]', async (t) => {
  const { installation, all } = await arrange(t, 3, required(2));
  const [one, two, three] = all;
  assert.ok(one && two && three);
  const node = await openNode(t, installation);
  const unknownWith = async (...down: TestWitness[]): Promise<number> => {
    for (const witness of down) await witness.down();
    const { contradictions, unknown, unreached } = await ask(node);
    for (const witness of down) await witness.up();
    assert.deepEqual(contradictions, []);
    assert.equal(unreached.length, down.length);
    return unknown.length;
  };
  assert.equal(await unknownWith(), 0);
  assert.equal(await unknownWith(one), 0, 'the other two know every witnessed head');
  assert.equal(await unknownWith(one, three), 1, 'the two that are away could have witnessed more');
  assert.equal(await unknownWith(one, two, three), 1);
});

test('in the background a witness that cannot be asked keeps nobody from starting [URS-080]', async (t) => {
  const { installation, all } = await arrange(t, 1, (witnesses) => ({
    policy: policyOf(witnesses),
    mode: 'background' as const,
  }));
  await all[0]?.down();
  const { contradictions, unknown, unreached } = await ask(await openNode(t, installation));
  assert.deepEqual([contradictions, unknown, unreached.length], [[], [], 1]);
});

test('a witness that only says that it knows more is believed at start [URS-080]', async (t) => {
  const { installation, all } = await arrange(t, 1, required('all'));
  const [witness] = all;
  assert.ok(witness);
  witness.behaviour = 'ahead';
  const { contradictions } = await ask(await openNode(t, installation));
  assert.match(contradictions.join(' '), /witness w0 says \d+/);
});
