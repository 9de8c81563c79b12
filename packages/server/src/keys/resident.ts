import type { KeyObject } from 'node:crypto';
import { changeOwn, sealDraft } from '../audit/index.ts';
import type { Entry, Ledger } from '../audit/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { FactsCache } from '../platform/facts.ts';
import { newId } from '../platform/ids.ts';
import type { JobInput } from '../platform/jobs/index.ts';
import type { Hierarchy, KeyKind, NewKey } from './hierarchy.ts';
import * as store from './store.ts';

/** The kind of effect that brings an object of the HSM in line with the database: docs/how-to/keys-in-an-hsm.md. */
export const objectEffect = 'keys.settle-object';

/** By when, after it was written down that an object is made, the change has to commit that has it; ms, by the database's time. */
const commitWithinMs = 10 * 60_000;
/** When the object is looked at where none has: well behind it. */
const settleAfterMs = 2 * commitWithinMs;

/** How long objects stay that a restored database has no rows of. */
export const withoutRowDays = 7;
const dayMs = 86_400_000;

/** A version that was made in the HSM: what the change that keeps it has to settle; false where somebody else did. */
export interface MadeInToken {
  readonly begunAt: number;
  settle(tx: Tx, time: number): Promise<boolean>;
}

/** What is done outside the database, as it is meant and settled with changes (effects/). */
export interface ObjectEffects {
  begin(
    tx: Tx,
    intent: {
      readonly rowKey: KeyObject;
      readonly log: number;
      readonly kind: string;
      readonly input: JobInput;
      readonly time: number;
      readonly dueAt?: number;
    },
  ): Promise<string>;
  settle(tx: Tx, rowKey: KeyObject, effect: string, time: number): Promise<boolean>;
}

interface ObjectsInput extends JobInput {
  readonly tenant: string;
  readonly key: string;
  readonly version: string;
  /** The token that it is in; absent in what older releases meant. */
  readonly token?: string;
}

export interface ResidentParts {
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly objectEffects: ObjectEffects;
}

/**
 * A new version of a key: in the HSM where the key is one that stays there. What is made outside the database is written down before,
 * with an entry; the change that keeps the version settles that (`keepVersion`). Where none does, a job removes what was made.
 *
 * @throws OperationError `key.module_unreachable`, `key.hsm_unsupported`, `key.hsm_missing`, `server.busy`
 */
export async function newVersion(
  { hierarchy, ledger, facts, objectEffects }: ResidentParts,
  tenant: string,
  key: string,
  kind: KeyKind,
): Promise<NewKey> {
  if (kind.protection !== 'hsm') return hierarchy.newSystemKeyVersion(tenant, key, kind);
  // Where a root of the tenant's own refuses, or the HSM is away, nothing is begun.
  await hierarchy.tenantKey(tenant);
  const { key: token } = await hierarchy.tokenKeys.describe();
  const log = await ledger.openOfTenant(tenant);
  if (log === undefined) throw new Error(`Tenant ${tenant} has no log.`);
  const rowKey = await hierarchy.rowKey(tenant);
  const versionId = newId();
  const begun = await changeOwn(
    ledger,
    facts,
    log.id,
    async (tx, time) => {
      const input: ObjectsInput = { tenant, key, version: versionId, ...(token !== undefined && { token }) };
      const dueAt = time + settleAfterMs;
      const intent = { rowKey, log: log.id, kind: objectEffect, input, time, dueAt };
      const effect = await objectEffects.begin(tx, intent);
      const draft = {
        operation: 'keys.begin-object',
        outcome: 'success',
        recorded: { key, object: versionId },
      } as const;
      const payload = { effect };
      return {
        result: { effect, begunAt: time },
        draft: sealDraft(draft, log.origin, payload, log.payloadKey),
      };
    },
    { keepsEpoch: true },
  );
  const made = await hierarchy.newSystemKeyVersion(tenant, key, kind, versionId);
  const { effect, begunAt } = begun;
  const settle = (tx: Tx, time: number): Promise<boolean> => objectEffects.settle(tx, rowKey, effect, time);
  return { ...made, inToken: { begunAt, settle } };
}

