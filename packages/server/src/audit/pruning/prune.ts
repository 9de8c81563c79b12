import { minimumPruneAgeDays } from '@trialkeep/contract';
import type { OperationId } from '@trialkeep/contract';
import { LedgerError } from '@trialkeep/ledger';
import type { Database } from '../../platform/database.ts';
import { OperationError } from '../../platform/errors.ts';
import type { Apply, Context, Implementations } from '../../platform/implementation.ts';
import { schedule } from '../../platform/jobs/index.ts';
import type { JobHandler } from '../../platform/jobs/index.ts';
import type { Ledger } from '../ledger.ts';
import type { TransparencyLog } from '../transparency-log.ts';
import * as store from './store.ts';

export type PruneOperationId = Extract<OperationId, 'ledger.prune'>;

export interface PruneParts {
  readonly database: Database;
  readonly ledger: Ledger;
  /** Has due jobs looked for at once. */
  wake(): void;
}

/** The task of the jobs that delete pruned entries. */
export const pruneTask = 'ledger.prune';

const dayMs = 86_400_000;
/** Entries that are deleted in one transaction: some milliseconds of the writer. */
const entriesPerStep = 4096;

/** Binds pruning to its behaviour. */
export function pruneImplementations(parts: PruneParts): Implementations<PruneOperationId> {
  return { 'ledger.prune': (context) => prune(parts, context) };
}

/**
 * From the commit on nothing below is served; a job deletes it. What the archive's checkpoint covers is in this log's tree, whose
 * tiles stay: every proof can still be made, and the archive be checked by anyone.
 */
async function prune(
  { database, ledger, wake }: PruneParts,
  { input, caller, record, payload, now, afterCommit }: Context<'ledger.prune'>,
): Promise<Apply<'ledger.prune'>> {
  const log = ledger.log(caller.log.id);
  const { below } = input;
  record.prunedBelow = below;
  await log.integrate();
  const archived = await compare(log, input.checkpoint);
  if (archived < below) throw new OperationError('archive.mismatch', { field: '/checkpoint' });
  const bounds = await database.read((snapshot) => store.boundsOf(snapshot, log.id));
  const isNew = below > bounds.minimumIndex && below <= bounds.size;
  if (!isNew || (await log.timeOf(below - 1)) > now - minimumPruneAgeDays * dayMs) {
    throw new OperationError('prune.out_of_range', { field: '/below' });
  }
  payload['old'] = { minimumIndex: bounds.minimumIndex };
  payload['archive'] = { size: archived };
  afterCommit.push(async () => wake());
  return async (tx, time) => {
    const present = await store.boundsOf(tx, log.id);
    if (below <= present.minimumIndex) throw new OperationError('prune.out_of_range', { field: '/below' });
    await store.setPrunedBelow(tx, log.id, below);
    const job = { name: `${pruneTask}/${log.id}`, task: pruneTask, input: { log: log.id }, dueAt: time };
    await schedule(tx, job);
    return { minimumIndex: below, prunedAt: time };
  };
}

/** The size of the archive's checkpoint, which has to be of this log's history. */
async function compare(log: TransparencyLog, checkpoint: string): Promise<number> {
  const mismatch = new OperationError('archive.mismatch', { field: '/checkpoint' });
  try {
    const { size, contradiction } = await log.compare(Buffer.from(checkpoint, 'utf8'));
    if (contradiction !== undefined) throw mismatch;
    return size;
  } catch (error) {
    if (error instanceof LedgerError) throw mismatch;
    throw error;
  }
}

/** Deletes step by step; a run that is cut off goes on where it was. */
export function pruneHandler(database: Database): JobHandler {
  return async (job) => {
    const { log } = job.input;
    if (typeof log !== 'number') throw new Error('The job names no log.');
    for (;;) {
      const done = await database.write(async (tx) => {
        const { below, deleted } = await store.deletionOf(tx, log);
        if (deleted >= below) {
          await job.complete(tx);
          return true;
        }
        await store.deleteEntries(tx, log, deleted, Math.min(below, deleted + entriesPerStep));
        return false;
      });
      if (done) return;
    }
  };
}
