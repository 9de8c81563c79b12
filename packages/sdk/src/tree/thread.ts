import { enableCompileCache } from 'node:module';
import { workerData } from 'node:worker_threads';
import type { ThreadData } from './protocol.ts';

/** Begins a thread. It uses the compiled code that the process keeps, if it does, and therefore loads everything else only then. */

const { compileCache } = workerData as ThreadData;
if (compileCache !== undefined) enableCompileCache(compileCache);
await import('./serve-jobs.ts');
