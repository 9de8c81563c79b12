import { Worker } from 'node:worker_threads';
import type { EvidenceFiles } from '@trialkeep/evidence';

/** What the thread answers. */
export type Made = { readonly pdf: Uint8Array } | { readonly error: string };

let last: Promise<unknown> = Promise.resolve();

/**
 * Makes the pages in a thread of their own, one document after another: a long answer takes seconds, which nobody else is to
 * wait for.
 */
export function makeInThread(files: EvidenceFiles): Promise<Uint8Array> {
  const made = last.then(
    () => make(files),
    () => make(files),
  );
  last = made.catch(() => undefined);
  return made;
}

async function make(files: EvidenceFiles): Promise<Uint8Array> {
  const worker = new Worker(new URL('./maker-thread.ts', import.meta.url), { workerData: files });
  try {
    return await new Promise((resolve, reject) => {
      worker.once('message', (made: Made) => {
        if ('pdf' in made) resolve(made.pdf);
        else reject(new Error(`The evidence document could not be made: ${made.error}`));
      });
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('The evidence document could not be made.')));
    });
  } finally {
    await worker.terminate();
  }
}
