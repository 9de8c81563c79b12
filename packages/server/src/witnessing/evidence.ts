import { LedgerError } from '@trialkeep/ledger';
import type { Ledger, TransparencyLog } from '../audit/index.ts';
import { CosignerFault } from './faults.ts';
import { shownBy } from './witness-client.ts';

/**
 * Looks at what a witness or mirror shows, which the log's own key has signed: a checkpoint that this database does not contain proves
 * that the database was put back, or that there is a second history. A claim without such a checkpoint proves nothing. Gives what
 * contradicts the database, and the size of what was shown; undefined where nothing is shown that this log has signed.
 *
 * @throws CosignerFault where it cannot be asked
 */
export async function evidenceOf(
  log: TransparencyLog,
  prefix: string,
): Promise<{ size: number; contradiction: string | undefined } | undefined> {
  const note = await shownBy(prefix, log.origin);
  if (note === undefined) return undefined;
  // Whatever another node has committed before the witness saw it is there by now.
  await log.integrate();
  try {
    return await log.compare(note);
  } catch (error) {
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

/** While the server runs: proof of another history ends the process, as a database does that has become shorter. */
export async function pursue(
  ledger: Ledger,
  log: TransparencyLog,
  prefix: string,
  name: string,
): Promise<void> {
  let found;
  try {
    found = await evidenceOf(log, prefix);
  } catch (error) {
    if (error instanceof CosignerFault) return;
    throw error;
  }
  if (found?.contradiction !== undefined) {
    throw ledger.reportRolledBack(`${name} holds a checkpoint against it. ${found.contradiction}`);
  }
}
