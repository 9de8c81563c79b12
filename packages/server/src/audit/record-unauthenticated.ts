import type { FactsCache } from '../platform/facts.ts';
import { stale } from './appender.ts';
import { sealDraft } from './entry.ts';
import type { Ledger, LedgerNotes } from './ledger.ts';
import type { UnauthenticatedMinute } from './unauthenticated.ts';

/** Writes one entry for each caller and minute into the log that it belongs in. */
export async function recordUnauthenticated(
  ledger: Ledger,
  facts: FactsCache,
  minutes: readonly UnauthenticatedMinute[],
  notes: LedgerNotes,
): Promise<void> {
  for (const { log: id, actor, code, source, minute, count, operations } of minutes) {
    const log = id === undefined ? ledger.instanceLog : ledger.log(id);
    const draft = {
      operation: 'instance.authenticate',
      outcome: 'refused' as const,
      code,
      recorded: {},
      ...(actor !== undefined && { actor }),
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
