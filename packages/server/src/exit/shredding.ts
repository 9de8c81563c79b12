import type { KeyObject } from 'node:crypto';
import { rewrapAuthenticators } from '../access/index.ts';
import { changeOwn, sealDraft } from '../audit/index.ts';
import type { Ledger, SealedDraft, TransparencyLog } from '../audit/index.ts';
import { beginEffect, settleWith } from '../effects/index.ts';
import type { HoldCheck } from '../holds/index.ts';
import { authenticatorPlace, destroyKeysLeft, destroyTenantKey, rehang } from '../keys/index.ts';
import type { Hierarchy, KeyRow } from '../keys/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import type { FactsCache } from '../platform/facts.ts';
import type { Job, JobHandler } from '../platform/jobs/index.ts';
import { beginErasures } from './erasures.ts';
import * as store from './store.ts';
import type { Exit } from './store.ts';

/** What means that objects of an HSM go with their keys. */
const objectEffects = { begin: beginEffect, settle: settleWith };

export interface ShreddingParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly instanceKey: KeyObject;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly holds: Pick<HoldCheck, 'ofTenant'>;
}

/** Keys that are destroyed in one transaction, each with its entry. */
const keysPerStep = 100;

/**
 * Destroys all keys of a tenant whose waiting period is over: first those of studies and subjects are meant to go (erasure/), then those of
 * systems, some at a time, and last the tenant's own. A server that is killed goes on where it was; a hold that was placed meanwhile
 * stops it before it has begun.
 */
export function shreddingHandler(parts: ShreddingParts): JobHandler {
  return async (job) => {
    const { tenant, dueAt } = job.input;
    if (typeof tenant !== 'string') throw new TypeError('The job names no tenant.');
    const { database, hierarchy, ledger } = parts;
    const rowKey = await hierarchy.rowKey(tenant);
    const log = await ledger.openOfTenant(tenant);
    if (log === undefined) throw new Error(`Tenant ${tenant} has no log.`);
    const of = { tenant, rowKey, log };
    const exit = await database.read((tx) => store.find(tx, rowKey, tenant));
    if (exit?.state === 'waiting' && exit.due_at !== null && exit.due_at === dueAt) {
      if (!(await beginShredding(parts, job, of, exit.due_at))) return;
    } else if (exit?.state !== 'shredding') {
      await database.write((tx) => job.complete(tx));
      return;
    }
    while (await destroySome(parts, of));
    await finish(parts, job, of);
  };
}

interface Of {
  readonly tenant: string;
  readonly rowKey: KeyObject;
  readonly log: TransparencyLog;
}

async function exitOf(tx: Tx, { rowKey, tenant }: Of, state: Exit['state']): Promise<Exit> {
  const row = await store.find(tx, rowKey, tenant);
  if (row?.state === state) return row;
  throw new Error(`The exit of tenant ${tenant} has changed since its shredding began.`);
}

/** Whether it may begin: then it does, and nothing calls it off any more. */
async function beginShredding(
  { facts, holds, ledger }: ShreddingParts,
  job: Job,
  of: Of,
  dueAt: number,
): Promise<boolean> {
  const { tenant, rowKey, log } = of;
  const heldIn = await holds.ofTenant(tenant);
  return changeOwn(ledger, facts, log.id, async (tx, time) => {
    const row = await exitOf(tx, of, 'waiting');
    if (row.due_at !== dueAt) throw new Error(`The exit of tenant ${tenant} is due at another time.`);
    const hold = await heldIn(tx, time);
    const state = hold === undefined ? 'shredding' : 'confirmed';
    await store.put(tx, rowKey, { ...row, state, due_at: null, changed_at: time });
    const begun = hold === undefined ? await beginErasures(tx, { tenant, rowKey, log: log.id, time }) : [];
    if (hold !== undefined) await job.complete(tx);
    const reason = hold === undefined ? {} : { hold, reason: 'hold' };
    const old = { state: row.state, dueAt };
    // The rows of the studies are `erasing` from here on; the effects that remove the keys come later.
    const further = begun.map((study) => erasing(log, study));
    return { result: hold === undefined, draft: drafted(log, { state, ...reason }, { old }), further };
  });
}

/** Whether any key was left. */
async function destroySome({ facts, hierarchy, ledger }: ShreddingParts, of: Of): Promise<boolean> {
  const { tenant, rowKey, log } = of;
  const more = await changeOwn(ledger, facts, log.id, async (tx, time) => {
    await exitOf(tx, of, 'shredding');
    const owner = { tenant, log: log.id, objectEffects };
    const rows = await destroyKeysLeft(tx, rowKey, owner, { limit: keysPerStep, time });
    const [first, ...further] = rows.map((row) => destroyed(log, row));
    // The entry of a step that found nothing says how far it is.
    return { result: rows.length > 0, draft: first ?? drafted(log, { state: 'shredding' }), further };
  });
  hierarchy.releaseTenant(tenant);
  return more;
}

function destroyed(log: TransparencyLog, { id: key, system, version, state }: KeyRow): SealedDraft {
  const recorded = { key, system, version, state };
  const draft = { operation: 'keys.destroy', outcome: 'success', recorded } as const;
  return sealDraft(draft, log.origin, {}, log.payloadKey);
}

function erasing(log: TransparencyLog, study: string): SealedDraft {
  const recorded = { study, state: 'erasing' };
  const draft = { operation: 'studies.erase', outcome: 'success', recorded } as const;
  return sealDraft(draft, log.origin, {}, log.payloadKey);
}

function drafted(
  log: TransparencyLog,
  recorded: { readonly state: string; readonly hold?: string; readonly reason?: string },
  payload: object = {},
  key = log.payloadKey,
): SealedDraft {
  return sealDraft({ operation: 'tenants.shred', outcome: 'success', recorded }, log.origin, payload, key);
}

/**
 * The tenant's own key goes, and with it the payload key of its log: from now on payloads are sealed under a new one. What lets people
 * sign in to read the ledger is not the tenant's data, and stays.
 */
async function finish(parts: ShreddingParts, job: Job, of: Of): Promise<void> {
  const { facts, hierarchy, instanceKey, ledger } = parts;
  const { tenant, rowKey, log } = of;
  const owner = await hierarchy.ownerKey(tenant);
  const made = hierarchy.newPayloadKey(tenant, instanceKey);
  const payloadKey = hierarchy.openPayloadKey(tenant, instanceKey, made);
  await changeOwn(ledger, facts, log.id, async (tx, time) => {
    await job.complete(tx);
    const row = await exitOf(tx, of, 'shredding');
    // Where the tenant had a root of its own, they are under the instance key already.
    if (!owner.equals(instanceKey)) {
      await rewrapAuthenticators(tx, rowKey, log.id, ({ person, id, secret }) =>
        rehang({ from: owner, to: instanceKey }, authenticatorPlace(tenant, person, id), secret),
      );
    }
    await destroyTenantKey(tx, { tenant, rowKey, instanceKey });
    await store.putPayloadKey(tx, log.id, made);
    await store.put(tx, rowKey, { ...row, state: 'shredded', changed_at: time });
    return { result: undefined, draft: drafted(log, { state: 'shredded' }, {}, payloadKey) };
  });
  hierarchy.forgetTenantKey(tenant);
  hierarchy.releaseTenant(tenant);
  await ledger.renewPayloadKey(log.id);
}
