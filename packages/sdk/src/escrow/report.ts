import type { ChainedReceipt } from '@trialkeep/crypto';
import { pagesOf } from '../client/index.ts';
import type { Caller } from '../client/index.ts';
import { OpeningsList, verifyOpenings, withList } from './list.ts';
import type { OpeningsLine, OpeningsSummary, VerifyOpeningsOptions } from './list.ts';

export interface ReportOpeningsOptions extends VerifyOpeningsOptions {
  /** Called after each line that was dealt with, in receipts. */
  onProgress?(done: number, total: number): void;
}

export interface ReportedOpenings extends OpeningsSummary {
  /** Receipts that the ledger did not have yet. */
  readonly fresh: number;
  /** The ledger has this key's receipts up to this one, or gaps in their place. */
  readonly acknowledged: number;
}

/**
 * Brings a list of openings to the server, as a custodian: its ledger gets an entry for each receipt that it does not have yet. The
 * whole list is verified before the first line is sent. Where sending ends in between, the same list can be brought again; what
 * the ledger has is not sent twice, but for the line that shows that both speak of the same openings.
 *
 * @throws TrialkeepError as `verifyOpenings`; `receipts.forked` where the ledger has other openings of this key, `receipts.in_gap` where it
 * shows a gap instead of the list's last; the others of `uses.report` and `ledger.query`
 */
export async function reportOpenings(
  client: Caller,
  path: string,
  options: ReportOpeningsOptions = {},
): Promise<ReportedOpenings> {
  const summary = await verifyOpenings(path, options);
  return withList(path, async (file) => {
    let [done, fresh, known, acknowledged] = [0, 0, 0, 0];
    const send = async ({ batch }: OpeningsLine): Promise<void> => {
      const input = { ...batch, uses: [...batch.uses] };
      ({ acknowledged } = await client.call('uses.report', input));
    };
    /** The newest line that the ledger has and was not sent: it vouches, through the chain, for those before it. */
    let skipped: OpeningsLine | undefined;
    for await (const line of new OpeningsList(file, path, options).lines()) {
      options.signal?.throwIfAborted();
      const newest = line.receipts.at(-1);
      if (newest === undefined) continue;
      const { sequence: last } = newest.receipt;
      if (last <= known) skipped = line;
      else {
        if (skipped !== undefined) await send(skipped);
        skipped = undefined;
        const isFirst = done === 0;
        const wasThere = isFirst && (await isInLedger(client, newest));
        await send(line);
        if (isFirst && (wasThere || acknowledged > last)) known = acknowledged;
        fresh += line.receipts.filter(({ receipt }) => receipt.sequence > known).length;
      }
      done += line.receipts.length;
      options.onProgress?.(done, summary.receipts);
    }
    if (skipped !== undefined) await send(skipped);
    return { ...summary, fresh, acknowledged };
  });
}

/** Whether a receipt has its entry. An acknowledgement alone does not tell what came with it from what had come before. */
async function isInLedger(client: Caller, { receipt, hash }: ChainedReceipt): Promise<boolean> {
  const { study, subject, class: kind } = receipt;
  const question = {
    operation: 'uses.report',
    outcome: 'success' as const,
    ...(study !== undefined && { study }),
    ...(subject !== undefined && { subject }),
    ...(kind !== undefined && { class: kind }),
    limit: 1000,
  };
  for await (const { entries } of pagesOf((at) => client.call('ledger.query', { ...question, ...at }))) {
    if (entries.some(({ entry }) => (JSON.parse(entry) as { hash?: unknown }).hash === hash)) return true;
  }
  return false;
}
