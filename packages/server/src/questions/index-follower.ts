import type { Ledger } from '../audit/index.ts';

/** Entries of one log that are indexed before the next log has its turn: about a second of work. */
const entriesPerTurn = 32_768;

/**
 * Brings the index of every log towards its tree, a turn each: what a migration has emptied is made anew beside the server's work, and
 * what questions find is never far behind.
 */
export async function followLogs(
  ledger: Ledger,
  notes: { warn(details: object, message: string): void },
): Promise<void> {
  for (const log of ledger.logs) {
    try {
      await log.index.follow(entriesPerTurn);
    } catch (error) {
      notes.warn({ log: log.id, error: String(error) }, 'A log could not be indexed; trying again.');
    }
  }
}
