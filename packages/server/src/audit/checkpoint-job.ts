import type { JobHandler, NewJob } from '../platform/jobs/index.ts';
import type { Ledger } from './ledger.ts';

/** The task whose jobs sign checkpoints. */
export const checkpointTask = 'ledger.checkpoint';

/**
 * The job that signs the next checkpoint of a log: one at a time, whichever node noticed that the log has grown. Due at the
 * database's present time, so that it takes its turn among the other jobs.
 */
export function checkpointJob(log: number, dueAt: number): NewJob {
  return { name: `${checkpointTask}/${log}`, task: checkpointTask, input: { log }, dueAt };
}

/** Integrates, signs, anchors, and ends the job in the transaction that stores the checkpoint. */
export function checkpointHandler(ledger: Ledger): JobHandler {
  return async (job) => {
    const { log } = job.input;
    if (typeof log !== 'number') throw new Error('The job names no log.');
    await ledger.anchorNow(log, (tx) => job.complete(tx));
  };
}
