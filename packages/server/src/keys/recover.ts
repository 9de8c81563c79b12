import type { KeyObject } from 'node:crypto';
import type { KeyState } from '@trialkeep/contract';
import { isKeyRevocation } from '../audit/index.ts';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { schedule } from '../platform/jobs/index.ts';
import { cancelDestruction, scheduleDestruction } from './destruction.ts';
import type { Hierarchy, NewKey } from './hierarchy.ts';
import { objectsWithoutRow, removeObjects, removeWithoutRow, withoutRowDays } from './resident.ts';
import type { ObjectEffects } from './resident.ts';
import { addVersion, cancelRotation, scheduleRotation } from './rotation.ts';
import { policyDays, putPolicy } from './rotation-policy-store.ts';
import { policyJob } from './rotation-settings.ts';
import { stateAt } from './states.ts';
import * as store from './store.ts';
import type { KeyRow } from './store.ts';

/** What is to become of one key whose row is older than the ledger. */
interface Plan {
  /** With what the ledger says but for the state: version, recipient usage period, and when a waiting destruction is due. */
  readonly row: KeyRow;
  readonly newest: Entry & { readonly state: KeyState };
  /** The first revocation, whose cause and time stay on the key. */
  readonly revocation: Entry | undefined;
  /** Set where versions were lost that an active key needs a new one for. */
  readonly version: NewKey | undefined;
  /** Set where that new one is made by the rotation, which is due at once: in the HSM, or once the tenant's own root answers. */
  readonly rotates: boolean;
}

/** Keys of a tenant that are brought in line with its ledger: planned beside the database, done in one transaction. */
export interface KeyRecovery {
  /** What is gone for good. */
  readonly lost: readonly string[];
  /** Gives, for each key that got a new version, what the entry about that says. */
  apply(tx: Tx, time: number): Promise<{ key: string; system: string; version: number; state: string }[]>;
}

/** The log whose keys are brought in line. */
export interface Recovering {
  readonly tenant: string;
  readonly rowKey: KeyObject;
  readonly log: number;
  readonly objectEffects: ObjectEffects;
}

/** @param entries what the ledger says, in order (`tellingEntries`) */
export async function recoverKeys(
  hierarchy: Hierarchy,
  snapshot: Tx,
  { tenant, rowKey, log, objectEffects }: Recovering,
  entries: readonly Entry[],
): Promise<KeyRecovery> {
  const plans: Plan[] = [];
  const lost: string[] = [];
  const makeVersion = versionMaker(hierarchy);
  for (const [id, said] of byKey(entries)) {
    const newest = said.findLast(({ state }) => state !== undefined) as Plan['newest'] | undefined;
    if (newest === undefined) continue;
    const row = await store.findKey(snapshot, rowKey, tenant, id);
    if (row === undefined) {
      if (newest.state !== 'destroyed') lost.push(`Key ${id}: all of it; it was made after the backup.`);
      continue;
    }
    const known = row.version;
    const version = newest.version ?? known;
    if (version > known) lost.push(`Key ${id}: versions ${known + 1} to ${version}, and what they protect.`);
    const settings = {
      destruction_due_at: destructionDue(said),
      recipient_period_days: recipientPeriod(said),
    };
    const revocation = said.find(isKeyRevocation);
    if (version <= known && isInLine(row, { newest, revocation, settings })) continue;
    // One that may protect again later has to have a version to protect with.
    const mayProtect = ['active', 'pre-activation', 'suspended'].includes(newest.state);
    // What was made elsewhere people bring anew; until then it protects nothing.
    const needsVersion = version > known && mayProtect && row.imported !== 1;
    const made = needsVersion ? await makeVersion(row) : undefined;
    const rotates = needsVersion && made === undefined;
    plans.push({ row: { ...row, ...settings, version }, newest, revocation, version: made, rotates });
  }
  const objects = await objectsWithoutRow(snapshot, { tenant, rowKey }, entries);
  for (const { key, version } of objects)
    lost.push(
      `Key ${key}: the row of its object ${version}, which leaves the HSM in ${withoutRowDays} days.`,
    );
  return {
    lost,
    apply: async (tx, time) => {
      await removeWithoutRow(tx, { objectEffects, rowKey, log }, objects, time);
      // New versions rotate by it.
      await recoverRotationPolicy(tx, { tenant, rowKey }, entries);
      return applyAll(tx, { rowKey, log, objectEffects }, plans, time);
    },
  };
}

/**
 * Makes versions of one tenant's keys; undefined where one cannot be made here: in the HSM, and under a root of the tenant's own that
 * does not give the key. That root closes its tenant, and must not keep the whole installation from starting; it is asked once.
 */
