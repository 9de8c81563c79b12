import type { KeyObject } from 'node:crypto';
import type { Ledger } from '../audit/index.ts';
import { changeOwn, sealDraft } from '../audit/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import type { FactsCache } from '../platform/facts.ts';
import { remove, schedule } from '../platform/jobs/index.ts';
import type { Job, JobHandler } from '../platform/jobs/index.ts';
import type { Hierarchy, NewKey } from './hierarchy.ts';
import { stateAt } from './states.ts';
import * as store from './store.ts';
import type { KeyRow } from './store.ts';

/** The task of the jobs that rotate keys. */
export const rotationTask = 'keys.rotate';

const dayMs = 86_400_000;

/** The rotation that a job stands for; another version or date of the key makes it void. */
interface Rotation {
  readonly key: string;
  readonly tenant: string;
  readonly version: number;
  readonly dueAt: number;
}

type Unsealed<Row> = Omit<Row, 'seal'>;

function jobName(key: string): string {
  return `keys.rotate/${key}`;
}

/** When a key whose newest version was made at `time` rotates next; milliseconds since 1970. */
export function nextRotation(time: number, periodDays: number): number {
  return time + periodDays * dayMs;
}

/**
 * Makes the key's next rotation the only one that is waiting, in the transaction that writes the key: when it is created, rotated
 * and resumed. One that fell due while the key was suspended then follows at once.
 */
export async function scheduleRotation(
  tx: Tx,
  { id, tenant, version, rotation_due_at: dueAt }: Unsealed<KeyRow>,
): Promise<void> {
  const input = { dueAt, key: id, tenant, version };
  await schedule(tx, { name: jobName(id), task: rotationTask, input, dueAt });
}

/** Takes the waiting rotation away, in the transaction that suspends or ends the key. */
export async function cancelRotation(tx: Tx, key: string): Promise<void> {
  await remove(tx, jobName(key));
}

/**
 * Adds a version that protects from now on, and schedules the next rotation. `row` gets the new version and date; the caller
 * writes it back in the same transaction.
 */
export async function addVersion(
  tx: Tx,
  rowKey: KeyObject,
  row: Unsealed<KeyRow>,
  made: NewKey,
  time: number,
): Promise<void> {
  row.version += 1;
  row.rotation_due_at = nextRotation(time, row.rotation_period_days);
  await store.insertVersion(tx, rowKey, {
    id: made.versionId,
    key: row.id,
    version: row.version,
    wrapped_secret: made.wrapped,
    created_at: time,
  });
  await scheduleRotation(tx, row);
}

export interface RotationParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
}

/** Rotates keys when they are due, by policy and by nobody's hand. */
export function rotationHandler(parts: RotationParts): JobHandler {
  return async (job) => {
    const wanted = job.input as unknown as Rotation;
    const rowKey = await parts.hierarchy.rowKey(wanted.tenant);
    const row = await parts.database.read((snapshot) =>
      store.findKey(snapshot, rowKey, wanted.tenant, wanted.key),
    );
    if (row !== undefined && isWanted(row, wanted, job.beganAt)) await rotate(parts, job, wanted, rowKey);
    else await parts.database.write((tx) => settleUnwanted(tx, job, rowKey, wanted));
  };
}

function isWanted(row: KeyRow, { version, dueAt }: Rotation, time: number): boolean {
  return row.version === version && row.rotation_due_at === dueAt && stateAt(row, time) === 'active';
}

/**
 * A key that has not been activated yet rotates as soon as it is. One that is suspended has no waiting rotation until it is
 * resumed; one that was ended, or is gone, never again. Where the key says another version or date than the job, the key is right.
 */
async function settleUnwanted(tx: Tx, job: Job, rowKey: KeyObject, { tenant, key }: Rotation): Promise<void> {
  const row = await store.findKey(tx, rowKey, tenant, key);
  if (row === undefined) return job.complete(tx);
  const state = stateAt(row, job.beganAt);
  if (row.activates_at !== null && state === 'pre-activation') return job.reschedule(tx, row.activates_at);
  await job.complete(tx);
  if (state === 'active') await scheduleRotation(tx, row);
}

/** Version, entry, next rotation and the end of this one, in one transaction. */
async function rotate(parts: RotationParts, job: Job, wanted: Rotation, rowKey: KeyObject): Promise<void> {
  const { facts, hierarchy, ledger } = parts;
  const { tenant, key } = wanted;
  const log = await ledger.openOfTenant(tenant);
  if (log === undefined) throw new Error(`Tenant ${tenant} has no log.`);
  const made = await hierarchy.newSystemKeyVersion(tenant, key);
  await changeOwn(ledger, facts, log.id, async (tx, time) => {
    await job.complete(tx);
    const row = await store.findKey(tx, rowKey, tenant, key);
    if (row === undefined || !isWanted(row, wanted, time)) {
      throw new Error(`Key ${key} has changed since its rotation began.`);
    }
    const old = { version: row.version };
    await addVersion(tx, rowKey, row, made, time);
    await store.updateKey(tx, rowKey, row);
    const { system, version } = row;
    const recorded = { key, system, version, state: stateAt(row, time), reason: 'policy' };
    const draft = { operation: 'keys.rotate', outcome: 'success', recorded } as const;
    const payload = { old, dueAt: wanted.dueAt };
    return { result: undefined, draft: sealDraft(draft, log.origin, payload, log.payloadKey) };
  });
}
