import type { KeyObject } from 'node:crypto';
import { listCredentials, listPersons, listSessions } from './access/index.ts';
import { listApprovals } from './approvals/index.ts';
import { compareLogKeys, recordedStates } from './audit/index.ts';
import type { Ledger, RecordedState, RecordedStates } from './audit/index.ts';
import { listDestinations } from './exports/index.ts';
import { findExit, studiesOf } from './exit/index.ts';
import { listHolders } from './holders/index.ts';
import { listHolds } from './holds/index.ts';
import { listRoots } from './instance/index.ts';
import {
  listClosures,
  listImports,
  listStudyErasures,
  pagesOfKeys,
  policyDays,
  stateAt,
  usualDays,
} from './keys/index.ts';
import type { Hierarchy, KeyRow } from './keys/index.ts';
import type { Database, Tx } from './platform/database.ts';
import { listReviewStates } from './reviews/index.ts';
import { compareRootPermits } from './root-permits/index.ts';
import { compareSecondRecipients } from './second-recipients/index.ts';
import { findSeal } from './systems/index.ts';
import { compareTenantRoot } from './tenant-roots/index.ts';
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
      if (tenant === null) return [...stated, ...(await compareRoots(snapshot, rowKey, recorded))];
      const keys = await compareKeys(snapshot, rowKey, tenant, recorded);
      const rotation = await compareRotationPolicy(snapshot, rowKey, tenant, recorded);
      const closures = await compareClosures(snapshot, rowKey, tenant, recorded);
      const holds = await compareHolds(snapshot, rowKey, tenant, recorded);
      const transfers = await compareTransfers(snapshot, rowKey, tenant, recorded);
      const erasures = await compareStudyErasures(snapshot, rowKey, tenant, recorded);
      return [
        ...stated,
        ...holds,
        ...transfers,
        ...keys,
        ...rotation,
        ...closures,
        ...erasures,
        ...(await compareSeal(snapshot, rowKey, tenant, recorded)),
        ...(await compareExit(snapshot, rowKey, tenant, recorded)),
        ...(await compareSecondRecipients(snapshot, rowKey, tenant, recorded)),
        ...(await compareTenantRoot(snapshot, rowKey, tenant, recorded)),
      ];
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
    ['Holder', await listHolders(snapshot, rowKey, log), recorded.holder],
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
  const reasons: string[] = [];
  for await (const rows of pagesOfKeys(snapshot, rowKey, tenant))
    reasons.push(...compareRows(rows, recorded));
  return reasons;
}

function compareRows(rows: readonly KeyRow[], recorded: RecordedStates): string[] {
  return rows.flatMap((row) => {
    const entry = recorded.key.get(row.id);
    if (entry === undefined) return [`Key ${row.id} is in the database and not in the ledger.`];
    const dueAt = recorded.destruction.get(row.id) ?? null;
    if (row.destruction_due_at !== dueAt) {
      return [`The destruction of key ${row.id} is not due in the database when the ledger says.`];
    }
    if ((row.recipient_period_days ?? 0) !== (recorded.recipientPeriod.get(row.id) ?? 0)) {
      return [`Old versions of key ${row.id} process for another time than the ledger says.`];
    }
    if (stateAt(row, entry.time) !== entry.state || row.version !== entry.version) {
      return [`Key ${row.id} is not in the state or version that the ledger says (${entry.state}).`];
    }
    // One that had expired before it was revoked is in the same state after it; what a drill destroys need not have been revoked.
    const isRevoked = row.revoked_at !== null;
    if (row.state === 'destroyed' || isRevoked === recorded.revokedKeys.has(row.id)) return [];
    return [`Key ${row.id} is ${isRevoked ? '' : 'not '}revoked in the database, unlike in the ledger.`];
  });
}

/** An older policy would let keys rotate less often. */
async function compareRotationPolicy(
  snapshot: Tx,
  rowKey: KeyObject,
  tenant: string,
  recorded: RecordedStates,
): Promise<string[]> {
  const days = await policyDays(snapshot, rowKey, tenant);
  const { rotationPeriodDays = usualDays } = recorded;
  if (days === rotationPeriodDays) return [];
  return [
    `The rotation policy of tenant ${tenant} is ${days} days in the database and ${rotationPeriodDays} in the ledger.`,
  ];
}

