import type { SignatureRecord } from '@trialkeep/contract';
import { CryptoError } from '@trialkeep/crypto';
import { findApproval, requestBytes } from './approvals/index.ts';
import type { Ledger } from './audit/index.ts';
import type { Hierarchy } from './keys/index.ts';
import { OperationError, StartupError } from './platform/errors.ts';
import type { Facts } from './platform/facts.ts';
import type { Log } from './platform/implementation.ts';
import { reviewRecord } from './reviews/index.ts';

/** Finds what a signature is under, as it is now: undefined where it is gone, or does not open. */
export function signedDocuments({ hierarchy, ledger }: { hierarchy: Hierarchy; ledger: Ledger }) {
  return async (
    facts: Facts,
    log: Log,
    { approval, review }: SignatureRecord,
  ): Promise<Uint8Array | undefined> => {
    if (review !== undefined) return facts.read((snapshot) => reviewRecord(snapshot, log.id, review));
    if (approval === undefined) return undefined;
    const rowKey = await hierarchy.rowKey(log.tenant);
    try {
      const found = await facts.read((snapshot) => findApproval(snapshot, rowKey, log.id, approval));
      return found && requestBytes(ledger.log(log.id).payloadKey, log, found.row);
    } catch (error) {
      if (isAltered(error)) return undefined;
      throw error;
    }
  };
}

/** Whether what was read is not what was written. */
function isAltered(error: unknown): boolean {
  if (error instanceof CryptoError) return true;
  if (error instanceof StartupError) return error.code === 'database.altered';
  return error instanceof OperationError && error.code === 'server.data_altered';
}
