import type { KeyObject } from 'node:crypto';
import type { Operations, Output } from '@trialkeep/contract';
import { changeOwn, sealDraft } from '../audit/index.ts';
import type { SealedDraft, TransparencyLog } from '../audit/index.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { schedule } from '../platform/jobs/index.ts';
import type { JobHandler, NewJob } from '../platform/jobs/index.ts';
import type { Tx } from '../platform/database.ts';
import { changeKey } from './change.ts';
import type { KeyChange, LifecycleParts } from './change.ts';
import { recordedKey } from './recorded-key.ts';
import { nextRotation, periodOf, scheduleRotation } from './rotation.ts';
import type { RotationParts } from './rotation.ts';
import { policyDays, putPolicy } from './rotation-policy-store.ts';
import { stateAt } from './states.ts';
import * as store from './store.ts';

/** The task of the jobs that bring the dates of keys in line with a new policy. */
export const policyTask = 'keys.set-rotation-policy';

/** Brings the dates of the tenant's keys in line with its policy. */
export function policyJob(tenant: string): NewJob {
  return { name: `${policyTask}/${tenant}`, task: policyTask, input: { tenant }, dueAt: 0 };
}

/** Keys whose dates change in one transaction: while it lasts, the log takes no other entry. */
const keysTogether = 50;
/** What the uses of keys have for themselves until the next of them, ms. */
const pauseMs = 500;

type PolicyView = Output<Operations['keys.rotation-policy']>;

/** Gives a key a period of its own, or the tenant's, and says how long its old versions process. */
export async function setRotation(
  parts: LifecycleParts,
  context: Context<'keys.set-rotation'>,
): Promise<Apply<'keys.set-rotation'>> {
  const { input, payload, record, caller } = context;
  if (input.recipientPeriodDays !== undefined) record.recipientPeriodDays = input.recipientPeriodDays ?? 0;
  const rowKey = await parts.hierarchy.rowKey(tenantOf(caller));
  return changeKey(parts, context, async (tx, row, time) => {
    const state = stateAt(row, time);
    if (state === 'destroyed') {
      throw new OperationError('key.transition_undefined', {
        field: '/key',
        detail: `Its state is ${state}.`,
      });
    }
    const { own_rotation, rotation_period_days, recipient_period_days } = row;
    payload['before'] = { own: own_rotation === 1, rotation_period_days, recipient_period_days };
    if (input.recipientPeriodDays !== undefined) row.recipient_period_days = input.recipientPeriodDays;
    if (input.periodDays === undefined) return;
    row.own_rotation = input.periodDays === null ? 0 : 1;
    if (input.periodDays !== null) row.rotation_period_days = input.periodDays;
    row.rotation_period_days = await periodOf(tx, rowKey, row);
    await redate(tx, row, time);
  });
}

/** The date that follows from the key's period; it goes by the newest version, and may have passed. */
async function redate(tx: Tx, row: KeyChange, time: number): Promise<void> {
  const made = await store.newestMadeAt(tx, row.id);
  row.rotation_due_at = nextRotation(made, row);
  const state = stateAt(row, time);
  if (state === 'active' || state === 'pre-activation') await scheduleRotation(tx, row);
}

export async function setPolicy(
  { hierarchy }: LifecycleParts,
  { input, caller, payload, record }: Context<'keys.set-rotation-policy'>,
): Promise<Apply<'keys.set-rotation-policy'>> {
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  const { periodDays } = input;
  record.rotationPeriodDays = periodDays;
  return async (tx, time) => {
    payload['old'] = { periodDays: await policyDays(tx, rowKey, tenant) };
    await putPolicy(tx, rowKey, { tenant, period_days: periodDays, changed_at: time });
    await schedule(tx, policyJob(tenant));
    return { periodDays };
  };
}

export async function showPolicy(
  { hierarchy }: LifecycleParts,
  { caller, facts }: Context<'keys.rotation-policy'>,
): Promise<PolicyView> {
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  return { periodDays: await facts.read((snapshot) => policyDays(snapshot, rowKey, tenant)) };
}

/**
 * Brings the dates of keys that have no period of their own in line with the policy, some in each run of the job. No authorisation
 * goes by these dates, so the epoch stays and uses go on; it advances with the end, for what is shown of the keys.
 */
export function policyHandler(parts: RotationParts): JobHandler {
  return async (job) => {
    const tenant = String(job.input['tenant']);
    const { database, facts, hierarchy, ledger } = parts;
    const [rowKey, log] = await Promise.all([hierarchy.rowKey(tenant), ledger.openOfTenant(tenant)]);
    if (log === undefined) throw new Error(`Tenant ${tenant} has no log.`);
    const concerned = async (tx: Tx, time: number) => {
      const days = await policyDays(tx, rowKey, tenant);
      return { days, ids: await store.keysOfOtherPeriod(tx, { tenant, days, time, limit: keysTogether }) };
    };
    const { ids: left } = await database.read((snapshot) => concerned(snapshot, job.beganAt));
    const work = async (tx: Tx, time: number) => {
      const { days, ids } = await concerned(tx, time);
      const further: SealedDraft[] = [];
      for (const id of ids) further.push(await applyPolicy(tx, { log, tenant, rowKey }, { id, days, time }));
      if (ids.length === 0) await job.complete(tx);
      else await job.reschedule(tx, time + pauseMs);
      const draft = { operation: policyTask, outcome: 'success', recorded: { reason: 'policy' } } as const;
      const payload = { days, keys: ids.length };
      return { result: undefined, draft: sealDraft(draft, log.origin, payload, log.payloadKey), further };
    };
    await changeOwn(ledger, facts, log.id, work, { keepsEpoch: left.length > 0 });
  };
}

/** Gives one key the tenant's period. */
async function applyPolicy(
  tx: Tx,
  { log, tenant, rowKey }: { log: TransparencyLog; tenant: string; rowKey: KeyObject },
  { id, days, time }: { id: string; days: number; time: number },
): Promise<SealedDraft> {
  const row = await store.findKey(tx, rowKey, tenant, id);
  if (row === undefined) throw new Error(`Key ${id} is gone.`);
  row.rotation_period_days = days;
  await redate(tx, row, time);
  await store.updateKey(tx, rowKey, row);
  const recorded = { key: id, system: row.system, version: row.version, state: stateAt(row, time) };
  const draft = {
    operation: policyTask,
    outcome: 'success',
    recorded: { ...recorded, reason: 'policy' },
  } as const;
  return sealDraft(draft, log.origin, { inventory: recordedKey(row) }, log.payloadKey);
}
