import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace } from './pace.ts';

test('the event loop goes round between any two turns, whoever takes them [URS-002]', async () => {
  const pace = new Pace();
  let rounds = 0;
  let isOver = false;
  const count = (): void => {
    rounds += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const seen: { worker: number; round: number }[] = [];
  const work = async (worker: number): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) {
      await pace.turn();
      seen.push({ worker, round: rounds });
    }
  };
  await Promise.all([0, 1, 2].map(work));
  isOver = true;
  seen.slice(1).forEach(({ round }, i) => assert.ok(round > (seen[i]?.round ?? 0), JSON.stringify(seen)));
  // Each has its turn before anybody has another.
  for (let start = 0; start < seen.length; start += 3) {
    const workers = seen.slice(start, start + 3).map(({ worker }) => worker);
    assert.deepEqual(new Set(workers), new Set([0, 1, 2]));
  }
});

test('a turn is over once it has taken its time', async () => {
  const pace = new Pace();
  const isOver = await pace.turn();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(isOver(), true);
});
