import type { KeyObject } from 'node:crypto';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';
import type { ReceiptRow } from './store.ts';

/** Brings reporters of uses, in a database that was put back, as far as the entries of their receipts say they have come. */
export async function recoverReporters(
  tx: Tx,
  { log, rowKey }: { readonly log: number; readonly rowKey: KeyObject },
  entries: readonly Entry[],
): Promise<void> {
  const receipts = new Map<string, (ReceiptRow & { readonly system: string | null })[]>();
  for (const { operation, outcome, reporter, attested, hash, system = null } of entries) {
    const isReceipt = operation === 'uses.report' && outcome === 'success';
    if (!isReceipt || reporter === undefined || attested === undefined || hash === undefined) continue;
    const known = receipts.get(reporter) ?? [];
    known.push({ log, reporter, sequence: attested.sequence, hash, system });
    receipts.set(reporter, known);
  }
  for (const [id, all] of receipts) {
    const row = await store.findReporter(tx, rowKey, log, id);
    const fresh = all.filter(({ sequence }) => sequence > (row?.last_sequence ?? 0));
    const last = fresh.at(-1);
    if (last === undefined) continue;
    const system = row === undefined ? last.system : row.system;
    const reporter = { log, id, system, last_sequence: last.sequence, last_hash: last.hash };
    await store.putReporter(tx, rowKey, reporter);
    await store.insertReceipts(
      tx,
      rowKey,
      fresh.map(({ system: _system, ...receipt }) => receipt),
    );
  }
}
