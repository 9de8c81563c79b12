import { changeOwn, sealDraft } from '../audit/index.ts';
import type { Ledger } from '../audit/index.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import type { FactsCache } from '../platform/facts.ts';
import * as store from './store.ts';
import type { ClockRow } from './store.ts';

/** What a clock that is not this installation's has shown. */
export interface Observation {
  /** Names the clock: the URL of an authority, or a witness. */
  readonly source: string;
  /** What it showed, ms, and how far that may be off. */
  readonly time: number;
  readonly uncertaintyMs: number;
  /** By the database's clock, between when it was read, ms. */
  readonly from: number;
  readonly to: number;
}

export interface ClockWatchParts {
  readonly database: Database;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly clock: Clock;
  readonly maxDriftMs: number;
}

/** The operation of the entries about clocks. */
export const clockOperation = 'clock.drift';

/** A clock that stays beyond the bound is reported again after so long. */
const alertEveryMs = 3_600_000;
/** A clock that stays where it was is written down this often. */
const keepEveryMs = 60_000;

/**
 * Compares the clock that entries are dated with, the database's, with the clocks of others (URS-035). Beyond the bound the instance's log
 * gets an entry, once for each source and hour, and another one when that is over.
 */
export class ClockWatch {
  readonly #parts: ClockWatchParts;

  constructor(parts: ClockWatchParts) {
    this.#parts = parts;
  }

  /** The time by which others are judged, ms. */
  now(): Promise<number> {
    const { database, clock } = this.#parts;
    return database.read((snapshot) => store.now(snapshot, clock));
  }

  /** Takes an observation in; returns once what follows from it is durable. */
  async observe(observation: Observation): Promise<void> {
    const { database, maxDriftMs } = this.#parts;
    const { source, to } = observation;
    const offset = offsetOf(observation);
    const state = Math.abs(offset) > maxDriftMs ? 'beyond' : 'within';
    const row = await database.read((snapshot) => store.findClock(snapshot, source));
    if (isNews(row, state, to)) return this.#report(source, state, offset);
    if (row !== undefined && to - row.observed_at < keepEveryMs) return;
    const alerted = row?.alerted_at ?? null;
    await database.write((tx) =>
      store.putClock(tx, { source, state, offset_ms: offset, observed_at: to, alerted_at: alerted }),
    );
  }

  /** Clocks that are beyond the bound, as they showed it last. */
  async beyond(): Promise<readonly { source: string; offsetMs: number }[]> {
    const rows = await this.#parts.database.read((snapshot) => store.clocksBeyond(snapshot));
    return rows.map(({ source, offset_ms: offsetMs }) => ({ source, offsetMs }));
  }

  /** Two nodes that notice it at once make one entry: the second one finds no news any more, and its entry is rolled back. */
  async #report(source: string, state: ClockRow['state'], offsetMs: number): Promise<void> {
    const { ledger, facts, maxDriftMs } = this.#parts;
    const log = ledger.instanceLog;
    const failed = { outcome: 'failed', code: 'clock.drift', recorded: { state } } as const;
    const ended = { outcome: 'success', recorded: { state } } as const;
    const draft = { operation: clockOperation, ...(state === 'beyond' ? failed : ended) };
    const payload = { source, offsetMs, maxDriftMs };
    try {
      await changeOwn(ledger, facts, log.id, async (tx, time) => {
        const row = await store.findClock(tx, source);
        if (!isNews(row, state, time)) throw new OldNews();
        const alerted = state === 'beyond' ? time : null;
        await store.putClock(tx, {
          source,
          state,
          offset_ms: offsetMs,
          observed_at: time,
          alerted_at: alerted,
        });
        return { result: undefined, draft: sealDraft(draft, log.origin, payload, log.payloadKey) };
      });
    } catch (error) {
      if (!(error instanceof OldNews)) throw error;
    }
  }
}

/** Somebody else has reported the same. */
class OldNews extends Error {}

function isNews(row: ClockRow | undefined, state: ClockRow['state'], time: number): boolean {
  if (state === 'within') return row?.state === 'beyond';
  return row?.state !== 'beyond' || time - (row.alerted_at ?? 0) >= alertEveryMs;
}

/** How far the other clock was ahead (behind: negative) beyond what its uncertainty and the time of the reading explain, ms. */
function offsetOf({ time, uncertaintyMs, from, to }: Observation): number {
  if (time - uncertaintyMs > to) return time - uncertaintyMs - to;
  if (time + uncertaintyMs < from) return time + uncertaintyMs - from;
  return 0;
}