/**
 * A study whose row was taken away, or put back as it once was, would be open again; and an approval that was given about an older closure
 * would end one of an older date.
 */
async function compareClosures(
  snapshot: Tx,
  rowKey: KeyObject,
  tenant: string,
  { closure }: RecordedStates,
): Promise<string[]> {
  const rows = new Map((await listClosures(snapshot, rowKey, tenant)).map((row) => [row.study, row]));
  return [...closure].flatMap(([study, { state, version: changedAt }]) => {
    const row = rows.get(study);
    const stored = row?.state ?? 'open';
    if (stored !== state) return [`Study ${study} is ${stored} in the database and ${state} in the ledger.`];
    if (row === undefined || row.changed_at === changedAt) return [];
    return [`Study ${study} became ${state} at another time in the database than in the ledger.`];
  });
}

/** A study whose erasure was taken away would be used again; one that the database lacks, made after a backup, cannot be. */
async function compareStudyErasures(
  snapshot: Tx,
  rowKey: KeyObject,
  tenant: string,
  { studyErasure: recorded }: RecordedStates,
): Promise<string[]> {
  const listed = await listStudyErasures(snapshot, rowKey, tenant);
  const rows = new Map(listed.map(({ study, state }) => [study, state]));
  const present = await studiesOf(snapshot, tenant);
  return present.flatMap((study) => {
    const [row = 'none', entry = 'none'] = [rows.get(study), recorded.get(study)?.state];
    return row === entry
      ? []
      : [`The erasure of study ${study} is ${row} in the database and ${entry} in the ledger.`];
  });
}

/** A hold that is not there any more keeps nothing. */
async function compareHolds(
  snapshot: Tx,
  rowKey: KeyObject,
  tenant: string,
  { hold: recorded }: RecordedStates,
): Promise<string[]> {
  const rows = new Map((await listHolds(snapshot, rowKey, tenant)).map(({ id, state }) => [id, state]));
  return [...recorded].flatMap(([id, { state }]) => {
    const row = rows.get(id) ?? 'gone';
    return row === state ? [] : [`Hold ${id} is ${row} in the database and ${state} in the ledger.`];
  });
}

/** A token that was used would be good again, and a retired destination would get keys. */
async function compareTransfers(
  snapshot: Tx,
  rowKey: KeyObject,
  tenant: string,
  { imports, destination: recorded }: RecordedStates,
): Promise<string[]> {
  const open = (await listImports(snapshot, tenant)).filter((id) => imports.has(id));
  const rows = await listDestinations(snapshot, rowKey, tenant);
  return [
    ...open.map((id) => `Import ${id} is open in the database and completed in the ledger.`),
    ...rows
      .filter((row) => differs(row, recorded.get(row.id)))
      .map((row) => sentence('Destination', row, recorded)),
  ];
}

/** A tenant that left would be there again. */
async function compareExit(
  snapshot: Tx,
  rowKey: KeyObject,
  tenant: string,
  { tenantExit }: RecordedStates,
): Promise<string[]> {
  const state = (await findExit(snapshot, rowKey, tenant))?.state ?? 'none';
  const recorded = tenantExit?.state ?? 'none';
  if (state === recorded) return [];
  return [`The exit of tenant ${tenant} is ${state} in the database and ${recorded} in the ledger.`];
}

/** A root of trust that was replaced, because somebody else may have it, would be in use again. */
async function compareRoots(
  snapshot: Tx,
  rowKey: KeyObject,
  { activeRoot, usedPermits }: RecordedStates,
): Promise<string[]> {
  const permits = await compareRootPermits(snapshot, rowKey, usedPermits);
  const active = (await listRoots(snapshot)).find(({ state }) => state === 'active');
  if (activeRoot === undefined || active?.id === activeRoot) return permits;
  return [
    ...permits,
    `The active root of trust is ${active?.id ?? 'none'} in the database and ${activeRoot} in the ledger.`,
  ];
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
