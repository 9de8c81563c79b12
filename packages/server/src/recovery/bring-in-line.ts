import type { KeyObject } from 'node:crypto';
import { recoverAccess } from '../access/index.ts';
import { recoverApprovals } from '../approvals/index.ts';
import { changeOwn, recoverLogKeys, sealDraft, tellingEntries } from '../audit/index.ts';
import type { Draft, Entry, SealedDraft, TransparencyLog } from '../audit/index.ts';
import { beginEffect } from '../effects/index.ts';
import type { ShredRemovalInput } from '../effects/index.ts';
import type { OpenInstance } from '../instance/index.ts';
import { recoverKeys } from '../keys/index.ts';
import { recoverRedactions } from '../payloads/index.ts';
import type { Tx } from '../platform/database.ts';
import { FactsCache } from '../platform/facts.ts';
import { recoverReviews } from '../reviews/index.ts';
import { lostSignatures } from '../signatures/index.ts';
import { recoverRegistry } from '../systems/index.ts';
import { recoverReporters } from '../uses/index.ts';
import { PolicyFolder, recoverPolicy } from '../witnessing/index.ts';
import { markInLine } from './store.ts';

/** The log whose rows are brought in line, with what its entries say, and what was found out beside the transaction. */
interface Work {
  readonly instance: OpenInstance;
  readonly log: TransparencyLog;
  readonly rowKey: KeyObject;
  readonly entries: readonly Entry[];
  readonly keys: Awaited<ReturnType<typeof recoverKeys>> | undefined;
  /** Erased participants whose keys the shred store still has: it may have come from the same backup. */
  readonly unerased: readonly ShredRemovalInput[];
}

/**
 * Brings the rows of a log in line with all of its entries, in one transaction, with an entry that says so. May run again.
 *
 * @param what for that entry's payload
 * @returns what is gone for good
 */
export async function bringInLine(
  instance: OpenInstance,
  log: TransparencyLog,
  what: object,
): Promise<string[]> {
  const { database, hierarchy, ledger } = instance;
  const { id, tenant } = log;
  const rowKey = await hierarchy.rowKey(tenant);
  const entries = await tellingEntries(database, id);
  const keys =
    tenant === null
      ? undefined
      : await database.read((snapshot) => recoverKeys(hierarchy, snapshot, { tenant, rowKey }, entries));
  const unerased = await findUnerased(instance, tenant, entries);
  const work: Work = { instance, log, rowKey, entries, keys, unerased };
  const facts = new FactsCache(database, () => undefined);
  return changeOwn(ledger, facts, id, async (tx, time) => {
    const { lost, further } = await applyAll(tx, time, work);
    await markInLine(tx, id);
    const draft = own(log, 'instance.catch-up', {}, { ...what, lost });
    return { result: lost, draft, further };
  });
}

function own(
  log: TransparencyLog,
  operation: string,
  recorded: Draft['recorded'],
  payload: object = {},
): SealedDraft {
  return sealDraft({ operation, outcome: 'success', recorded }, log.origin, payload, log.payloadKey);
}

async function applyAll(
  tx: Tx,
  time: number,
  { instance, log, rowKey, entries, keys, unerased }: Work,
): Promise<{ lost: string[]; further: SealedDraft[] }> {
  const { hierarchy, ledger, directory } = instance;
  const { id, tenant, origin } = log;
  const of = { log: id, rowKey };
  const { policies } = new PolicyFolder(directory.anchor).read();
  const logKeys = await recoverLogKeys(tx, hierarchy, log, entries, time);
  const access = await recoverAccess(tx, of, entries);
  const cancelled = await recoverApprovals(tx, of, entries);
  const lost = [
    ...logKeys.lost,
    ...(keys?.lost ?? []),
    ...(tenant === null
      ? lostTenants(ledger.logs, entries)
      : await recoverRegistry(tx, { tenant, rowKey }, entries)),
    ...access.lost,
    ...cancelled.map((approval) => `Request ${approval} for approval: decisions on it; ask anew.`),
    ...(await lostSignatures(tx, id, entries)),
    ...(await recoverReviews(tx, of, entries)),
    ...(await recoverPolicy(tx, { ...of, origin }, policies, entries)),
  ];
  await recoverReporters(tx, of, entries);
  await recoverRedactions(tx, id, entries);
  for (const input of unerased) await beginEffect(tx, { rowKey, log: id, kind: 'shred.remove', input, time });
  const renewed = (await keys?.apply(tx, time)) ?? [];
  const reason = 'recovery';
  const { retired, rotated } = logKeys;
  const further = [
    ...(retired === undefined ? [] : [own(log, 'ledger.retire-key', { logKeys: retired, reason })]),
    ...(rotated === undefined ? [] : [own(log, 'ledger.rotate-key', { logKeys: rotated, reason })]),
    ...renewed.map((recorded) => own(log, 'keys.rotate', { ...recorded, reason })),
    ...access.dropped.map((recorded) => own(log, 'people.leave', { ...recorded, reason })),
    ...cancelled.map((approval) => own(log, 'approvals.cancel', { approval, state: 'cancelled', reason })),
  ];
  return { lost, further };
}

async function findUnerased(
  { shred }: OpenInstance,
  tenant: string | null,
  entries: readonly Entry[],
): Promise<ShredRemovalInput[]> {
  if (tenant === null) return [];
  const found = new Map<string, ShredRemovalInput>();
  for (const { operation, outcome, study, subject } of entries) {
    if (operation !== 'subjects.erase' || outcome !== 'success') continue;
    if (study === undefined || subject === undefined || found.has(subject)) continue;
    if ((await shred.find(subject)) !== undefined) found.set(subject, { tenant, study, subject });
  }
  return [...found.values()];
}

/** Tenants that were made since the backup: their names were in the lost database alone. */
function lostTenants(logs: readonly TransparencyLog[], entries: readonly Entry[]): string[] {
  const made = entries.filter(
    ({ operation, outcome }) => operation === 'tenants.create' && outcome === 'success',
  );
  const missing = made.length - logs.filter(({ tenant }) => tenant !== null).length;
  return missing > 0 ? [`Tenants: ${missing} that were made after the backup, with all that they had.`] : [];
}