function versionMaker(hierarchy: Hierarchy): (row: KeyRow) => Promise<NewKey | undefined> {
  let isClosed = false;
  return async (row) => {
    if (isClosed || row.protection === 'hsm') return undefined;
    try {
      return await hierarchy.newSystemKeyVersion(row.tenant, row.id, row);
    } catch (error) {
      if (!isRootAway(error)) throw error;
      isClosed = true;
      return undefined;
    }
  };
}

/** Whether a root of a tenant's own does not give the tenant's key now. */
export function isRootAway(error: unknown): error is OperationError {
  if (!(error instanceof OperationError)) return false;
  return error.code === 'tenant.root_refused' || error.code === 'tenant.root_unreachable';
}

/** What the ledger says a key was given. */
type Settings = Pick<KeyRow, 'destruction_due_at' | 'recipient_period_days'>;

function isInLine(
  row: KeyRow,
  { newest, revocation, settings }: Pick<Plan, 'newest' | 'revocation'> & { readonly settings: Settings },
): boolean {
  if (row.destruction_due_at !== settings.destruction_due_at) return false;
  if (row.recipient_period_days !== settings.recipient_period_days) return false;
  if (stateAt(row, newest.time) !== newest.state) return false;
  // One that had expired before it was revoked is in the same state after it.
  return row.state === 'destroyed' || (row.revoked_at !== null) === (revocation !== undefined);
}

/** The policy of a database that was put back; its job then brings the keys in line with it. */
async function recoverRotationPolicy(
  tx: Tx,
  { tenant, rowKey }: { readonly tenant: string; readonly rowKey: KeyObject },
  entries: readonly Entry[],
): Promise<void> {
  const set = entries.findLast(
    ({ outcome, rotationPeriodDays }) => outcome === 'success' && rotationPeriodDays !== undefined,
  );
  const days = set?.rotationPeriodDays;
  if (set === undefined || days === undefined || days === (await policyDays(tx, rowKey, tenant))) return;
  await putPolicy(tx, rowKey, { tenant, period_days: days, changed_at: set.time });
  await schedule(tx, policyJob(tenant));
}

async function applyAll(
  tx: Tx,
  { rowKey, log, objectEffects }: Pick<Recovering, 'rowKey' | 'log' | 'objectEffects'>,
  plans: readonly Plan[],
  time: number,
): Promise<Awaited<ReturnType<KeyRecovery['apply']>>> {
  const renewed: { key: string; system: string; version: number; state: string }[] = [];
  for (const { row, newest, revocation, version, rotates } of plans) {
    // What activates or expires by its date is kept as active.
    const isActive = newest.state === 'active' || newest.state === 'pre-activation';
    const expires = newest.state === 'deactivated' && revocation === undefined;
    row.state = isActive || expires ? 'active' : newest.state;
    if (revocation !== undefined) {
      row.revocation_cause ??= revocation.reason ?? null;
      row.revoked_at ??= revocation.time;
    }
    if (version !== undefined) await addVersion(tx, rowKey, row, version, time);
    if (rotates) {
      row.rotation_due_at = time;
      await scheduleRotation(tx, row);
    }
    if (row.state !== 'active') await cancelRotation(tx, row.id);
    if (row.state === 'destroyed') {
      await store.destroySecrets(tx, row.id);
      await removeObjects(tx, { objectEffects, rowKey }, { tenant: row.tenant, id: row.id, log }, time);
    }
    if (row.destruction_due_at === null) await cancelDestruction(tx, row.id);
    else await scheduleDestruction(tx, row.id, row.tenant, row.destruction_due_at);
    await store.updateKey(tx, rowKey, row);
    if (version === undefined) continue;
    renewed.push({ key: row.id, system: row.system, version: row.version, state: stateAt(row, time) });
  }
  return renewed;
}

function destructionDue(said: readonly Entry[]): number | null {
  const about = /^keys\.(?:schedule-destruction|cancel-destruction|destroy)$/;
  return said.findLast(({ operation }) => about.test(operation))?.dueAt ?? null;
}

function recipientPeriod(said: readonly Entry[]): number | null {
  const days = said.findLast(
    ({ recipientPeriodDays }) => recipientPeriodDays !== undefined,
  )?.recipientPeriodDays;
  return days === undefined || days === 0 ? null : days;
}

function byKey(entries: readonly Entry[]): Map<string, Entry[]> {
  const keys = new Map<string, Entry[]>();
  for (const entry of entries) {
    const isAbout = /^(?:keys|revocations)\./.test(entry.operation);
    if (!isAbout || entry.outcome !== 'success' || entry.key === undefined) continue;
    keys.set(entry.key, [...(keys.get(entry.key) ?? []), entry]);
  }
  return keys;
}
