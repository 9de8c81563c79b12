import { maxInventoryKeys } from '@trialkeep/evidence';
import type { Bodies, InventoryRow } from '@trialkeep/evidence';
import type { KeyAsOf } from '@trialkeep/contract';
import type { Ledger, TransparencyLog } from '../audit/index.ts';
import { boundOfPast, takePast } from '../inventory/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Context } from '../platform/implementation.ts';
import { boundOf } from '../questions/index.ts';

const keysPerPage = 500;

/** What the document shows, and what not. */
const statement = [
  'Every key of the tenant that the log tells of up to that time is listed, and no other: whoever has the files of the log, with its payloads, can make the same list (trialkeep inventory --ledger).',
  'Names of systems are what the server said when this document was made; no entry of the ledger holds them.',
  'The last use is the newest that the server carried out itself. What is opened under data keys that were released before is not known from it.',
  'It does not hold against a server that wrote something false, or nothing, when it happened.',
];

/**
 * The keys that there were at a time, or are now, out of the ledger.
 *
 * @throws OperationError `evidence.too_many_keys`, and as `inventory.as-of`
 */
export async function inventory(
  parts: { readonly database: Database; readonly hierarchy: Hierarchy; readonly ledger: Ledger },
  log: TransparencyLog,
  { input, now, record }: Context<'evidence.make'>,
): Promise<Bodies['key.inventory']> {
  const { asOf = now, system } = input;
  if (system !== undefined) record.system = system;
  const past = await boundOfPast(parts, log, { asOf, now });
  const bound = await boundOf(parts, log);
  if (bound.size < past.end) throw new OperationError('question.indexing');
  const keys: InventoryRow[] = [];
  for (let after: number | undefined = -1; after !== undefined;) {
    const page = await takePast(parts, past, { asOf, system, after, limit: keysPerPage });
    keys.push(...page.keys.map(rowOf));
    if (keys.length > maxInventoryKeys) throw new OperationError('evidence.too_many_keys');
    after = page.last;
  }
  return { asOf, bound, keys, size: past.end, statement, system: system ?? null, v: 1 };
}

function rowOf(key: KeyAsOf): InventoryRow {
  const { algorithm, createdAt, description, expiresAt, id, overdue, purpose, rotationDueAt } = key;
  const { state, system, version, lastUse, revocation } = key;
  const [used, revokedAt] = [lastUse?.at ?? null, revocation?.at ?? null];
  return {
    ...{ algorithm, createdAt, description, expiresAt, id, overdue, purpose, rotationDueAt },
    ...{ lastUse: used, revokedAt, state, system, version },
  };
}
