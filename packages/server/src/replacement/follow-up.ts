import { changeOwn, endLogKeys, renewLogKeys, sealDraft } from '../audit/index.ts';
import type { TransparencyLog } from '../audit/index.ts';
import { renewEpoch } from '../erasure/index.ts';
import { rootFolder, listRoots } from '../instance/index.ts';
import type { OpenInstance } from '../instance/index.ts';
import { openTenantKeyOf, renewVersions, shreddableAnew, underEpoch } from '../keys/index.ts';
import type { WrappingChange } from '../keys/index.ts';
import { StartupError } from '../platform/errors.ts';
import { FactsCache } from '../platform/facts.ts';
import { dropEpochs, epochFolder } from '../roots/index.ts';
import * as store from './store.ts';
import type { ReplacementLogRow, ReplacementRow } from './store.ts';

/** What a replacement that was begun still has to be done to: opened with the new root. */
export interface Going {
  readonly instance: OpenInstance;
  readonly replacement: ReplacementRow;
  /** Called between two steps, for tests that stop there. */
  readonly atStep: (step: string) => void;
}

/**
 * Moves the rows of the shred store to a new epoch and to their tenants' new keys, and destroys the epoch keys from before, those of
 * the retired roots too: an old copy of the store does not open with what the installation has now. Goes on where it was interrupted.
 */
export async function moveShredStore({ instance, replacement }: Going): Promise<void> {
  const { epochs, shred, database, hierarchy, directory } = instance;
  const rowKey = await hierarchy.rowKey(null);
  if (epochs.numbers().some((number) => number <= replacement.epoch)) {
    const logs = await database.read((snapshot) => store.listLogs(snapshot, rowKey, replacement.id));
    const changes = await changesOf(instance, logs);
    await renewEpoch({ epochs, shred }, (row, from, to) => {
      const change = changes.get(row.tenant);
      return change === undefined ? underEpoch(row, from, to) : shreddableAnew(change, row, from, to);
    });
  }
  const roots = await database.read(listRoots);
  for (const row of roots.filter(({ state }) => state === 'retired')) {
    const folder = epochFolder(rootFolder(directory, row), row.id);
    if (folder !== epochs.folder) dropEpochs(folder);
  }
}

/** Each tenant's key from before and of now; a tenant whose key stayed under its own root is not among them. */
async function changesOf(
  { hierarchy, ledger, instanceKey }: OpenInstance,
  logs: readonly ReplacementLogRow[],
): Promise<Map<string, WrappingChange>> {
  const changes = new Map<string, WrappingChange>();
  for (const { log: id, old_key: oldKey, old_version: oldVersion } of logs) {
    const { tenant } = await ledger.open(id);
    if (tenant === null || oldKey.length === 0) continue;
    const before = openTenantKeyOf(instanceKey, tenant, oldVersion, oldKey);
    changes.set(tenant, { before, after: await hierarchy.tenantKey(tenant) });
  }
  return changes;
}

/** What was assumed to be known of the keys of a log's owner, in numbers, for its entry. */
interface AssumedKnown {
  readonly keyVersions: number;
  readonly oneTimeCodes: number;
}

/** Gives a log its entry and new signing keys, and its tenant's keys new versions. Goes on where it was interrupted. */
export async function renewLog(
  { instance, replacement, atStep }: Going,
  row: ReplacementLogRow,
): Promise<void> {
  const { ledger, database, hierarchy } = instance;
  const log = await ledger.open(row.log);
  const facts = new FactsCache(database, () => undefined);
  const rowKey = await hierarchy.rowKey(null);
  if (row.state === 'open') await tell({ instance, replacement, atStep }, row, log);
  atStep(`log ${log.id} told`);
  // The checkpoint over that entry is the last that the old keys sign.
  await ledger.anchorNow(log.id);
  const hasOwnRoot = row.old_key.length === 0;
  if (log.tenant !== null && !hasOwnRoot)
    await renewVersions({ database, hierarchy, ledger, facts }, log.tenant, replacement.begun_at);
  atStep(`keys of log ${log.id} renewed`);
  await changeOwn(ledger, facts, log.id, async (tx) => {
    const logKeys = await endLogKeys(tx, log.id);
    await store.putLog(tx, rowKey, { ...row, old_version: '', old_key: new Uint8Array(0), state: 'ended' });
    const recorded = { logKeys, reason: 'root-compromised' };
    const draft = { operation: 'ledger.retire-key', outcome: 'success', recorded } as const;
    return { result: undefined, draft: sealDraft(draft, log.origin, {}, log.payloadKey) };
  });
  await ledger.anchorNow(log.id);
}

async function tell(
  { instance, replacement }: Going,
  row: ReplacementLogRow,
  log: TransparencyLog,
): Promise<void> {
  const { ledger, database, hierarchy } = instance;
  const facts = new FactsCache(database, () => undefined);
  const rowKey = await hierarchy.rowKey(null);
  const { begun_at: begunAt, reason, root, approval, break_glass: breakGlass } = replacement;
  const known = await database.read(async (snapshot): Promise<AssumedKnown> => {
    const versions = log.tenant === null ? [] : await store.versionsBefore(snapshot, log.tenant, begunAt);
    return {
      keyVersions: versions.length,
      oneTimeCodes: (await store.oneTimeCodes(snapshot, log.id, begunAt)).length,
    };
  });
  const payload = {
    reason,
    root,
    replacedAt: begunAt,
    ...(breakGlass !== null && { breakGlass }),
    assumedKnown: { ...known, instanceKey: true, tenantKey: row.old_key.length > 0, payloadKey: true },
  };
  await changeOwn(ledger, facts, log.id, async (tx, time) => {
    const logKeys = await renewLogKeys(tx, hierarchy, log, time);
    await store.putLog(tx, rowKey, { ...row, state: 'told' });
    const seal = (operation: string, recorded: object, content: object) =>
      sealDraft({ operation, outcome: 'success', recorded }, log.origin, content, log.payloadKey);
    // In the tenants' ledgers `key` names their own keys.
    const said =
      log.tenant === null ? { key: root, state: 'active', ...(approval !== null && { approval }) } : {};
    const isBroken = log.tenant === null && breakGlass !== null;
    const recorded = { ...said, reason: isBroken ? 'break-glass' : 'root-compromised' };
    // What has been wrapped for these private keys may be read with the old tenant key: they are begun anew.
    const importsEnded = log.tenant === null ? 0 : await store.deleteImports(tx, log.tenant);
    return {
      result: undefined,
      draft: seal('instance.replace-root', recorded, { ...payload, importsEnded }),
      further: [seal('ledger.rotate-key', { logKeys, reason: 'root-compromised' }, {})],
    };
  });
}

/** What is left of a replacement whose logs are all done: its own row. @throws StartupError where one is not */
export async function endReplacement({ instance, replacement }: Going): Promise<ReplacementRow> {
  const rowKey = await instance.hierarchy.rowKey(null);
  return instance.database.write(async (tx) => {
    const logs = await store.listLogs(tx, rowKey, replacement.id);
    if (logs.some(({ state }) => state !== 'ended')) throw new StartupError('root.replacement_disturbed');
    const { seal: _, ...row } = replacement;
    const ended = { ...row, state: 'ended' as const, ended_at: await store.readTime(tx) };
    await store.putReplacement(tx, rowKey, ended);
    return { ...ended, seal: replacement.seal };
  });
}
