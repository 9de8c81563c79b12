import type { FactsCache } from '../platform/facts.ts';
import { stale } from './appender.ts';
import { sealDraft } from './entry.ts';
import type { Ledger, LedgerNotes } from './ledger.ts';
import type { UnauthenticatedMinute } from './unauthenticated.ts';

/** Writes one entry for each source and minute into the instance's log. */
export async function recordUnauthenticated(
  ledger: Ledger,
  facts: FactsCache,
  minutes: readonly UnauthenticatedMinute[],
  notes: LedgerNotes,
): Promise<void> {
  const log = ledger.instanceLog;
  for (const { source, minute, count, operations } of minutes) {
    const draft = {
      operation: 'instance.authenticate',
      outcome: 'refused' as const,
      code: 'auth.required' as const,
      recorded: {},
    };
    const payload = { source, minute, count, operations: [...operations].sort() };
    try {
      const sealed = sealDraft(draft, log.origin, payload, log.payloadKey);
      for (;;) {
        const { epoch } = await facts.of(log.id);
        if ((await ledger.appender.append(log.id, epoch, sealed)) !== stale) break;
        facts.drop(log.id);
      }
    } catch (error) {
      notes.warn(
        { source, count, error: String(error) },
        'Refusals of unknown callers could not be recorded.',
      );
    }
  }
}
