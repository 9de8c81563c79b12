import type { KeyObject } from 'node:crypto';
import { changeOwn, sealDraft } from '../audit/index.ts';
import type { Draft, Ledger } from '../audit/index.ts';
import { releasedKeysMs, remainingHolders } from '../holders/index.ts';
import type { Registries, Remaining } from '../holders/index.ts';
import { findStudyErasure, putStudyErasure } from '../keys/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Configuration } from '../platform/config.ts';
import type { Database, Tx } from '../platform/database.ts';
import type { FactsCache } from '../platform/facts.ts';
import { schedule } from '../platform/jobs/index.ts';
import type { Job, JobHandler, JobInput } from '../platform/jobs/index.ts';
import * as store from './store.ts';
import type { UnsealedErasure } from './store.ts';

/** The task of the jobs that look whether an erasure is complete. */
export const completionTask = 'subjects.erased';

type Erased = Pick<UnsealedErasure, 'study' | 'subject' | 'tenant'>;

/** Has somebody look whether any place still has the key, once the old epoch is gone. */
export async function scheduleCompletion(
  tx: Tx,
  { study, subject, tenant }: Erased,
  dueAt: number,
): Promise<void> {
  const name = `${completionTask}/${study}/${subject}`;
  await schedule(tx, { name, task: completionTask, input: { study, subject, tenant }, dueAt });
}

/** A place was taken off the list: every erasure that waits for its holders is looked at again. */
export async function lookAgain(tx: Tx, tenant: string | null, time: number): Promise<void> {
  for (const erasure of await store.open(tx, tenant)) {
    if (erasure.renewed_at !== null) await scheduleCompletion(tx, erasure, time);
  }
}

export interface CompletionParts {
  readonly configuration: Configuration;
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
}

/** The registries that count for what a tenant destroyed. */
export async function registriesOf(
  { configuration, hierarchy, ledger }: Pick<CompletionParts, 'configuration' | 'hierarchy' | 'ledger'>,
  tenant: string,
): Promise<Registries> {
  const own = await ledger.openOfTenant(tenant);
  if (own === undefined) throw new Error(`Tenant ${tenant} has no log.`);
  const [ofTenant, ofInstance] = await Promise.all([hierarchy.rowKey(tenant), hierarchy.rowKey(null)]);
  return {
    releasedKeysMs: releasedKeysMs(configuration),
    of: [
      { log: own.id, rowKey: ofTenant },
      { log: ledger.instanceLog.id, rowKey: ofInstance },
    ],
  };
}

/** The places that may still have the key of an erased subject; undefined while copies under the old epoch's key still open. */
export async function remainingOf(
  tx: Tx,
  registries: Registries,
  row: UnsealedErasure,
  time: number,
): Promise<Remaining[] | undefined> {
  if (row.renewed_at === null) return undefined;
  const { study, subject, removed_at: destroyedAt } = row;
  const destroyed =
    subject === store.wholeStudy
      ? ({ about: 'study', thing: study, study: null, destroyedAt } as const)
      : ({ about: 'subject', thing: subject, study, destroyedAt } as const);
  return remainingHolders(tx, registries, destroyed, time);
}

/** Completes an erasure when no place has the key any more; else waits for the next that goes by itself, or for an attestation. */
export function completionHandler(parts: CompletionParts): JobHandler {
  return async (job) => {
    const { database, hierarchy } = parts;
    const { study, subject, tenant } = namedIn(job.input);
    const [rowKey, registries] = await Promise.all([hierarchy.rowKey(tenant), registriesOf(parts, tenant)]);
    const { row, remaining } = await database.read(async (snapshot) => {
      const found = await store.find(snapshot, rowKey, study, subject);
      const left = found && (await remainingOf(snapshot, registries, found, job.beganAt));
      return { row: found, remaining: left };
    });
    const isOver = row === undefined || row.completed_at !== null || remaining === undefined;
    if (!isOver && remaining.length === 0) return complete(parts, job, { study, subject, tenant });
    const next = Math.min(...(remaining ?? []).flatMap(({ expiresAt }) => expiresAt ?? []));
    await database.write((tx) => (isOver || next === Infinity ? job.complete(tx) : job.reschedule(tx, next)));
  };
}

function namedIn(input: JobInput): Erased {
  return {
    study: String(input['study']),
    subject: String(input['subject']),
    tenant: String(input['tenant']),
  };
}

async function completeSubject(tx: Tx, row: Erased): Promise<Draft> {
  await store.setState(tx, row, 'erased');
  const recorded = { study: row.study, subject: row.subject, state: 'erased' };
  return { operation: 'subjects.erase', outcome: 'success', recorded };
}

/** With all of its subjects, but those whose own erasure has left places of their own: no such place has the study's key. */
async function completeStudy(
  tx: Tx,
  rowKey: KeyObject,
  { study, tenant }: Erased,
  time: number,
): Promise<Draft> {
  const known = await findStudyErasure(tx, rowKey, tenant, study);
  if (known === undefined) throw new Error(`Study ${study} was never to be erased.`);
  await putStudyErasure(tx, rowKey, { ...known, state: 'erased', changed_at: time });
  await store.setStates(tx, study, 'erased');
  return { operation: 'studies.erase', outcome: 'success', recorded: { study, state: 'erased' } };
}

async function complete(parts: CompletionParts, job: Job, { study, subject, tenant }: Erased): Promise<void> {
  const { facts, hierarchy, ledger } = parts;
  const log = await ledger.openOfTenant(tenant);
  if (log === undefined) throw new Error(`Tenant ${tenant} has no log.`);
  const [rowKey, registries] = await Promise.all([hierarchy.rowKey(tenant), registriesOf(parts, tenant)]);
  await changeOwn(ledger, facts, log.id, async (tx, time) => {
    await job.complete(tx);
    const row = await store.find(tx, rowKey, study, subject);
    const remaining = row && (await remainingOf(tx, registries, row, time));
    if (row === undefined || row.completed_at !== null || remaining?.length !== 0) {
      throw new Error(`The erasure of ${subject} has changed since it was looked at.`);
    }
    const { seal: _, ...unsealed } = row;
    await store.put(tx, rowKey, { ...unsealed, completed_at: time });
    const draft =
      subject === store.wholeStudy
        ? await completeStudy(tx, rowKey, row, time)
        : await completeSubject(tx, row);
    return { result: undefined, draft: sealDraft(draft, log.origin, {}, log.payloadKey) };
  });
}
