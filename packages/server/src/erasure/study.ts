import type { KeyObject } from 'node:crypto';
import type { OperationId, Operations, Output } from '@trialkeep/contract';
import { changeOwn, sealDraft } from '../audit/index.ts';
import type { Ledger } from '../audit/index.ts';
import { beginEffect } from '../effects/index.ts';
import type { HoldCheck } from '../holds/index.ts';
import { findStudyErasure, putStudyErasure } from '../keys/index.ts';
import type { Hierarchy, StudyErasure } from '../keys/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { FactsCache } from '../platform/facts.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context, Implementations } from '../platform/implementation.ts';
import { remove, schedule } from '../platform/jobs/index.ts';
import type { Job, JobHandler } from '../platform/jobs/index.ts';
import * as store from './store.ts';

export type StudyErasureOperationId = Extract<OperationId, 'studies.erase' | 'studies.cancel-erasure'>;

/** The task of the jobs that erase studies whose waiting period is over. */
export const studyErasureTask = 'studies.erase';

const defaultWaitingDays = 30;
const dayMs = 86_400_000;

interface StudyErasureParts {
  readonly hierarchy: Hierarchy;
  readonly holds: Pick<HoldCheck, 'ofStudy'>;
}

/** Binds the erasure of whole studies to its behaviour: it waits, as the destruction of a key does, and then ends as that of a subject. */
export function studyErasureImplementations(
  parts: StudyErasureParts,
): Implementations<StudyErasureOperationId> {
  return {
    'studies.erase': (context) => erase(parts, context),
    'studies.cancel-erasure': (context) => cancel(parts, context),
  };
}

function view({ study, state, due_at }: StudyErasure): Output<Operations['studies.erase']> {
  if (state !== 'waiting' && state !== 'cancelled') throw new Error(`Study ${study} is ${state}.`);
  return { study, state, dueAt: due_at };
}

async function erase(
  { hierarchy, holds }: StudyErasureParts,
  context: Context<'studies.erase'>,
): Promise<Apply<'studies.erase'>> {
  const { input, caller, facts, now, record } = context;
  const tenant = tenantOf(caller);
  const { study } = input;
  record.study = study;
  const [rowKey, heldIn] = await Promise.all([hierarchy.rowKey(tenant), holds.ofStudy(tenant, study)]);
  const admit = async (tx: Tx, time: number): Promise<void> => {
    if (!(await store.studyExists(tx, tenant, study))) {
      throw new OperationError('study.unknown', { field: '/study' });
    }
    const known = await findStudyErasure(tx, rowKey, tenant, study);
    if (known !== undefined && known.state !== 'cancelled') {
      throw new OperationError('study.erasing', { field: '/study', detail: `It is ${known.state}.` });
    }
    const hold = await heldIn(tx, time);
    if (hold === undefined) return;
    record.hold = hold;
    throw new OperationError('hold.applies', { field: '/study', detail: `It is hold ${hold}.` });
  };
  // People are not asked to approve what cannot be done.
  await facts.read((snapshot) => admit(snapshot, now));
  return async (tx, time) => {
    await admit(tx, time);
    const due_at = time + (input.waitingDays ?? defaultWaitingDays) * dayMs;
    const row: StudyErasure = { study, tenant, state: 'waiting', due_at, changed_at: time };
    await putStudyErasure(tx, rowKey, row);
    await scheduleErasure(tx, row);
    Object.assign(record, { state: row.state, dueAt: due_at });
    return view(row);
  };
}

async function cancel(
  { hierarchy }: StudyErasureParts,
  { input, caller, record, payload }: Context<'studies.cancel-erasure'>,
): Promise<Apply<'studies.cancel-erasure'>> {
  const tenant = tenantOf(caller);
  const { study } = input;
  record.study = study;
  const rowKey = await hierarchy.rowKey(tenant);
  return async (tx, time) => {
    if (!(await store.studyExists(tx, tenant, study))) {
      throw new OperationError('study.unknown', { field: '/study' });
    }
    const known = await findStudyErasure(tx, rowKey, tenant, study);
    if (known?.state !== 'waiting') throw new OperationError('study.erasure_none', { field: '/study' });
    payload['old'] = { state: known.state, dueAt: known.due_at };
    const row = { ...known, state: 'cancelled', changed_at: time } as const;
    await putStudyErasure(tx, rowKey, row);
    await cancelErasure(tx, study);
    record.state = row.state;
    return view(row);
  };
}

