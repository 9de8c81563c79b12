import type { Entry } from '../audit/index.ts';
import { positionOf } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';

/** Removes, from a database that was put back, the payloads that the ledger says were redacted since. */
export async function recoverRedactions(tx: Tx, log: number, entries: readonly Entry[]): Promise<void> {
  for (const { operation, outcome, redacted, time } of entries) {
    if (operation !== 'payloads.redact' || outcome !== 'success' || redacted === undefined) continue;
    const position = await positionOf(tx, log, redacted);
    if (position !== undefined) await store.redactAgain(tx, { log, position, redacted_at: time });
  }
}
