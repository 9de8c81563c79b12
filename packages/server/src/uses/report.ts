import type { KeyObject } from 'node:crypto';
import { CryptoError, noReceipt, verifyBatch } from '@trialkeep/crypto';
import type { ChainedReceipt } from '@trialkeep/crypto';
import type { Input, Operations } from '@trialkeep/contract';
import { grants } from '../access/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import { keysKnown } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context, Recorded, RecordedItem } from '../platform/implementation.ts';
import * as store from './store.ts';
import type { ReporterRow } from './store.ts';

type Batch = Input<Operations['uses.report']>;

/** Takes receipts of uses into the ledger: each once, in the order of their chain, with what is missing stated. */
export async function report(
  hierarchy: Hierarchy,
  context: Context<'uses.report'>,
): Promise<Apply<'uses.report'>> {
  const { input, caller, record, items } = context;
  const { reporter, first } = input;
  const log = caller.log.id;
  record.reporter = reporter;
  const receipts = verified(input);
  const systems = await checkSpeaker(context);
  items.push(...itemsOf(input, receipts, systems));
  const rowKey = await hierarchy.rowKey(caller.log.tenant);
  return async (tx) => {
    const known = await store.findReporter(tx, rowKey, log, reporter);
    if (known !== undefined && known.system !== caller.system) {
      throw new OperationError('receipts.foreign_reporter', { field: '/reporter' });
    }
    const last = known?.last_sequence ?? 0;
    await checkChain(
      tx,
      rowKey,
      known ?? { log, id: reporter, last_sequence: 0, last_hash: noReceipt },
      input,
      receipts,
    );
    const fresh = receipts.slice(Math.max(0, last + 1 - first));
    items.splice(0, items.length - fresh.length);
    const newest = fresh.at(-1);
    if (newest === undefined) return { acknowledged: last };
    const [item] = items;
    if (first > last + 1 && item !== undefined) item.record.gap = { from: last + 1, to: first - 1 };
    const acknowledged = newest.receipt.sequence;
    const { system } = caller;
    await store.putReporter(tx, rowKey, {
      log,
      id: reporter,
      system,
      last_sequence: acknowledged,
      last_hash: newest.hash,
    });
    const rows = fresh.map(({ receipt: { sequence }, hash }) => ({ log, reporter, sequence, hash }));
    await store.insertReceipts(tx, rowKey, rows);
    return { acknowledged };
  };
}

function verified(input: Batch): ChainedReceipt[] {
  try {
    return verifyBatch(input);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    const field = error.code === 'crypto.receipt_signature_invalid' ? '/signature' : '/uses';
    throw new OperationError('receipts.invalid', { field, detail: error.message, cause: error });
  }
}

/**
 * Who uses keys reports uses of keys: a service those of its own system, data recovery those of the whole tenant. Who administers keys,
 * and uses none, brings what was opened with escrow keys. Whether the key may still be used does not matter: it was.
 *
 * @returns the systems of the keys, by key
 */
async function checkSpeaker({
  input,
  caller,
  facts,
}: Context<'uses.report'>): Promise<ReadonlyMap<string, string>> {
  const keys = [...new Set(input.uses.flatMap(({ key }) => key ?? []))];
  const known = await facts.read((snapshot) => keysKnown(snapshot, tenantOf(caller), keys));
  for (const [i, { key }] of input.uses.entries()) {
    const field = `/uses/${i}/${key === undefined ? 'recipient' : 'key'}`;
    if (!grants(caller, key === undefined ? 'keys:manage' : 'keys:process')) {
      throw new OperationError('receipts.foreign_use', { field });
    }
    if (key === undefined) continue;
    const system = known.get(key);
    if (system === undefined || (caller.system !== null && caller.system !== system)) {
      throw new OperationError('key.unknown', { field });
    }
  }
  return known;
}

/** Refuses what does not go on from, or repeat, the receipts that have their entries. The batch is a chain in itself. */
async function checkChain(
  tx: Tx,
  rowKey: KeyObject,
  known: Omit<ReporterRow, 'system'>,
  { first, previous }: Batch,
  receipts: readonly ChainedReceipt[],
): Promise<void> {
  const { log, id: reporter, last_sequence: last, last_hash: lastHash } = known;
  if (first === last + 1 && previous !== lastHash)
    throw new OperationError('receipts.forked', { field: '/previous' });
  if (first > last) return;
  // The newest of those that came before vouches for the others.
  const position = Math.min(receipts.length, last + 1 - first) - 1;
  const expected = await store.findReceipt(tx, rowKey, { log, reporter, sequence: first + position });
  const field = `/uses/${position}`;
  if (expected === undefined) throw new OperationError('receipts.in_gap', { field });
  if (receipts[position]?.hash !== expected) throw new OperationError('receipts.forked', { field });
}

function itemsOf(
  { reporter, uses, first, signature }: Batch,
  receipts: readonly ChainedReceipt[],
  systems: ReadonlyMap<string, string>,
): RecordedItem[] {
  const batch = { first, last: first + uses.length - 1, signature };
  return receipts.map(({ receipt, text, hash }) => {
    const { count, time, use, sequence, recipient, dataKey, key } = receipt;
    const { study, subject, class: kind, purpose } = receipt;
    const system = key === undefined ? undefined : systems.get(key);
    const record: Recorded = {
      reporter,
      hash,
      dataKey,
      attested: { use, count, sequence, time, ...(recipient !== undefined && { recipient }) },
      ...(key !== undefined && { key }),
      ...(system !== undefined && { system }),
      ...(study !== undefined && { study }),
      ...(subject !== undefined && { subject }),
      ...(kind !== undefined && { class: kind }),
      ...(purpose !== undefined && { purpose }),
      // The newest entry of a reporter says how far it has come.
      ...(sequence === batch.last && { state: 'active' }),
    };
    return { record, payload: { receipt: text, batch } };
  });
}