function jobName(study: string): string {
  return `${studyErasureTask}/${study}`;
}

/** Makes the erasure the only one of the study that is waiting, in the transaction that writes its row. */
export async function scheduleErasure(
  tx: Tx,
  { study, tenant, due_at: dueAt }: Pick<StudyErasure, 'study' | 'tenant' | 'due_at'>,
): Promise<void> {
  await schedule(tx, {
    name: jobName(study),
    task: studyErasureTask,
    input: { dueAt, study, tenant },
    dueAt,
  });
}

export async function cancelErasure(tx: Tx, study: string): Promise<void> {
  await remove(tx, jobName(study));
}

/** Means, in this transaction, that the keys of the study go; a job does it (effects/). */
export async function beginStudyErasure(
  tx: Tx,
  { rowKey, log, time }: { readonly rowKey: KeyObject; readonly log: number; readonly time: number },
  row: StudyErasure,
): Promise<void> {
  const { study, tenant } = row;
  await putStudyErasure(tx, rowKey, { ...row, state: 'erasing', changed_at: time });
  await store.setStates(tx, study, 'erasing');
  await beginEffect(tx, { rowKey, log, kind: 'shred.remove-study', input: { study, tenant }, time });
}

export interface StudyErasureJobParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly holds: Pick<HoldCheck, 'ofStudy'>;
}

/** Erases studies when their waiting period is over; where a hold was placed meanwhile, calls it off: people decide anew. */
export function studyErasureHandler(parts: StudyErasureJobParts): JobHandler {
  return async (job) => {
    const { study, tenant, dueAt } = job.input;
    if (typeof study !== 'string' || typeof tenant !== 'string')
      throw new TypeError('The job names no study.');
    const rowKey = await parts.hierarchy.rowKey(tenant);
    const row = await parts.database.read((tx) => findStudyErasure(tx, rowKey, tenant, study));
    if (row?.state === 'waiting' && row.due_at === dueAt) await carryOut(parts, job, row, rowKey);
    else await parts.database.write((tx) => job.complete(tx));
  };
}

async function carryOut(
  { facts, holds, ledger }: StudyErasureJobParts,
  job: Job,
  wanted: StudyErasure,
  rowKey: KeyObject,
): Promise<void> {
  const { study, tenant } = wanted;
  const log = await ledger.openOfTenant(tenant);
  if (log === undefined) throw new Error(`Tenant ${tenant} has no log.`);
  const heldIn = await holds.ofStudy(tenant, study);
  await changeOwn(ledger, facts, log.id, async (tx, time) => {
    await job.complete(tx);
    const row = await findStudyErasure(tx, rowKey, tenant, study);
    if (row?.state !== 'waiting' || row.due_at !== wanted.due_at) {
      throw new Error(`The erasure of study ${study} has changed since it began.`);
    }
    const old = { state: row.state, dueAt: row.due_at };
    const hold = await heldIn(tx, time);
    const recorded = { study, state: hold === undefined ? 'erasing' : 'cancelled' };
    if (hold === undefined) await beginStudyErasure(tx, { rowKey, log: log.id, time }, row);
    else await putStudyErasure(tx, rowKey, { ...row, state: 'cancelled', changed_at: time });
    const draft =
      hold === undefined
        ? ({ operation: 'studies.erase', outcome: 'success', recorded } as const)
        : ({
            operation: 'studies.cancel-erasure',
            outcome: 'success',
            recorded: { ...recorded, hold, reason: 'hold' },
          } as const);
    return { result: undefined, draft: sealDraft(draft, log.origin, { old }, log.payloadKey) };
  });
}
