import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import { hasRecord } from './store.ts';

/** What a database that was put back has lost of the electronic signatures that the ledger names. */
export async function lostSignatures(tx: Tx, log: number, entries: readonly Entry[]): Promise<string[]> {
  let lost = 0;
  for (const { signature, outcome } of entries) {
    if (signature !== undefined && outcome === 'success' && !(await hasRecord(tx, log, signature))) lost += 1;
  }
  return lost === 0 ? [] : [`Records of ${lost} electronic signatures: exports say that they are missing.`];
}
