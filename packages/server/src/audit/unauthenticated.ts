import type { ErrorCode } from '@trialkeep/contract';
import type { Clock } from '../platform/clock.ts';

/** What one caller without a usable credential tried within one minute. */
export interface UnauthenticatedMinute {
  /** The log that it belongs in; undefined for the instance's own. */
  readonly log: number | undefined;
  /** The revoked or expired credential; undefined where nobody knows the caller. */
  readonly actor: string | undefined;
  readonly code: ErrorCode;
  readonly source: string;
  readonly minute: number;
  count: number;
  readonly operations: Set<string>;
}
type Refused = Pick<UnauthenticatedMinute, 'log' | 'actor' | 'code' | 'source'>;

const minuteMs = 60_000;
/** Callers that are told apart within the minutes not yet recorded. */
const maxCallers = 1000;
/** Stands for every further source, so that nobody can fill the ledger from outside. */
const otherSources = 'others';
/** Refusals of one revoked or expired credential within a minute that get an entry each; the rest are counted. */
const maxEntriesPerMinute = 120;

/**
 * Counts refusals of callers that nobody knows, by source and minute, those of signed requests that are out of their time, and those of
 * revoked or expired credentials beyond the first of a minute. What was counted is recorded when the minute is over: one entry, however often it was tried.
 */
export class UnauthenticatedCounter {
  readonly #clock: Clock;
  readonly #minutes = new Map<string, UnauthenticatedMinute>();
  /** Entries written for each revoked or expired credential in the present minute. */
  #entries = new Map<string, number>();
  #entriesMinute = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts a caller whom nobody knows. */
  count(source: string, operation: string): void {
    this.#count({ log: undefined, actor: undefined, code: 'auth.required', source }, operation);
  }

  /**
   * Whether this refusal of a known credential gets an entry of its own; it is counted otherwise. A signed request that is out of its time
   * never does: whoever once saw it can send it again for ever.
   */
  admit(refused: Refused & { readonly actor: string }, operation: string): boolean {
    if (refused.code === 'auth.signature_expired') {
      this.#count(refused, operation);
      return false;
    }
    const minute = this.#minute();
    if (minute !== this.#entriesMinute) {
      this.#entries = new Map();
      this.#entriesMinute = minute;
    }
    const written = this.#entries.get(refused.actor) ?? 0;
    if (written < maxEntriesPerMinute) {
      this.#entries.set(refused.actor, written + 1);
      return true;
    }
    this.#count(refused, operation);
    return false;
  }

  /** Takes the minutes that are over, or all of them when the server stops. */
  take(all: boolean): UnauthenticatedMinute[] {
    const now = this.#clock.now();
    const over = [...this.#minutes].filter(([, { minute }]) => all || minute + minuteMs <= now);
    for (const [name] of over) this.#minutes.delete(name);
    return over.map(([, counted]) => counted);
  }

  #count(refused: Refused, operation: string): void {
    const minute = this.#minute();
    const full = this.#minutes.size >= maxCallers;
    const caller = full && refused.actor === undefined ? { ...refused, source: otherSources } : refused;
    const name = `${minute} ${caller.actor ?? caller.source} ${caller.code}`;
    const known = this.#minutes.get(name) ?? { ...caller, minute, count: 0, operations: new Set<string>() };
    known.count++;
    known.operations.add(operation);
    this.#minutes.set(name, known);
  }

  #minute(): number {
    return Math.floor(this.#clock.now() / minuteMs) * minuteMs;
  }
}