/** Settles, in the transaction that has the version, that its object is to stay. @throws OperationError `key.module_unreachable` where that took too long */
export async function keepVersion(tx: Tx, made: NewKey, time: number): Promise<void> {
  if (made.inToken === undefined) return;
  const { begunAt } = made.inToken;
  const isInTime = time < begunAt + commitWithinMs;
  if (!isInTime || !(await made.inToken.settle(tx, time))) throw new OperationError('key.module_unreachable');
}

/** Means, in the transaction that destroys the key, that its objects go. */
export async function removeObjects(
  tx: Tx,
  { objectEffects, rowKey }: { readonly objectEffects: ObjectEffects; readonly rowKey: KeyObject },
  key: { readonly tenant: string; readonly id: string; readonly log: number },
  time: number,
): Promise<void> {
  const { tenant, id, log } = key;
  for (const version of await store.listVersions(tx, rowKey, id)) {
    if (version.token === null) continue;
    const input: ObjectsInput = { tenant, key: id, version: version.id, token: version.token };
    await objectEffects.begin(tx, { rowKey, log, kind: objectEffect, input, time });
  }
}

/** What was begun to be made for keys after the backup that was restored: no row has it, and after a while nothing in the HSM either. */
export async function objectsWithoutRow(
  snapshot: Tx,
  { tenant, rowKey }: { readonly tenant: string; readonly rowKey: KeyObject },
  entries: readonly Entry[],
): Promise<ObjectsInput[]> {
  const settled = new Set(
    entries.flatMap(({ operation, object }) => (operation === 'keys.settle-object' ? object : [])),
  );
  const missing: ObjectsInput[] = [];
  for (const { operation, key, object: version } of entries) {
    if (operation !== 'keys.begin-object' || key === undefined || version === undefined) continue;
    if (settled.has(version)) continue;
    const rows = await store.listVersions(snapshot, rowKey, key);
    if (!rows.some(({ id }) => id === version)) missing.push({ tenant, key, version });
  }
  return missing;
}

/** Means that they go: not at once, since a newer backup may turn up that has their rows. */
export async function removeWithoutRow(
  tx: Tx,
  {
    objectEffects,
    rowKey,
    log,
  }: { readonly objectEffects: ObjectEffects; readonly rowKey: KeyObject; readonly log: number },
  objects: readonly ObjectsInput[],
  time: number,
): Promise<void> {
  const dueAt = time + withoutRowDays * dayMs;
  for (const input of objects)
    await objectEffects.begin(tx, { rowKey, log, kind: objectEffect, input, time, dueAt });
}

/**
 * Brings one object of the HSM in line with the database: it stays where a version is it, and the key is not destroyed; otherwise it is
 * destroyed. The second time there is nothing left to destroy.
 */
export function objectSettlement({
  database,
  hierarchy,
}: {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
}) {
  return {
    operation: 'keys.settle-object',
    async act(input: ObjectsInput) {
      const { tenant, key, version } = input;
      const rowKey = await hierarchy.rowKey(tenant);
      const isInUse = await database.read(async (snapshot) => {
        const row = await store.findKey(snapshot, rowKey, tenant, key);
        if (row === undefined || row.state === 'destroyed') return false;
        return (await store.listVersions(snapshot, rowKey, key)).some(({ id }) => id === version);
      });
      const removed = isInUse ? 0 : await hierarchy.tokenKeys.remove(input);
      const reason = isInUse ? 'object-kept' : removed === 0 ? 'object-absent' : 'object-removed';
      return {
        outcome: 'success' as const,
        recorded: { key, object: version, reason },
        payload: { removed },
      };
    },
  };
}
