import assert from 'node:assert/strict';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';
import workerThreads from 'node:worker_threads';
import type { WorkerOptions } from 'node:worker_threads';
import { file, inWorld } from './fixture.test.ts';
import { openTree, sealTree } from './index.ts';

// The network and the server are replaced (../seal/fixture.test.ts), and threads by such as crash; formats, keys and files are real.

/** Runs work whose threads do `crash` when they are given such a job. */
async function withCrashing(kind: string, crash: string, work: () => Promise<void>): Promise<void> {
  const real = workerThreads.Worker;
  const code = `require('node:worker_threads').parentPort.on('message', (message) => {
    if (message.kind === '${kind}') setTimeout(() => { ${crash} }, 20);
  })`;
  class Crashing extends real {
    constructor(_: string | URL, options?: WorkerOptions) {
      super(code, { ...options, eval: true });
    }
  }
  workerThreads.Worker = Crashing;
  syncBuiltinESMExports();
  try {
    await work();
  } finally {
    workerThreads.Worker = real;
    syncBuiltinESMExports();
  }
}

test(
  'a thread that crashes ends the work with its error, and keeps nobody waiting',
  { timeout: 60_000 },
  async () => {
    const entries = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`f${index}`, file('x')]));
    await inWorld(entries, async ({ source, sealed, opened, keys }) => {
      await sealTree(keys, { sources: [source], target: sealed, threads: 0 });
      for (const [crash, error] of [
        ["throw new Error('crashed')", /crashed/],
        ['process.exit(3)', /ended with 3/],
      ] as const) {
        await withCrashing('open', crash, async () => {
          for (const threads of [1, 2])
            await assert.rejects(openTree(keys, { source: sealed, target: opened, threads }), error);
        });
        await withCrashing('list', crash, async () => {
          const options = { sources: [source], target: `${sealed}2`, overwrite: true, threads: 1 };
          await assert.rejects(sealTree(keys, options), error);
        });
      }
    });
  },
);
