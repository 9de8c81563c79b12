import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { openNote, parseNote, verifierOf } from '@trialkeep/ledger';
import { verifyEd25519, verifyMlDsa44 } from '@trialkeep/crypto';
import { sha256 } from '../audit/index.ts';
import { makeInstallation, makeTenant, openNode, stores, until } from '../installation.fixture.test.ts';
import { cosignerFaults } from './faults.ts';
import type { CosignerFaultCode } from './faults.ts';
import { TestWitness, policyOf, setPolicy, show, untilWitnessed, work } from './witnessing.fixture.test.ts';
import type { Behaviour } from './witnessing.fixture.test.ts';

async function arrange(t: TestContext) {
  const [store] = stores;
  assert.ok(store);
  const installation = await makeInstallation(t, store);
  const node = await openNode(t, installation);
  const good = await TestWitness.start(t, 'witness.example/good');
  const bad = await TestWitness.start(t, 'witness.example/bad');
  const tenant = await makeTenant(node, installation.administrator);
  return { node, good, bad, tenant };
}

const expected: readonly (readonly [Behaviour, CosignerFaultCode])[] = [
  ['silent', 'slow'],
  ['down', 'unreachable'],
  ['huge', 'answer-too-large'],
  ['redirect', 'redirect'],
  ['forged', 'wrong-cosignature'],
  ['other-key', 'no-cosignature'],
  ['no-lines', 'malformed'],
  ['not-text', 'malformed'],
  ['ahead', 'ahead'],
  ['odd-size', 'malformed'],
  ['other-history', 'inconsistent'],
];

test('whatever one witness does, its fault is shown, and another one suffices where the policy says so [URS-034]', async (t) => {
  const { node, good, bad, tenant } = await arrange(t);
  const log = await setPolicy(node, tenant.tenant, { policy: policyOf([bad, good], 'any') });
  const stop = await work(t, node);
  await untilWitnessed(node, log);
  for (const [behaviour, fault] of expected) {
    bad.behaviour = behaviour;
    if (behaviour === 'down') await bad.down();
    await setPolicy(node, tenant.tenant, { policy: policyOf([bad, good], 'any') });
    await tenant.createKey();
    await untilWitnessed(node, log);
    await until(
      async () => (await show(node, log)).witnesses[0]?.failure?.startsWith(cosignerFaults[fault]) === true,
    );
    const { signatures } = parseNote(await node.instance.ledger.present(log));
    assert.ok(!signatures.some(({ name }) => name === bad.name), behaviour);
    if (behaviour === 'down') await bad.up();
  }
  bad.behaviour = 'honest';
  await setPolicy(node, tenant.tenant, { policy: policyOf([bad, good], 'all') });
  await untilWitnessed(node, log);
  await stop();
});

test('a late witness holds up nobody, and its cosignature is kept when it comes [URS-034]', async (t) => {
  const { node, good, bad, tenant } = await arrange(t);
  bad.delayMs = 1500;
  const log = await setPolicy(node, tenant.tenant, { policy: policyOf([good, bad], 'any') });
  const stop = await work(t, node);
  await tenant.createKey();
  await untilWitnessed(node, log);
  const late = verifierOf(
    sha256,
    { ed25519: verifyEd25519, mlDsa44: verifyMlDsa44 },
    bad.verifierKeys[0] ?? '',
  );
  await until(async () => {
    const note = await node.instance.ledger.present(log);
    return openNote(note, [late]).then(
      () => true,
      () => false,
    );
  });
  assert.ok(good.sizes.length >= bad.sizes.length);
  await stop();
});
