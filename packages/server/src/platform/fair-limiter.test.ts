import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { refusal } from '../fixture.test.ts';
import { FairLimiter } from './fair-limiter.ts';

/** Work that ends when it is told to, and what of it has begun. */
class Works {
  readonly begun: string[] = [];
  readonly #ends: (() => void)[] = [];

  do(name: string): () => Promise<string> {
    return async () => {
      this.begun.push(name);
      await new Promise<void>((resolve) => this.#ends.push(resolve));
      return name;
    };
  }

  /** Ends the one that began first. */
  async end(): Promise<void> {
    this.#ends.shift()?.();
    await setImmediate();
  }
}

const bounds = { maxRunning: 3, maxRunningOfOwner: 2, maxWaiting: 5, maxWaitingOfOwner: 3 };

test('one owner takes neither every place nor the whole line, and owners take turns [URS-002]', async () => {
  const limiter = new FairLimiter(bounds);
  const works = new Works();
  const run = (owner: string, name: string): Promise<string> => limiter.run(owner, works.do(name));
  const many = Array.from({ length: 5 }, (_, i) => run('a', `a${i}`));
  await assert.rejects(run('a', 'a5'), refusal('server.busy'));
  assert.deepEqual(works.begun, ['a0', 'a1']);
  const others = [run('b', 'b0'), run('b', 'b1'), run('b', 'b2')];
  await assert.rejects(run('c', 'c0'), refusal('server.busy'));
  assert.deepEqual(works.begun, ['a0', 'a1', 'b0']);
  await works.end();
  await works.end();
  // Whoever was served last comes last.
  assert.deepEqual(works.begun, ['a0', 'a1', 'b0', 'a2', 'b1']);
  for (let i = 0; i < 6; i++) await works.end();
  assert.deepEqual(await Promise.all([...many, ...others]), ['a0', 'a1', 'a2', 'a3', 'a4', 'b0', 'b1', 'b2']);
  assert.deepEqual([...works.begun].toSorted(), ['a0', 'a1', 'a2', 'a3', 'a4', 'b0', 'b1', 'b2']);
});

test('work that fails gives its place back', async () => {
  const limiter = new FairLimiter({ ...bounds, maxRunning: 1, maxRunningOfOwner: 1 });
  const failing = limiter.run('a', () => Promise.reject(new Error('a failure')));
  const next = limiter.run('a', () => Promise.resolve('done'));
  await assert.rejects(failing, /a failure/);
  assert.equal(await next, 'done');
  assert.equal(await limiter.run('b', () => Promise.resolve('done')), 'done');
});
