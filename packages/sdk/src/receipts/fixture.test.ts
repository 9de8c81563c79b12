/** What the tests of receipts share: a server in memory that does with them what docs/formats/use-receipt.md says, and can be away. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errors } from '@trialkeep/contract';
import type { ErrorCode } from '@trialkeep/contract';
import { noReceipt, verifyBatch } from '@trialkeep/crypto';
import type { Receipt, ReceiptBatch } from '@trialkeep/crypto';
import type { Caller } from '../client/index.ts';
import { sdkError, sdkErrors, TrialkeepError } from '../errors.ts';
import type { SdkErrorCode } from '../errors.ts';
import type { DataKeyUse } from './reporter.ts';

const study = '7d9f2e0a-56c3-4d1f-9d1c-0a8e6f1b2c3d';
const key = '1f0e9c4b-3a77-4c55-8a50-1d2c3b4a5f60';

/** A use of a data key of its own. */
export function newUse(subject = 'a1'.repeat(16)): DataKeyUse {
  const context = { study, subject, class: 'ecg', site: '17' };
  return { use: 'open', key, dataKey: randomBytes(230), context };
}

export const nameOf = ({ dataKey }: Pick<DataKeyUse, 'dataKey'>): string =>
  createHash('sha256').update(dataKey).digest('hex');

/** What the network does with a request. */
export type Fault = 'request lost' | 'answer lost';

export class StandInServer implements Caller {
  readonly entries: Receipt[] = [];
  readonly gaps: { readonly from: number; readonly to: number }[] = [];
  readonly batches: ReceiptBatch[] = [];
  /** What happens to the next requests, one after the other. */
  readonly faults: Fault[] = [];
  away = false;
  /** Answers every request with this error where it is set. */
  refusal: ErrorCode | undefined;
  /** What that error is about. */
  refusedField: string | undefined;
  readonly #hashes = new Map<string, string>();
  readonly #ends = new Map<string, { last: number; hash: string }>();

  call = (async (id: string, batch: ReceiptBatch) => {
    assert.equal(id, 'uses.report');
    const fault = this.away ? 'request lost' : this.faults.shift();
    if (fault === 'request lost') throw sdkError('client.unreachable');
    if (this.refusal !== undefined) {
      const field = this.refusedField;
      throw new TrialkeepError(this.refusal, errors[this.refusal], { ...(field !== undefined && { field }) });
    }
    const acknowledged = this.take(batch);
    if (fault === 'answer lost') throw sdkError('client.timeout');
    return { acknowledged };
  }) as unknown as Caller['call'];

  take(batch: ReceiptBatch): number {
    const chain = verifyBatch(batch);
    const { last, hash } = this.#ends.get(batch.reporter) ?? { last: 0, hash: noReceipt };
    const name = (sequence: number): string => `${batch.reporter} ${sequence}`;
    if (batch.first === last + 1 && batch.previous !== hash) throw forked();
    const known = chain.filter(({ receipt }) => receipt.sequence <= last).at(-1);
    const expected = known && this.#hashes.get(name(known.receipt.sequence));
    if (known !== undefined && expected === undefined) throw inGap();
    if (known !== undefined && expected !== known.hash) throw forked();
    this.batches.push(batch);
    if (batch.first > last + 1) this.gaps.push({ from: last + 1, to: batch.first - 1 });
    for (const { receipt, hash: own } of chain.filter((each) => each.receipt.sequence > last)) {
      this.entries.push(receipt);
      this.#hashes.set(name(receipt.sequence), own);
      this.#ends.set(batch.reporter, { last: receipt.sequence, hash: own });
    }
    return this.#ends.get(batch.reporter)?.last ?? 0;
  }
}

function forked(): TrialkeepError {
  return new TrialkeepError('receipts.forked', errors['receipts.forked']);
}

function inGap(): TrialkeepError {
  return new TrialkeepError('receipts.in_gap', errors['receipts.in_gap']);
}

/** For `assert.rejects`. */
export function withCode(code: SdkErrorCode): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof TrialkeepError)) throw error;
    assert.equal(error.code, code, error.message);
    assert.equal(error.fix, sdkErrors[code].fix);
    return true;
  };
}

/** Runs `work` in a folder of its own, which is removed afterwards. */
export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'trialkeep-receipts-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
