import type { KeyObject } from 'node:crypto';
import { listCredentials, listPersons, listSessions } from './access/index.ts';
import { listApprovals } from './approvals/index.ts';
import { compareLogKeys, recordedStates } from './audit/index.ts';
import type { Ledger, RecordedState, RecordedStates } from './audit/index.ts';
import { listKeys, stateAt } from './keys/index.ts';
import type { Hierarchy } from './keys/index.ts';
import type { Database, Tx } from './platform/database.ts';
import { listReviewStates } from './reviews/index.ts';
import { findSeal } from './systems/index.ts';
import { listReporters } from './uses/index.ts';
import { findPolicy } from './witnessing/index.ts';

/** What a row says of its own state; whoever lists it has checked the row's seal. */
interface StatedRow {
  readonly id: string;
  readonly state: string;
  /** Counts the changes of the row, where its entries do. */
  readonly version?: number;
}

export interface ReconcileParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
}

/**
 * Holds the rows that carry state against the ledger: a row that was put back as it once was still carries a valid seal, and would
 * un-revoke. Gives a sentence for each that is not what the newest entry about it says. Rows and entries are read in one
 * snapshot, for other nodes may be at work.
 */
export async function reconcile({ database, hierarchy, ledger }: ReconcileParts): Promise<string[]> {
  const reasons: string[] = [];
  for (const { id, tenant } of ledger.logs) {
    const rowKey = await hierarchy.rowKey(tenant);
    const found = await database.read(async (snapshot) => {
      const recorded = await recordedStates(snapshot, id);
      const stated = [
        ...(await compareStated(snapshot, rowKey, id, recorded)),
        ...(await comparePolicy(snapshot, rowKey, id, recorded)),
        ...(await compareLogKeys(snapshot, id, recorded.logKeys)),
      ];
      if (tenant === null) return stated;
      const keys = await compareKeys(snapshot, rowKey, tenant, recorded);
      return [...stated, ...keys, ...(await compareSeal(snapshot, rowKey, tenant, recorded))];
    });
    reasons.push(...found);
  }
  return reasons;
}

async function compareStated(
  snapshot: Tx,
  rowKey: KeyObject,
  log: number,
  recorded: RecordedStates,
): Promise<string[]> {
  const credentials = await listCredentials(snapshot, rowKey, log);
  const persons = await listPersons(snapshot, rowKey, log);
  const kinds = [
    ['Credential', credentials.map(({ row }) => row), recorded.credential],
    ['Person', persons.map(({ id, state, revision }) => ({ id, state, version: revision })), recorded.person],
    ['Session', await listSessions(snapshot, rowKey, log), recorded.session],
    ['Approval', await listApprovals(snapshot, rowKey, log), recorded.approval],
    ['Review', await listReviewStates(snapshot, log), recorded.review],
    ['Reporter', await listReporters(snapshot, rowKey, log), recorded.reporter],
  ] as const;
  return kinds.flatMap(([name, rows, entries]) =>
    rows.filter((row) => differs(row, entries.get(row.id))).map((row) => sentence(name, row, entries)),
  );
}

/** What no entry is about differs from none. */
function differs(row: StatedRow, entry: RecordedState | undefined): boolean {
  if (entry === undefined) return false;
  return entry.state !== row.state || (row.version !== undefined && entry.version !== row.version);
}

function sentence(name: string, row: StatedRow, entries: ReadonlyMap<string, RecordedState>): string {
  const entry = entries.get(row.id);
  if (entry?.state !== row.state) {
    return `${name} ${row.id} is ${row.state} in the database and ${entry?.state} in the ledger.`;
  }
  return `${name} ${row.id} is at change ${row.version} in the database and ${entry.version} in the ledger.`;
}

async function compareKeys(
  snapshot: Tx,
  rowKey: KeyObject,
  tenant: string,
  recorded: RecordedStates,
): Promise<string[]> {
  const rows = await listKeys(snapshot, rowKey, tenant);
  return rows.flatMap((row) => {
    const entry = recorded.key.get(row.id);
    if (entry === undefined) return [`Key ${row.id} is in the database and not in the ledger.`];
    if (stateAt(row, entry.time) === entry.state && row.version === entry.version) return [];
    return [`Key ${row.id} is not in the state or version that the ledger says (${entry.state}).`];
  });
}

async function compareSeal(
  snapshot: Tx,
  rowKey: KeyObject,
  tenant: string,
  { tenantSeal }: RecordedStates,
): Promise<string[]> {
  // Older tenants get their row once the ledger has been found not to speak of a seal.
  const state = (await findSeal(snapshot, rowKey, tenant))?.state ?? 'open';
  const recorded = tenantSeal?.state ?? 'open';
  if (state === recorded) return [];
  return [`Tenant ${tenant} is ${state} in the database and ${recorded} in the ledger.`];
}

/** An older policy, or none in the place of one, would ask fewer witnesses. */
async function comparePolicy(
  snapshot: Tx,
  rowKey: KeyObject,
  log: number,
  { witnessing }: RecordedStates,
): Promise<string[]> {
  const version = (await findPolicy(snapshot, rowKey, log))?.version ?? 0;
  const recorded = witnessing?.version ?? 0;
  if (version === recorded) return [];
  return [
    `The witnessing policy of log ${log} is number ${version} in the database and ${recorded} in the ledger.`,
  ];
}
