import type { KeyObject } from 'node:crypto';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import { hashOf } from './policy.ts';
import type { KeptPolicy } from './policy-file.ts';
import * as store from './store.ts';

/**
 * Puts the witnessing policy that the anchor folder has in the place of the older one of a database that was put back, where it is the one
 * that the ledger names by its hash. Gives what is gone for good.
 */
export async function recoverPolicy(
  tx: Tx,
  { log, origin, rowKey }: { readonly log: number; readonly origin: string; readonly rowKey: KeyObject },
  kept: readonly KeptPolicy[],
  entries: readonly Entry[],
): Promise<string[]> {
  const newest = entries.findLast(
    ({ operation, outcome }) => operation === 'witnessing.set-policy' && outcome === 'success',
  );
  const row = await store.findPolicy(tx, rowKey, log);
  if (newest?.version === undefined || row?.version === newest.version) return [];
  const known = kept.find((policy) => policy.origin === origin && policy.version === newest.version);
  if (known === undefined || hashOf(known) !== newest.policy) {
    return [`The witnessing policy of ${origin}: the anchor folder does not have it.`];
  }
  const { policy, mirrors, mode, boundSeconds, version } = known;
  await store.putPolicy(tx, rowKey, {
    log,
    policy,
    mirrors: JSON.stringify(mirrors),
    mode,
    bound_ms: boundSeconds * 1000,
    version,
    hash: hashOf(known),
    changed_at: newest.time,
  });
  await store.putProgress(tx, rowKey, {
    log,
    round_size: 0,
    round_at: 0,
    witnessed_size: 0,
    withheld_since: null,
  });
  return [];
}
