import type { KeyObject } from 'node:crypto';
import type { KeyState } from '@trialkeep/contract';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Hierarchy, NewKey } from './hierarchy.ts';
import { addVersion, cancelRotation } from './rotation.ts';
import { stateAt } from './states.ts';
import * as store from './store.ts';
import type { KeyRow } from './store.ts';

/** What is to become of one key whose row is older than the ledger. */
interface Plan {
  readonly row: KeyRow;
  readonly newest: Entry & { readonly state: KeyState };
  /** The first revocation, whose cause and time stay on the key. */
  readonly revocation: Entry | undefined;
  /** Set where versions were lost that an active key needs a new one for. */
  readonly version: NewKey | undefined;
}

/** Keys of a tenant that are brought in line with its ledger: planned beside the database, done in one transaction. */
export interface KeyRecovery {
  /** What is gone for good. */
  readonly lost: readonly string[];
  /** Gives, for each key that got a new version, what the entry about that says. */
  apply(tx: Tx, time: number): Promise<{ key: string; system: string; version: number; state: string }[]>;
}

/** @param entries what the ledger says, in order (`tellingEntries`) */
export async function recoverKeys(
  hierarchy: Hierarchy,
  snapshot: Tx,
  { tenant, rowKey }: { readonly tenant: string; readonly rowKey: KeyObject },
  entries: readonly Entry[],
): Promise<KeyRecovery> {
  const plans: Plan[] = [];
  const lost: string[] = [];
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
    else if (stateAt(row, newest.time) === newest.state) continue;
    const revocation = said.find(({ operation }) => operation === 'keys.revoke');
    // One that may protect again later has to have a version to protect with.
    const needsVersion = version > known && ['active', 'pre-activation', 'suspended'].includes(newest.state);
    const made = needsVersion ? await hierarchy.newSystemKeyVersion(tenant, id) : undefined;
    plans.push({ row: { ...row, version }, newest, revocation, version: made });
  }
  return { lost, apply: (tx, time) => applyAll(tx, rowKey, plans, time) };
}

async function applyAll(
  tx: Tx,
  rowKey: KeyObject,
  plans: readonly Plan[],
  time: number,
): Promise<Awaited<ReturnType<KeyRecovery['apply']>>> {
  const renewed: { key: string; system: string; version: number; state: string }[] = [];
  for (const { row, newest, revocation, version } of plans) {
    // What activates or expires by its date is kept as active.
    const isActive = newest.state === 'active' || newest.state === 'pre-activation';
    const expires = newest.state === 'deactivated' && revocation === undefined;
    row.state = isActive || expires ? 'active' : newest.state;
    if (revocation !== undefined) {
      row.revocation_cause ??= revocation.reason ?? null;
      row.revoked_at ??= revocation.time;
    }
    if (version !== undefined) await addVersion(tx, rowKey, row, version, time);
    if (row.state !== 'active') await cancelRotation(tx, row.id);
    if (row.state === 'destroyed') await store.destroySecrets(tx, row.id);
    await store.updateKey(tx, rowKey, row);
    if (version === undefined) continue;
    renewed.push({ key: row.id, system: row.system, version: row.version, state: stateAt(row, time) });
  }
  return renewed;
}

function byKey(entries: readonly Entry[]): Map<string, Entry[]> {
  const keys = new Map<string, Entry[]>();
  for (const entry of entries) {
    if (!entry.operation.startsWith('keys.') || entry.outcome !== 'success' || entry.key === undefined)
      continue;
    keys.set(entry.key, [...(keys.get(entry.key) ?? []), entry]);
  }
  return keys;
}
