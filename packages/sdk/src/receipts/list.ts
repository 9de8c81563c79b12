import { readFile, stat } from 'node:fs/promises';
import { CryptoError, signUses, verifyBatch } from '@trialkeep/crypto';
import type { ReceiptBatch } from '@trialkeep/crypto';
import type { Input, Operations } from '@trialkeep/contract';
import type { Caller } from '../client/index.ts';
import { sdkError } from '../errors.ts';
import { createTargetFile, systemCode } from '../files.ts';
import type { TargetOptions } from '../files.ts';
import { openFolder } from './folder.ts';

/** A list of receipts: what was counted in it, and what the server said. */
export interface ReceiptList {
  /** Public key of the reporter, hexadecimal; undefined where the list is empty. */
  readonly reporter: string | undefined;
  /** Receipts in the list. */
  readonly receipts: number;
}

/** Longest list that is read: some 200,000 receipts. */
const maxListBytes = 64 * 1024 * 1024;

/**
 * Writes all receipts of a reporter's folder that are still in it as a signed list, one batch a line, to be carried to the server by
 * hand. The folder stays as it is until `acknowledgeReceipts`: nobody has acknowledged anything.
 *
 * @throws TrialkeepError `receipts.folder_in_use`, `receipts.folder_unusable`, `receipts.damaged`; SealError `seal.target_…`, `seal.no_space`
 */
export async function exportReceipts(
  folder: string,
  target: string,
  options: TargetOptions = {},
): Promise<ReceiptList> {
  const { id, key, spool, close } = await openFolder(folder, { make: false });
  try {
    const file = await createTargetFile(target, options);
    try {
      let receipts = 0;
      let last = 0;
      for (let batch = await spool.next(last); batch !== undefined; batch = await spool.next(last)) {
        await file.write(Buffer.from(`${JSON.stringify(signUses(key, batch))}\n`));
        receipts += batch.uses.length;
        last = batch.first + batch.uses.length - 1;
      }
      await file.commit();
      return { reporter: receipts === 0 ? undefined : id, receipts };
    } finally {
      await file.abandon();
    }
  } finally {
    await close();
  }
}

/**
 * Lets a reporter's folder forget what `importReceipts` brought to the server, which makes room for more. The newest receipt stays.
 *
 * @param imported what `importReceipts` returned for a list of this folder
 * @throws TrialkeepError `client.invalid_input` for what is of another reporter, or no sequence number; `receipts.outdated` where the
 * server has more than the folder; `receipts.folder_in_use`, `receipts.folder_unusable`, `receipts.damaged`, `receipts.no_space`,
 * `receipts.not_written`
 */
export async function acknowledgeReceipts(
  folder: string,
  imported: { readonly reporter: string | undefined; readonly acknowledged: number },
): Promise<void> {
  const { reporter, acknowledged } = imported;
  if (!Number.isSafeInteger(acknowledged) || acknowledged < 0) {
    throw sdkError('client.invalid_input', { field: '/acknowledged' });
  }
  // An empty list says nothing about anybody.
  if (reporter === undefined) return;
  const { id, spool, close } = await openFolder(folder, { make: false });
  try {
    if (reporter !== id) throw sdkError('client.invalid_input', { field: '/reporter' });
    if (acknowledged > spool.last) throw sdkError('receipts.outdated');
    await spool.release(acknowledged);
  } finally {
    await close();
  }
}

/**
 * Brings a signed list to the server, whose ledger gets an entry for each receipt that it does not have yet. All signatures are checked
 * before the first is sent; where sending ends in between, the same list can be brought again.
 *
 * @throws TrialkeepError `receipts.list_unreadable`, `receipts.list_invalid`; the errors of `uses.report`
 */
export async function importReceipts(
  client: Caller,
  source: string,
): Promise<ReceiptList & { readonly acknowledged: number }> {
  const batches = parseList(source, await readList(source));
  let acknowledged = 0;
  for (const batch of batches) ({ acknowledged } = await client.call('uses.report', batch));
  const receipts = batches.reduce((sum, { uses }) => sum + uses.length, 0);
  return { reporter: batches[0]?.reporter, receipts, acknowledged };
}

async function readList(source: string): Promise<string> {
  try {
    if ((await stat(source)).size > maxListBytes)
      throw sdkError('receipts.list_invalid', { detail: 'too long' });
    return await readFile(source, 'utf8');
  } catch (error) {
    const reason = systemCode(error);
    if (!/^E[A-Z]+$/.test(reason)) throw error;
    throw sdkError('receipts.list_unreadable', { detail: `${source}: ${reason}`, cause: error });
  }
}

function parseList(source: string, text: string): Input<Operations['uses.report']>[] {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw sdkError('receipts.list_invalid', { detail: `${source} is cut off` });
  const batches = lines.map((line, i) => parseBatch(line, `${source}, line ${i + 1}`));
  if (new Set(batches.map(({ reporter }) => reporter)).size > 1) {
    throw sdkError('receipts.list_invalid', { detail: `${source} is of several reporters` });
  }
  return batches;
}

function parseBatch(line: string, detail: string): Input<Operations['uses.report']> {
  try {
    const batch = JSON.parse(line) as ReceiptBatch;
    verifyBatch(batch);
    return { ...batch, uses: [...batch.uses] };
  } catch (error) {
    if (!(error instanceof CryptoError || error instanceof SyntaxError || error instanceof TypeError))
      throw error;
    throw sdkError('receipts.list_invalid', { detail, cause: error });
  }
}
