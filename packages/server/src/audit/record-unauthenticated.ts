import type { FactsCache } from '../platform/facts.ts';
import { sealDraft } from './entry.ts';
import type { Ledger, LedgerNotes } from './ledger.ts';
import { appendOwn } from './own-entries.ts';
import type { UnauthenticatedMinute } from './unauthenticated.ts';

/** Writes one entry for each caller and minute into the log that it belongs in. */
export async function recordUnauthenticated(
  ledger: Ledger,
  facts: FactsCache,
  minutes: readonly UnauthenticatedMinute[],
  notes: LedgerNotes,
): Promise<void> {
  for (const { log: id, actor, code, source, minute, count, operations } of minutes) {
    const draft = {
      operation: 'instance.authenticate',
      outcome: 'refused' as const,
      code,
      recorded: {},
      ...(actor !== undefined && { actor }),
    };
    const payload = { source, minute, count, operations: [...operations].sort() };
    try {
      const log = id === undefined ? ledger.instanceLog : await ledger.open(id);
      const sealed = sealDraft(draft, log.origin, payload, log.payloadKey);
      await appendOwn(ledger, facts, log.id, sealed);
    } catch (error) {
      notes.warn(
        { source, count, error: String(error) },
        'Refusals of unknown callers could not be recorded.',
      );
    }
  }
}
