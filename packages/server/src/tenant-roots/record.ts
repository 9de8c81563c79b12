import { appendOwn, sealDraft } from '../audit/index.ts';
import type { Ledger } from '../audit/index.ts';
import type { FactsCache } from '../platform/facts.ts';
import type { LeaseState, RootLeases } from './leases.ts';

export interface RecordParts {
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly leases: RootLeases;
  readonly notes: { warn(details: object, message: string): void };
}

/** Changes of one tenant's root that wait to be recorded; a root that flutters faster is recorded as it was last. */
const maxWaiting = 100;
/** Longest text of a module that goes into a payload. */
const maxProblem = 500;

/**
 * Writes into the ledger of a tenant that its root has refused, has not answered, and gives the key again: once for each such
 * change and node, and not for each request, which has its own entry.
 */
export class RootRecorder {
  readonly #parts: RecordParts;
  readonly #waiting: LeaseState[] = [];
  #writing: Promise<void> | undefined;

  constructor(parts: RecordParts) {
    this.#parts = parts;
    parts.leases.whenChanged((state) => {
      parts.notes.warn(
        { tenant: state.tenant, root: state.root, problem: state.problem },
        `The tenant's own root of trust: ${state.answer}.`,
      );
      if (this.#waiting.length >= maxWaiting) this.#waiting.shift();
      this.#waiting.push(state);
      void this.look();
    });
  }

  /** Writes what could not be written before; resolves when nothing waits, or the ledger cannot be written. */
  look(): Promise<void> {
    return (this.#writing ??= this.#write().finally(() => (this.#writing = undefined)));
  }

  async #write(): Promise<void> {
    for (let state = this.#waiting[0]; state !== undefined; state = this.#waiting[0]) {
      try {
        await this.#append(state);
      } catch (error) {
        this.#parts.notes.warn(
          { error: String(error) },
          "A tenant's root could not be recorded; trying again.",
        );
        return;
      }
      const at = this.#waiting.indexOf(state);
      if (at >= 0) this.#waiting.splice(at, 1);
    }
  }

  async #append({ tenant, root, leaseMs, answer, since, problem }: LeaseState): Promise<void> {
    const { ledger, facts } = this.#parts;
    const log = await ledger.openOfTenant(tenant);
    if (log === undefined) return;
    const leaseSeconds = leaseMs / 1000;
    const recorded = { root, leaseSeconds, ...(answer !== 'open' && { reason: answer }) };
    const operation = answer === 'open' ? 'tenant-root.return' : 'tenant-root.refuse';
    const payload = { since, problem: problem?.slice(0, maxProblem) };
    const draft = { operation, outcome: 'success', recorded } as const;
    await appendOwn(ledger, facts, log.id, sealDraft(draft, log.origin, payload, log.payloadKey));
  }
}
