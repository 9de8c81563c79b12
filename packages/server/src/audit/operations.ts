import { LedgerError, encodeBundle, parseTilePath } from '@trialkeep/ledger';
import type { OperationId } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Context, Implementations } from '../platform/implementation.ts';
import type { Ledger } from './ledger.ts';
import { logKeyImplementations } from './log-keys/operations.ts';
import { findPayload, openPayload } from './payloads.ts';
import { proofImplementations } from './proofs.ts';
import { pruneImplementations } from './pruning/prune.ts';
import { boundsOf } from './pruning/store.ts';
import * as store from './store.ts';

/** Those on the log itself; what it is asked is answered by the questions. */
export type LedgerOperationId = Exclude<Extract<OperationId, `ledger.${string}`>, 'ledger.query'>;

/** What reading the ledger needs. */
export interface LedgerParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  /** Has due jobs looked for at once. */
  wake(): void;
}

/** Binds the ledger operations of the contract to their behaviour. */
export function ledgerImplementations(parts: LedgerParts): Implementations<LedgerOperationId> {
  return {
    'ledger.payload': (context) => payload(parts, context),
    'ledger.checkpoint': async ({ caller }) =>
      Buffer.from(await parts.ledger.present(caller.log.id)).toString('utf8'),
    'ledger.verifier-key': async ({ caller }) =>
      (await parts.ledger.log(caller.log.id).verifierKeys()).map((key) => `${key}\n`).join(''),
    'ledger.tile': (context) => tile(parts, context),
    ...proofImplementations(parts),
    ...logKeyImplementations(parts.hierarchy),
    ...pruneImplementations(parts),
  };
}

async function payload(parts: LedgerParts, { input, caller }: Context<'ledger.payload'>) {
  const log = parts.ledger.log(caller.log.id);
  await log.integrate();
  const found = await parts.database.read((snapshot) => findPayload(snapshot, log, input.entry));
  if (found === undefined) throw new OperationError('entry.unknown', { field: '/entry' });
  const opened = await openPayload(parts.hierarchy, log, found);
  if (opened.state !== 'open') throw new OperationError(`payload.${opened.state}`, { field: '/entry' });
  const payload: unknown = JSON.parse(opened.content);
  return { index: found.position, payload, commitment: found.entry.commitment };
}

async function tile(
  { database, ledger }: LedgerParts,
  { input, caller }: Context<'ledger.tile'>,
): Promise<Uint8Array> {
  const log = ledger.log(caller.log.id);
  const unknown = new OperationError('tile.unknown', { field: '/path' });
  let address;
  try {
    address = parseTilePath(`tile/${input.path}`);
  } catch (error) {
    if (error instanceof LedgerError) throw unknown;
    throw error;
  }
  if (address.kind === 'entries') {
    const { index, width } = address.address;
    const end = index * 256 + width;
    // Another node may have signed the checkpoint that the caller goes by.
    if (end > log.size) await log.follow();
    if (end > log.size) throw unknown;
    const entries = await database.read(async (snapshot) => {
      const { minimumIndex } = await boundsOf(snapshot, log.id);
      return end <= minimumIndex ? [] : store.readEntries(snapshot, log.id, index * 256, width);
    });
    if (entries.length !== width) throw unknown;
    return encodeBundle(entries);
  }
  const { level, index, width } = address.address;
  const hashes = await database.read((snapshot) => store.readTile(snapshot, log.id, level, index));
  if (hashes === undefined || hashes.length < width * 32) throw unknown;
  return hashes.subarray(0, width * 32);
}
