import { rotationOverlapDays } from '@trialkeep/contract';
import type { OperationId } from '@trialkeep/contract';
import type { Hierarchy } from '../../keys/index.ts';
import type { Tx } from '../../platform/database.ts';
import { OperationError } from '../../platform/errors.ts';
import type { FactsCache } from '../../platform/facts.ts';
import type { Apply, Context, Implementations } from '../../platform/implementation.ts';
import { remove, schedule } from '../../platform/jobs/index.ts';
import type { JobHandler, NewJob } from '../../platform/jobs/index.ts';
import { sealDraft } from '../entry.ts';
import type { Ledger } from '../ledger.ts';
import { changeOwn } from '../own-entries.ts';
import { keyIdOf, logKeyAlgorithms, newLogKey } from './keys.ts';
import * as store from './store.ts';

export type LogKeyOperationId = Extract<OperationId, `ledger.${'rotate' | 'retire'}-key`>;

/** The task of the jobs that end overlaps. */
export const retirementTask = 'ledger.retire-key';

const dayMs = 86_400_000;

const jobName = (log: number): string => `${retirementTask}/${log}`;

/** The job that ends the overlap of a log's keys. */
export function retirementJob(log: number, endsAt: number): NewJob {
  return { name: jobName(log), task: retirementTask, input: { log, endsAt }, dueAt: endsAt };
}

/** Binds the change of a log's signing keys to its behaviour. */
export function logKeyImplementations(hierarchy: Hierarchy): Implementations<LogKeyOperationId> {
  return {
    'ledger.rotate-key': (context) => rotate(hierarchy, context),
    'ledger.retire-key': (context) => retire(context),
  };
}

/**
 * New keys sign from the next checkpoint on, beside the old ones. The entry holds the new verifier keys and is under a checkpoint
 * that the old keys sign: whoever trusts those finds the new ones in the log.
 */
async function rotate(
  hierarchy: Hierarchy,
  { input, caller, facts, record }: Context<'ledger.rotate-key'>,
): Promise<Apply<'ledger.rotate-key'>> {
  const { log } = caller;
  const refuseRotating = (rows: readonly store.LogKeyRow[]): void => {
    if (rows.some(({ state }) => state === 'ending')) throw new OperationError('log_key.rotating');
  };
  refuseRotating(await facts.read((snapshot) => store.logKeys(snapshot, log.id)));
  const made = logKeyAlgorithms.map((algorithm) => newLogKey(hierarchy, log, algorithm));
  const overlapMs = (input.overlapDays ?? rotationOverlapDays.usual) * dayMs;
  return async (tx, time) => {
    const rows = await store.logKeys(tx, log.id);
    refuseRotating(rows);
    const ends = rows.filter(({ state }) => state === 'active').map((row) => keyIdOf(row.verifier_key));
    const endsAt = time + overlapMs;
    const from_size = await store.sizeOfLog(tx, log.id);
    await store.endActiveKeys(tx, log.id, endsAt);
    await store.insertLogKeys(
      tx,
      made.map((key) => ({ ...key, log: log.id, from_size })),
    );
    await schedule(tx, retirementJob(log.id, endsAt));
    const begins = made.map(({ verifier_key }) => verifier_key);
    record.logKeys = { begins, ends, endsAt };
    return { begins, ends, endsAt };
  };
}

async function retire({
  caller,
  facts,
  record,
}: Context<'ledger.retire-key'>): Promise<Apply<'ledger.retire-key'>> {
  const { log } = caller;
  const rows = await facts.read((snapshot) => store.logKeys(snapshot, log.id));
  if (!rows.some(({ state }) => state === 'ending')) throw new OperationError('log_key.not_rotating');
  return async (tx) => {
    const ends = await destroyEnding(tx, log.id);
    if (ends.length === 0) throw new OperationError('log_key.not_rotating');
    await remove(tx, jobName(log.id));
    record.logKeys = { ends };
    return { ends };
  };
}

/** The key ids of those that were ending, and are destroyed now. */
export async function destroyEnding(tx: Tx, log: number): Promise<string[]> {
  const ending = (await store.logKeys(tx, log)).filter(({ state }) => state === 'ending');
  await store.destroyEndingKeys(tx, log, await store.sizeOfLog(tx, log));
  return ending.map(({ verifier_key }) => keyIdOf(verifier_key));
}

/** Ends the overlap of a rotation when it is over. */
export function retirementHandler({ ledger, facts }: { ledger: Ledger; facts: FactsCache }): JobHandler {
  return async (job) => {
    const { log: id } = job.input;
    if (typeof id !== 'number') throw new Error('The job names no log.');
    const log = await ledger.open(id);
    // Ending it by hand takes the job away: here there are keys that end.
    await changeOwn(ledger, facts, id, async (tx) => {
      await job.complete(tx);
      const logKeys = { ends: await destroyEnding(tx, id) };
      const recorded = { logKeys, reason: 'policy' };
      const draft = { operation: 'ledger.retire-key', outcome: 'success' as const, recorded };
      return { result: undefined, draft: sealDraft(draft, log.origin, {}, log.payloadKey) };
    });
  };
}
