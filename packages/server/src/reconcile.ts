import type { KeyObject } from 'node:crypto';
import { listCredentials } from './access/index.ts';
import { recordedStates } from './audit/index.ts';
import type { Ledger, RecordedState, RecordedStates } from './audit/index.ts';
import { listKeys, stateAt } from './keys/index.ts';
import type { Hierarchy } from './keys/index.ts';
import type { Database, Tx } from './platform/database.ts';

/** What a row says of its own state; whoever lists it has checked the row's seal. */
export interface StatedRow {
  readonly id: string;
  readonly state: string;
  /** Counts the changes of the row, where its entries do. */
  readonly version?: number;
}

/** Lists a log's rows of one kind in the snapshot. */
export type ListRows = (snapshot: Tx, rowKey: KeyObject, log: number) => Promise<readonly StatedRow[]>;

export interface ReconcileParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly persons: ListRows;
  readonly sessions: ListRows;
  readonly approvals: ListRows;
  /** Whether the tenant's keys may be used. */
  tenantSeal(snapshot: Tx, rowKey: KeyObject, tenant: string): Promise<'open' | 'sealed'>;
}

/**
 * Holds the rows that carry state against the ledger: a row that was put back as it once was still carries a valid seal, and would
 * un-revoke. Gives a sentence for each that is not what the newest entry about it says. Rows and entries are read in one
 * snapshot, for other nodes may be at work.
 */
export async function reconcile(parts: ReconcileParts): Promise<string[]> {
  const reasons: string[] = [];
  for (const { id, tenant } of parts.ledger.logs) {
    const rowKey = await parts.hierarchy.rowKey(tenant);
    const found = await parts.database.read(async (snapshot) => {
      const recorded = await recordedStates(snapshot, id);
      const stated = await compareStated(parts, snapshot, rowKey, id, recorded);
      if (tenant === null) return stated;
      const keys = await compareKeys(snapshot, rowKey, tenant, recorded);
      return [...stated, ...keys, ...(await compareSeal(parts, snapshot, rowKey, tenant, recorded))];
    });
    reasons.push(...found);
  }
  return reasons;
}

async function compareStated(
  parts: ReconcileParts,
  snapshot: Tx,
  rowKey: KeyObject,
  log: number,
  recorded: RecordedStates,
): Promise<string[]> {
  const credentials = await listCredentials(snapshot, rowKey, log);
  const kinds = [
    ['Credential', credentials.map(({ row }) => row), recorded.credential],
    ['Person', await parts.persons(snapshot, rowKey, log), recorded.person],
    ['Session', await parts.sessions(snapshot, rowKey, log), recorded.session],
    ['Approval', await parts.approvals(snapshot, rowKey, log), recorded.approval],
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
  parts: ReconcileParts,
  snapshot: Tx,
  rowKey: KeyObject,
  tenant: string,
  { tenantSeal }: RecordedStates,
): Promise<string[]> {
  const state = await parts.tenantSeal(snapshot, rowKey, tenant);
  if (state === (tenantSeal?.state ?? 'open')) return [];
  return [`Tenant ${tenant} is ${state} in the database and ${tenantSeal?.state ?? 'open'} in the ledger.`];
}
