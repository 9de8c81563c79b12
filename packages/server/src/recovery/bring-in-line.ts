import type { KeyObject } from 'node:crypto';
import { recoverAccess } from '../access/index.ts';
import { recoverApprovals } from '../approvals/index.ts';
import { changeOwn, recoverLogKeys, sealDraft, tellingEntries } from '../audit/index.ts';
import type { Draft, Entry, SealedDraft, TransparencyLog } from '../audit/index.ts';
import { beginEffect, settleWith } from '../effects/index.ts';
import { recoverErasures, recoverStudyErasures } from '../erasure/index.ts';
import { recoverDestinations } from '../exports/index.ts';
import { recoverExit } from '../exit/index.ts';
import { recoverHolders } from '../holders/index.ts';
import { recoverHolds } from '../holds/index.ts';
import type { OpenInstance } from '../instance/index.ts';
import { recoverImports, recoverKeys } from '../keys/index.ts';
import { recoverRedactions } from '../payloads/index.ts';
import type { Tx } from '../platform/database.ts';
import { FactsCache } from '../platform/facts.ts';
import { recoverClosures } from '../revocations/index.ts';
import { recoverReviews } from '../reviews/index.ts';
import { recoverRootPermits } from '../root-permits/index.ts';
import { recoverSecondRecipients } from '../second-recipients/index.ts';
import { lostSignatures } from '../signatures/index.ts';
import { recoverRegistry } from '../systems/index.ts';
import { recoverTenantRoot } from '../tenant-roots/index.ts';
import { recoverReporters } from '../uses/index.ts';
import { PolicyFolder, recoverPolicy } from '../witnessing/index.ts';
import { markInLine } from './store.ts';

const objectEffects = { begin: beginEffect, settle: settleWith };

/** The log whose rows are brought in line, with what its entries say, and what was found out beside the transaction. */
interface Work {
  readonly instance: OpenInstance;
  readonly log: TransparencyLog;
  readonly rowKey: KeyObject;
  readonly entries: readonly Entry[];
  readonly keys: Awaited<ReturnType<typeof recoverKeys>> | undefined;
  readonly erasures: Awaited<ReturnType<typeof recoverErasures>> | undefined;
  readonly studies: Awaited<ReturnType<typeof recoverStudyErasures>> | undefined;
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
      : await database.read((snapshot) =>
          recoverKeys(hierarchy, snapshot, { tenant, rowKey, log: id, objectEffects }, entries),
        );
  const move = tenant === null ? undefined : await planMove(instance, { tenant, rowKey }, entries);
  const erasures = tenant === null ? undefined : await recoverErasures(instance.shred, tenant, entries);
  const studies = tenant === null ? undefined : await recoverStudyErasures(instance.shred, tenant, entries);
  const work: Work = { instance, log, rowKey, entries, keys, erasures, studies };
  const facts = new FactsCache(database, () => undefined);
  return changeOwn(ledger, facts, id, async (tx, time) => {
    await move?.(tx);
    const { lost, further } = await applyAll(tx, time, work);
    await markInLine(tx, id);
    const draft = own(log, 'instance.catch-up', {}, { ...what, lost });
    return { result: lost, draft, further };
  });
}

function planMove(
  { database, hierarchy, instanceKey, tenantRoots: { folder } }: OpenInstance,
  of: { readonly tenant: string; readonly rowKey: KeyObject },
  entries: readonly Entry[],
) {
  return recoverTenantRoot({ database, hierarchy, instanceKey, folder }, of, entries);
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
  { instance, log, rowKey, entries, keys, erasures, studies }: Work,
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
    ...(await recoverHolders(tx, of, entries)),
    ...(await recoverImports(tx, tenant, entries)),
    ...(tenant === null ? [] : await recoverDestinations(tx, { tenant, rowKey, time }, entries)),
    ...(await recoverReviews(tx, of, entries)),
    ...(tenant === null ? [] : await recoverSecondRecipients(tx, { tenant, rowKey }, entries)),
    ...(await recoverPolicy(tx, { ...of, origin }, policies, entries)),
  ];
  if (tenant !== null) await recoverClosures(tx, { tenant, rowKey }, entries);
  if (tenant !== null) await recoverHolds(tx, { tenant, rowKey }, entries);
  await recoverReporters(tx, of, entries);
  if (tenant === null) await recoverRootPermits(tx, rowKey, entries);
  await recoverRedactions(tx, id, entries);
  await erasures?.apply(tx, rowKey, time);
  for (const input of erasures?.unerased ?? [])
    await beginEffect(tx, { rowKey, log: id, kind: 'shred.remove', input, time });
  const again = (await studies?.apply(tx, { rowKey, log: id, time })) ?? [];
  const exit =
    tenant === null ? undefined : await recoverExit(tx, { tenant, rowKey, log: id, time }, entries);
  if (exit?.cancelled === true) lost.push('The exit of the tenant, and what was copied: begin it anew.');
  const renewed = (await keys?.apply(tx, time)) ?? [];
  const reason = 'recovery';
  const { retired, rotated } = logKeys;
  const further = [
    ...(retired === undefined ? [] : [own(log, 'ledger.retire-key', { logKeys: retired, reason })]),
    ...(exit?.cancelled === true ? [own(log, 'tenants.cancel-exit', { state: 'cancelled', reason })] : []),
    ...(exit?.shreddingAgain === true ? [own(log, 'tenants.shred', { state: 'shredding', reason })] : []),
    ...[...again, ...(exit?.erasing ?? [])].map((study) =>
      own(log, 'studies.erase', { study, state: 'erasing', reason }),
    ),
    ...(rotated === undefined ? [] : [own(log, 'ledger.rotate-key', { logKeys: rotated, reason })]),
    ...renewed.map((recorded) => own(log, 'keys.rotate', { ...recorded, reason })),
    ...access.dropped.map((recorded) => own(log, 'people.leave', { ...recorded, reason })),
    ...cancelled.map((approval) => own(log, 'approvals.cancel', { approval, state: 'cancelled', reason })),
  ];
  return { lost, further };
}

/** Tenants that were made since the backup: their names were in the lost database alone. */
function lostTenants(logs: readonly TransparencyLog[], entries: readonly Entry[]): string[] {
  const made = entries.filter(
    ({ operation, outcome }) => operation === 'tenants.create' && outcome === 'success',
  );
  const missing = made.length - logs.filter(({ tenant }) => tenant !== null).length;
  return missing > 0 ? [`Tenants: ${missing} that were made after the backup, with all that they had.`] : [];
}
