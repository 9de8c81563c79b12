import { parentPort } from 'node:worker_threads';
import { wrapAnew } from './wrap-anew.ts';
import type { Batch } from './wrap-anew.ts';

parentPort?.on('message', (batch: Batch) => parentPort?.postMessage(wrapAnew(batch)));
