import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Turns } from './turns.ts';

const taker = { name: 1, owner: 'a', urgent: false };

test('turns of one name are taken one after the other, also after one has failed', async () => {
  const turns = new Turns(10);
  const seen: string[] = [];
  const turn = (name: string) => async () => {
    seen.push(`${name} begins`);
    await setImmediate();
    seen.push(`${name} ends`);
    if (name === 'first') throw new Error('first');
  };
  const first = turns.take(taker, turn('first'));
  const second = turns.take(taker, turn('second'));
  await assert.rejects(first, /first/);
  await second;
  assert.deepEqual(seen, ['first begins', 'first ends', 'second begins', 'second ends']);
});

test('who waits too often is turned away, others and what is urgent are not [URS-004]', async () => {
  const turns = new Turns(2);
  const waiting = [turns.take(taker, () => setImmediate()), turns.take(taker, () => setImmediate())];
  await assert.rejects(
    turns.take(taker, () => setImmediate()),
    { code: 'server.busy' },
  );
  waiting.push(turns.take({ ...taker, owner: 'b' }, () => setImmediate()));
  waiting.push(turns.take({ ...taker, urgent: true }, () => setImmediate()));
  await Promise.all(waiting);
  await turns.take(taker, () => setImmediate());
});
