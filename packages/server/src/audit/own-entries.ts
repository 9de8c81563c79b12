import type { FactsCache } from '../platform/facts.ts';
import { stale } from './appender.ts';
import type { Appended, Appender } from './appender.ts';
import type { SealedDraft } from './entry.ts';
import type { Ledger } from './ledger.ts';

/** Appends the entry of something that the server noticed by itself, under whatever epoch the log has. */
export async function appendOwn(
  ledger: Ledger,
  facts: FactsCache,
  log: number,
  draft: SealedDraft,
): Promise<Appended> {
  for (;;) {
    const { epoch } = await facts.of(log);
    const appended = await ledger.appender.append(log, epoch, draft);
    if (appended !== stale) return appended;
    facts.drop(log);
  }
}

/**
 * Runs a change that the server makes by itself: the epoch guards what authorisations have read, and there is none here, so `work`
 * reads whatever it goes by in its own transaction. It may run more than once; what it throws leaves nothing.
 *
 * @param options as for {@link Appender.change}
 */
export async function changeOwn<T>(
  ledger: Ledger,
  facts: FactsCache,
  log: number,
  work: Parameters<typeof Appender.prototype.change<T>>[2],
  options: Parameters<typeof Appender.prototype.change<T>>[3] = {},
): Promise<T> {
  for (;;) {
    const { epoch } = await facts.of(log);
    const result = await ledger.appender.change(log, epoch, work, options);
    if (result === stale || options.keepsEpoch !== true) facts.drop(log);
    if (result !== stale) return result;
  }
}
