import { listCredentials } from './access/index.ts';
import { recordedStates } from './audit/index.ts';
import type { Ledger } from './audit/index.ts';
import { listKeys, stateAt } from './keys/index.ts';
import type { Hierarchy } from './keys/index.ts';
import type { Database } from './platform/database.ts';

/**
 * Holds the rows that carry state against the ledger: a row that was put back as it once was still carries a valid seal, and would
 * un-revoke. Gives a sentence for each key or credential that is not what the newest entry about it says.
 */
export async function reconcile(parts: {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
}): Promise<string[]> {
  const { database, hierarchy, ledger } = parts;
  const reasons: string[] = [];
  for (const log of ledger.logs) {
    const { tenant } = log;
    const rowKey = await hierarchy.rowKey(tenant);
    const recorded = await recordedStates(database, log.id, log.size);
    const credentials = await database.read((snapshot) => listCredentials(snapshot, rowKey, log.id));
    for (const { row } of credentials) {
      const entry = recorded.credentials.get(row.id);
      if (entry !== undefined && entry.state !== row.state) {
        reasons.push(
          `Credential ${row.id} is ${row.state} in the database and ${entry.state} in the ledger.`,
        );
      }
    }
    if (tenant === null) continue;
    const keys = await database.read((snapshot) => listKeys(snapshot, rowKey, tenant));
    for (const row of keys) {
      const entry = recorded.keys.get(row.id);
      if (entry === undefined) {
        reasons.push(`Key ${row.id} is in the database and not in the ledger.`);
      } else if (stateAt(row, entry.time) !== entry.state || row.version !== entry.version) {
        reasons.push(`Key ${row.id} is not in the state or version that the ledger says (${entry.state}).`);
      }
    }
  }
  return reasons;
}
