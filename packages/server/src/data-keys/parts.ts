import type { OperationId } from '@trialkeep/contract';
import type { Ledger } from '../audit/index.ts';
import { findKey, listVersions } from '../keys/index.ts';
import type { Hierarchy, KeyRow, KeyVersion } from '../keys/index.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import type { FactsCache } from '../platform/facts.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context } from '../platform/implementation.ts';

/** What the operations on data keys need. */
export interface DataKeyParts {
  readonly hierarchy: Hierarchy;
  /** The keys that the credential names. */
  keysOf(context: Context<OperationId>): Promise<ReadonlySet<string>>;
  /** Has due jobs looked for at once. */
  wake(): void;
}

/** What wrapping data keys anew needs. */
export interface RewrapParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly clock: Clock;
  readonly notes: { warn(details: object, message: string): void };
}

/** A key with its versions. */
export interface KnownKey {
  readonly row: KeyRow;
  readonly versions: readonly KeyVersion[];
}

/** A key with its versions, by the facts of the request. */
export async function keyOf(
  { hierarchy }: Pick<DataKeyParts, 'hierarchy'>,
  { caller, facts }: Context<OperationId>,
  key: string,
): Promise<KnownKey | undefined> {
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  return facts.get(`key ${key}`, async (snapshot) => {
    const row = await findKey(snapshot, rowKey, tenant, key);
    return row && { row, versions: await listVersions(snapshot, rowKey, key) };
  });
}
