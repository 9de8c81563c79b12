import { parentPort, workerData } from 'node:worker_threads';
import type { EvidenceFiles } from '@trialkeep/evidence';
import { makeEvidence } from '@trialkeep/evidence/make';
import type { Made } from './maker.ts';

let made: Made;
try {
  made = { pdf: await makeEvidence(workerData as EvidenceFiles) };
} catch (error) {
  made = { error: String(error) };
}
parentPort?.postMessage(made);
