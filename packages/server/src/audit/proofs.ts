import { formatProof, parseCheckpoint, parseNote } from '@trialkeep/ledger';
import type { OperationId } from '@trialkeep/contract';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Context, Implementations } from '../platform/implementation.ts';
import type { Ledger } from './ledger.ts';
import { boundsOf } from './pruning/store.ts';
import * as store from './store.ts';
import type { TransparencyLog } from './transparency-log.ts';

export type ProofOperationId = Extract<OperationId, `ledger.${'proof' | 'consistency' | 'bounds'}`>;

export interface ProofParts {
  readonly database: Database;
  readonly ledger: Ledger;
}

/** Binds the proofs of a log, and what they can be about, to their behaviour. */
export function proofImplementations(parts: ProofParts): Implementations<ProofOperationId> {
  return {
    'ledger.proof': (context) => proof(parts, context),
    'ledger.consistency': (context) => consistency(parts, context),
    'ledger.bounds': async ({ caller }) => ({
      ...(await parts.database.read((snapshot) => boundsOf(snapshot, caller.log.id))),
    }),
  };
}

/**
 * An inclusion proof with the newest stored checkpoint that covers the entry, as others have signed it too; where none does yet,
 * one is signed first.
 */
async function proof(parts: ProofParts, { input, caller }: Context<'ledger.proof'>): Promise<string> {
  const log = parts.ledger.log(caller.log.id);
  const index = await indexOf(parts, log, input);
  const checkpoint = await parts.ledger.present(log.id, index);
  const { size } = parseCheckpoint(parseNote(checkpoint).text);
  if (index >= size) throw new OperationError('entry.unknown', { field: '/index' });
  const hashes = await log.inclusionProof(index, size);
  return Buffer.from(formatProof({ index, hashes, checkpoint })).toString('utf8');
}

async function indexOf(
  { database }: ProofParts,
  log: TransparencyLog,
  { entry, index }: Context<'ledger.proof'>['input'],
): Promise<number> {
  if ((entry === undefined) === (index === undefined)) {
    throw new OperationError('request.invalid', { field: '/entry' });
  }
  if (index !== undefined) return index;
  if (entry === undefined) throw new OperationError('request.invalid', { field: '/entry' });
  await log.integrate();
  const position = await database.read((snapshot) => store.positionOf(snapshot, log.id, entry));
  if (position === undefined) throw new OperationError('entry.unknown', { field: '/entry' });
  return position;
}

async function consistency({ ledger }: ProofParts, { input, caller }: Context<'ledger.consistency'>) {
  const log = ledger.log(caller.log.id);
  const newest = (await log.newestCheckpoint())?.size ?? 0;
  const { from, to = newest } = input;
  if (from > to || to > newest) throw new OperationError('proof.out_of_range', { field: '/to' });
  const hashes = await log.consistencyProof(from, to);
  return { from, to, hashes: hashes.map((hash) => Buffer.from(hash).toString('base64')) };
}
