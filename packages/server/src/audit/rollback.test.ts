import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { anchorFile, append, checkpoints, makeScene, putBack, sizeOf } from '../ledger.fixture.test.ts';
import type { Node } from '../ledger.fixture.test.ts';
import { testOnStores } from '../platform/fixture.test.ts';

const inRecovery = { code: 'server.in_recovery' };

testOnStores(
  'a database that was put back underneath is noticed by the poll, by a checkpoint and by an append [URS-080]',
  async (t, under) => {
    const notices: readonly ((node: Node) => Promise<unknown>)[] = [
      ({ ledger }) => ledger.poll(),
      ({ ledger }) => ledger.anchorNow(ledger.instanceLog.id),
      ({ ledger }) => ledger.instanceLog.integrate(),
      (node) => append(node, 1),
    ];
    for (const notice of notices) {
      const node = await (await makeScene(t, under)).start();
      await append(node, 9);
      await node.ledger.anchorNow(node.ledger.instanceLog.id);
      await putBack(node, 5);
      const kept = readFileSync(anchorFile(node.anchor));
      await assert.rejects(notice(node), inRecovery);
      assert.equal(node.rolledBack.length, 1);
      // Once noticed nothing more is appended, signed or anchored here.
      for (const again of notices) await assert.rejects(again(node), inRecovery);
      assert.equal(node.rolledBack.length, 1);
      assert.deepEqual(readFileSync(anchorFile(node.anchor)), kept);
      assert.deepEqual([(await sizeOf(node)).size, await checkpoints(node)], [5, [1]]);
    }
  },
);

testOnStores(
  'a database that was put back and has grown again is noticed by its other history [URS-080]',
  async (t, under) => {
    const scene = await makeScene(t, under);
    const node = await scene.start();
    await append(node, 9);
    await node.ledger.anchorNow(node.ledger.instanceLog.id);
    await putBack(node, 5);
    // Another node, which has not seen what was lost, goes on.
    const other = await scene.start('other');
    for (const count of [5, 300]) {
      await append(other, count);
      await other.ledger.instanceLog.integrate();
    }
    await assert.rejects(node.ledger.anchorNow(node.ledger.instanceLog.id), inRecovery);
    assert.match(node.rolledBack.join(), /has another history/);
    const { reasons } = await scene.start();
    assert.match(reasons.join(), /differs from the anchor's at 10 entries/);
  },
);

testOnStores('a tree that alone was put back is noticed [URS-080]', async (t, under) => {
  const scene = await makeScene(t, under);
  const node = await scene.start();
  await append(node, 9);
  await node.ledger.instanceLog.integrate();
  const { size } = await sizeOf(node);
  await putBack(node, 5);
  await node.database.write((tx) => tx.updateTable('head').set({ size }).execute());
  await assert.rejects(node.ledger.instanceLog.integrate(), inRecovery);
  assert.match(node.rolledBack.join(), /tree of log .* had 10 entries, and has 5/);
});
