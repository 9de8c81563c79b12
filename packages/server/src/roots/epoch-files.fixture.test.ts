/** Stops the work on the files of epoch keys between any two steps. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { steps } from './epoch-files.ts';

export type Step = keyof typeof steps;

/** Has the process die before its nth step, or in the middle of it where that is an overwrite; nothing is done after that. */
export function dieAt(t: TestContext, nth: number, each: () => void = () => undefined) {
  const done: string[] = [];
  let isDead = false;
  const mocks = (Object.keys(steps) as Step[]).map((name) => {
    const real = steps[name] as (...args: unknown[]) => void;
    const step = (...args: unknown[]): void => {
      if (isDead) throw new Error('Dead.');
      if (done.push(name) === nth) {
        isDead = true;
        const [path] = args;
        if (name === 'overwrite' && typeof path === 'string') {
          const half = readFileSync(path);
          writeFileSync(path, half.fill(0xa5, 0, half.length >> 1), { flag: 'r+' });
        }
        throw new Error('The power went.');
      }
      real(...args);
      each();
    };
    return t.mock.method(steps, name, step as never);
  });
  return {
    done,
    /** Another step of the same work, which is not done on these files. */
    step: (name: string): void => {
      if (isDead) throw new Error('Dead.');
      if (done.push(name) !== nth) return;
      isDead = true;
      throw new Error('The power went.');
    },
    revive: () => {
      for (const { mock } of mocks) mock.restore();
    },
  };
}
