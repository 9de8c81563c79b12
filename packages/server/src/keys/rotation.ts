import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Ledger } from '../audit/index.ts';
import { changeOwn, sealDraft } from '../audit/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import type { FactsCache } from '../platform/facts.ts';
import { remove, schedule } from '../platform/jobs/index.ts';
import type { Job, JobHandler } from '../platform/jobs/index.ts';
import type { Hierarchy, KeyKind, NewKey } from './hierarchy.ts';
import { keepVersion, newVersion } from './resident.ts';
import type { ObjectEffects } from './resident.ts';
import { policyDays } from './rotation-policy-store.ts';
import { recordedKey } from './recorded-key.ts';
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

/** The last part of a period, over which the rotations of keys that were made together are spread. */
const spread = 0.1;

/**
 * When a key whose newest version was made at `time` rotates next, milliseconds since 1970: within the last tenth of its period and
 * never after it. Where in that tenth follows from key and version, so that any node comes to the same date, and keys that were made
 * in one minute do not all rotate in one.
 */
export function nextRotation(
  time: number,
  { id, version, rotation_period_days: days }: Pick<KeyRow, 'id' | 'version' | 'rotation_period_days'>,
): number {
  const place = createHash('sha256').update(`${id} ${version}`).digest().readUInt32BE() / 2 ** 32;
  return time + Math.floor(days * dayMs * (1 - spread * place));
}

/**
 * Makes the key's next rotation the only one that is waiting, in the transaction that writes the key: when it is created, rotated
 * and resumed. One that fell due while the key was suspended then follows at once. Versions of imported keys are brought by people.
 */
export async function scheduleRotation(
  tx: Tx,
  { id, tenant, version, rotation_due_at: dueAt, imported }: Unsealed<KeyRow>,
): Promise<void> {
  if (imported === 1) return;
  const input = { dueAt, key: id, tenant, version };
  await schedule(tx, { name: jobName(id), task: rotationTask, input, dueAt });
}

/** The key's own period, or that of the tenant's policy; days. */
export async function periodOf(
  tx: Tx,
  rowKey: KeyObject,
  row: Pick<Unsealed<KeyRow>, 'tenant' | 'own_rotation' | 'rotation_period_days'>,
): Promise<number> {
  return row.own_rotation === 1 ? row.rotation_period_days : policyDays(tx, rowKey, row.tenant);
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
  row.rotation_period_days = await periodOf(tx, rowKey, row);
  row.rotation_due_at = nextRotation(time, row);
  await store.insertVersion(tx, rowKey, {
    id: made.versionId,
    key: row.id,
    version: row.version,
    wrapped_secret: made.wrapped,
    public_key: made.publicKey ?? null,
    token: made.token ?? null,
    created_at: time,
  });
  await keepVersion(tx, made, time);
  await scheduleRotation(tx, row);
}

export interface RotationParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly objectEffects: ObjectEffects;
}

/** Rotates keys when they are due, by policy and by nobody's hand. */
export function rotationHandler(parts: RotationParts): JobHandler {
  return async (job) => {
    const wanted = job.input as unknown as Rotation;
    const rowKey = await parts.hierarchy.rowKey(wanted.tenant);
    const row = await parts.database.read((snapshot) =>
      store.findKey(snapshot, rowKey, wanted.tenant, wanted.key),
    );
    if (row !== undefined && isWanted(row, wanted, job.beganAt)) await rotate(parts, job, wanted, row);
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
async function rotate(parts: RotationParts, job: Job, wanted: Rotation, kind: KeyKind): Promise<void> {
  const { facts, hierarchy, ledger } = parts;
  const { tenant, key } = wanted;
  const log = await ledger.openOfTenant(tenant);
  if (log === undefined) throw new Error(`Tenant ${tenant} has no log.`);
  const rowKey = await hierarchy.rowKey(tenant);
  const made = await newVersion(parts, tenant, key, kind);
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
    const payload = { old, dueAt: wanted.dueAt, inventory: recordedKey(row) };
    return { result: undefined, draft: sealDraft(draft, log.origin, payload, log.payloadKey) };
  });
}
