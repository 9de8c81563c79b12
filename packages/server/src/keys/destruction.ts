import type { KeyObject } from 'node:crypto';
import { changeOwn, sealDraft } from '../audit/index.ts';
import type { Ledger, SealedDraft, TransparencyLog } from '../audit/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { FactsCache } from '../platform/facts.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { remove, schedule } from '../platform/jobs/index.ts';
import type { Job, JobHandler } from '../platform/jobs/index.ts';
import { changeKey, move } from './change.ts';
import type { KeyChange, LifecycleParts } from './change.ts';
import type { Hierarchy } from './hierarchy.ts';
import { stateAt } from './states.ts';
import { recordedKey } from './recorded-key.ts';
import { removeObjects } from './resident.ts';
import type { ObjectEffects } from './resident.ts';
import * as store from './store.ts';

/** The task of the jobs that destroy keys whose waiting period is over. */
export const destructionTask = 'keys.destroy';

const defaultWaitingDays = 30;
const dayMs = 86_400_000;

/** What keeps keys from being destroyed: the holds of the tenant (holds/). */
export interface KeyHolds {
  /**
   * Finds out beside the database what a look into the ledger takes; what it gives reads the holds in the transaction, and gives
   * the id of one that applies at that time.
   */
  ofKey(tenant: string, key: string): Promise<(tx: Tx, time: number) => Promise<string | undefined>>;
}

/** The destruction that a job stands for; another date of the key, or none, makes it void. */
interface Destruction {
  readonly key: string;
  readonly tenant: string;
  readonly dueAt: number;
}

function jobName(key: string): string {
  return `${destructionTask}/${key}`;
}

/** Makes the destruction the only one of the key that is waiting, in the transaction that writes the key. */
export async function scheduleDestruction(tx: Tx, key: string, tenant: string, dueAt: number): Promise<void> {
  await schedule(tx, { name: jobName(key), task: destructionTask, input: { dueAt, key, tenant }, dueAt });
}

/** Takes the waiting destruction away, in the transaction that writes the key. */
export async function cancelDestruction(tx: Tx, key: string): Promise<void> {
  await remove(tx, jobName(key));
}

/** Has a key that is out of use destroyed after the waiting period; nobody uses it meanwhile. */
export async function scheduled(
  parts: LifecycleParts & { readonly holds: KeyHolds },
  context: Context<'keys.schedule-destruction'>,
): Promise<Apply<'keys.schedule-destruction'>> {
  const { input, facts, now, record } = context;
  const tenant = tenantOf(context.caller);
  const [rowKey, heldIn] = await Promise.all([
    parts.hierarchy.rowKey(tenant),
    parts.holds.ofKey(tenant, input.key),
  ]);
  const admit = async (tx: Tx, row: KeyChange, time: number): Promise<void> => {
    if (row.destruction_due_at !== null) {
      throw new OperationError('key.destruction_pending', { field: '/key', detail: dueOf(row) });
    }
    move({ ...row }, 'destroy', time);
    const hold = await heldIn(tx, time);
    if (hold === undefined) return;
    record.hold = hold;
    throw new OperationError('hold.applies', { field: '/key', detail: `It is hold ${hold}.` });
  };
  const apply = await changeKey(parts, context, async (tx, row, time) => {
    await admit(tx, row, time);
    row.destruction_due_at = time + (input.waitingDays ?? defaultWaitingDays) * dayMs;
    record.dueAt = row.destruction_due_at;
    await scheduleDestruction(tx, row.id, tenant, row.destruction_due_at);
  });
  // People are not asked to approve what cannot be done.
  await facts.read(async (snapshot) => {
    const present = await store.findKey(snapshot, rowKey, tenant, input.key);
    if (present === undefined) throw new OperationError('key.unknown', { field: '/key' });
    await admit(snapshot, present, now);
  });
  return apply;
}

function dueOf({ destruction_due_at: dueAt }: KeyChange): string {
  return `It is due at ${new Date(dueAt ?? 0).toISOString()}.`;
}

/** Calls a waiting destruction off: the key is what it was before. */
export async function cancel(
  parts: LifecycleParts,
  context: Context<'keys.cancel-destruction'>,
): Promise<Apply<'keys.cancel-destruction'>> {
  return changeKey(parts, context, async (tx, row) => {
    if (row.destruction_due_at === null) throw new OperationError('key.destruction_none', { field: '/key' });
    context.payload['old'] = { destructionDueAt: row.destruction_due_at };
    row.destruction_due_at = null;
    await cancelDestruction(tx, row.id);
  });
}

export interface DestructionParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly holds: KeyHolds;
  readonly objectEffects: ObjectEffects;
}

/** Destroys keys when their waiting period is over. */
export function destructionHandler(parts: DestructionParts): JobHandler {
  return async (job) => {
    const wanted = job.input as unknown as Destruction;
    const { tenant, key } = wanted;
    const rowKey = await parts.hierarchy.rowKey(tenant);
    const row = await parts.database.read((snapshot) => store.findKey(snapshot, rowKey, tenant, key));
    if (row?.destruction_due_at === wanted.dueAt) await carryOut(parts, job, wanted, rowKey);
    else await parts.database.write((tx) => job.complete(tx));
  };
}

/**
 * Secrets, entry and the end of the job, in one transaction; or, where a hold was placed meanwhile, the end of what was waiting:
 * people decide anew once the hold is over.
 */
async function carryOut(
  parts: DestructionParts,
  job: Job,
  { tenant, key, dueAt }: Destruction,
  rowKey: KeyObject,
): Promise<void> {
  const { facts, hierarchy, holds, ledger, objectEffects } = parts;
  const log = await ledger.openOfTenant(tenant);
  if (log === undefined) throw new Error(`Tenant ${tenant} has no log.`);
  const heldIn = await holds.ofKey(tenant, key);
  await changeOwn(ledger, facts, log.id, async (tx, time) => {
    await job.complete(tx);
    const row = await store.findKey(tx, rowKey, tenant, key);
    if (row === undefined || row.destruction_due_at !== dueAt) {
      throw new Error(`Key ${key} has changed since its destruction began.`);
    }
    const old = { state: stateAt(row, time), destructionDueAt: dueAt };
    const hold = await heldIn(tx, time);
    row.destruction_due_at = null;
    if (hold === undefined) {
      move(row, 'destroy', time);
      await store.destroySecrets(tx, key);
      await removeObjects(tx, { objectEffects, rowKey }, { tenant, id: key, log: log.id }, time);
    }
    await store.updateKey(tx, rowKey, row);
    return { result: undefined, draft: outcome(log, row, { hold, old, time }) };
  });
  hierarchy.releaseTenant(tenant);
}

function outcome(
  log: TransparencyLog,
  row: KeyChange,
  { hold, old, time }: { readonly hold: string | undefined; readonly old: object; readonly time: number },
): SealedDraft {
  const { id: key, system, version } = row;
  const recorded = { key, system, version, state: stateAt(row, time) };
  const draft =
    hold === undefined
      ? ({ operation: 'keys.destroy', outcome: 'success', recorded } as const)
      : ({
          operation: 'keys.cancel-destruction',
          outcome: 'success',
          recorded: { ...recorded, hold, reason: 'hold' },
        } as const);
  return sealDraft(draft, log.origin, { old, inventory: recordedKey(row) }, log.payloadKey);
}
