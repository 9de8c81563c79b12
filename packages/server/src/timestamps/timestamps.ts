import { createHash } from 'node:crypto';
import { parseCheckpoint, parseNote, stampedNote } from '@trialkeep/ledger';
import { appendOwn, changeOwn, sealDraft } from '../audit/index.ts';
import type { Ledger } from '../audit/index.ts';
import type { Clock } from '../platform/clock.ts';
import type { Configuration, DataDirectory } from '../platform/config.ts';
import type { Database } from '../platform/database.ts';
import type { FactsCache } from '../platform/facts.ts';
import { ensure } from '../platform/jobs/index.ts';
import type { Job, JobHandler, NewJob } from '../platform/jobs/index.ts';
import { Authorities, NoTimestamp } from './authorities.ts';
import type { AuthorityTiming } from './authorities.ts';
import { answerTimeoutMs } from './authority.ts';
import { ClockWatch, clockOperation } from './clock-watch.ts';
import { readSettings } from './settings.ts';
import type { TimestampSettings } from './settings.ts';
import * as store from './store.ts';
import type { Stamped } from './store.ts';

/** The task whose jobs obtain timestamps, and the operation of the entries about them. */
export const timestampTask = 'timestamps.obtain';

/** What is stamped at once: what makes keys, or ends what somebody may do with them. */
const urgentOperations = [
  'keys.rotate',
  'keys.suspend',
  'keys.revoke',
  'keys.destroy',
  'credentials.revoke',
  'people.leave',
  'revocations.revoke',
  'subjects.erase',
  'tenants.seal',
  'ledger.rotate-key',
  'ledger.retire-key',
] as const;
/** What the server says about time does not call for another timestamp. */
const ownOperations = [timestampTask, clockOperation] as const;

/** Entries that are looked through in one step: some milliseconds of the event loop. */
const entriesPerLook = 10_000;
/** From one timestamp of a log to the next, at least. */
const gapMs = 10_000;
/** A cosignature states whole seconds, and is looked at some time after it was made, ms. */
const cosignatureUncertaintyMs = { resolution: 1000, delay: 15_000 } as const;
/** The failure in a row that is put on the record: later ones say nothing new. */
const recordedFailure = 3;

export interface TimestampsParts {
  readonly database: Database;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly clock: Clock;
  readonly notes: { warn(details: object, message: string): void };
  readonly settings: TimestampSettings;
  readonly timing?: AuthorityTiming;
}

/** Trusted time: timestamps under checkpoints, obtained as jobs, and clocks compared (URS-035). Nothing waits for either. */
export class Timestamps {
  readonly #parts: TimestampsParts;
  readonly #authorities: Authorities;
  readonly #clocks: ClockWatch;
  /** Positions from which on a log has not been looked through for what is stamped at once. */
  readonly #looked = new Map<number, number>();
  /** Failures of each log since its last timestamp. */
  readonly #failures = new Map<number, number>();
  /** One job at a time asks, so that slow authorities keep no other jobs waiting. */
  #isAsking = false;

  constructor(parts: TimestampsParts) {
    this.#parts = parts;
    const { settings, clock, timing = { answerMs: answerTimeoutMs, restMs: 30_000 } } = parts;
    this.#authorities = new Authorities(settings.authorities, clock, timing);
    this.#clocks = new ClockWatch({ ...parts, maxDriftMs: settings.maxDriftMs });
  }

  /**
   * Makes a job for each log that is to be stamped: derived from the stored state alone, so that nothing is lost with a process and no
   * change has to know of timestamps. Never in recovery.
   */
  async poll(): Promise<void> {
    const { database, settings } = this.#parts;
    if (settings.authorities.length === 0) return;
    const time = await this.#clocks.now();
    for (const stamped of await database.read((snapshot) => store.allStamped(snapshot))) {
      if (stamped.stampedAt > 0 && time < stamped.stampedAt + gapMs) continue;
      if (!(await this.#isDue(stamped, time))) continue;
      await database.write((tx) => ensure(tx, timestampJob(stamped.log, time)));
    }
  }

  /** The time by which others are judged, ms. */
  now(): Promise<number> {
    return this.#clocks.now();
  }

  /** The handler of the jobs that {@link poll} makes. */
  handler(): JobHandler {
    return async (job) => {
      const { log } = job.input;
      if (typeof log !== 'number') throw new Error('The job names no log.');
      if (this.#isAsking) {
        await this.#parts.database.write((tx) => job.reschedule(tx, job.beganAt + 1000));
        return;
      }
      this.#isAsking = true;
      try {
        await this.#stamp(job, log);
      } finally {
        this.#isAsking = false;
      }
    };
  }

  /**
   * Compares the clock with the time that a cosignature states, which was received just now. Never throws, and nothing waits for it.
   *
   * @param source names the clock, such as a witness by its name and key id
   * @param time milliseconds since 1970
   */
  observeClock(source: string, time: number): void {
    const { resolution, delay } = cosignatureUncertaintyMs;
    const observe = async (): Promise<void> => {
      const to = await this.#clocks.now();
      await this.#clocks.observe({ source, time, uncertaintyMs: resolution, from: to - delay, to });
    };
    observe().catch((error: unknown) => {
      this.#parts.notes.warn({ source, error: String(error) }, 'A clock could not be compared.');
    });
  }

  /** What cannot be promised about time at present; the status says it. */
  async limits(): Promise<string[]> {
    const { database, settings } = this.#parts;
    const limits: string[] = [];
    if (settings.authorities.length === 0) {
      limits.push(
        'No time-stamping authority is configured: when something was recorded, the clock of this installation alone says.',
      );
    }
    const failing = await database.read((snapshot) => store.failing(snapshot, timestampTask));
    if (failing > 0)
      limits.push(`Timestamps are missing for ${failing} of the ledgers: no authority gives any for now.`);
    for (const { offsetMs } of await this.#clocks.beyond()) {
      const seconds = Math.round(Math.abs(offsetMs) / 100) / 10;
      const direction = offsetMs > 0 ? 'behind' : 'ahead of';
      limits.push(
        `The clock of this installation is ${seconds} s ${direction} that of an authority or witness, more than the ${settings.maxDriftMs / 1000} s that are allowed.`,
      );
    }
    return limits;
  }

  /** Whether something stands behind the newest timestamp that calls for the next one. */
  async #isDue({ log, size, stampedSize, stampedAt }: Stamped, time: number): Promise<boolean> {
    const { database, settings } = this.#parts;
    if (size <= stampedSize) return false;
    if (time >= stampedAt + settings.intervalMs) {
      const range = { log, first: stampedSize, count: size - stampedSize };
      if (await database.read((snapshot) => store.hasOther(snapshot, range, ownOperations))) return true;
    }
    const first = Math.max(stampedSize, this.#looked.get(log) ?? 0);
    const count = Math.min(size - first, entriesPerLook);
    if (count <= 0) return false;
    const found = await database.read((snapshot) =>
      store.hasSuccess(snapshot, { log, first, count }, urgentOperations),
    );
    if (!found) this.#looked.set(log, first + count);
    return found;
  }

  async #stamp(job: Job, id: number): Promise<void> {
    const { database, ledger, facts } = this.#parts;
    const log = await ledger.open(id);
    const note = stampedNote(await ledger.anchorNow(id));
    const { size } = parseCheckpoint(parseNote(note).text);
    if (await database.read((snapshot) => store.has(snapshot, id, size))) {
      await database.write((tx) => job.complete(tx));
      return;
    }
    const { token, verified, url, from, to } = await this.#obtain(id, note);
    const hash = createHash('sha256').update(token).digest('hex');
    const draft = { operation: timestampTask, outcome: 'success', recorded: { hash, size } } as const;
    const row = {
      log: id,
      size,
      note: Buffer.from(note).toString('utf8'),
      token,
      authority: url,
      time: verified.time,
    };
    await changeOwn(ledger, facts, id, async (tx, time) => {
      await job.complete(tx);
      await store.insert(tx, { ...row, created_at: time });
      const payload = { url, ...verified };
      return { result: undefined, draft: sealDraft(draft, log.origin, payload, log.payloadKey) };
    });
    const uncertaintyMs = verified.accuracyMs ?? 1000;
    await this.#clocks.observe({ source: url, time: verified.time, uncertaintyMs, from, to });
  }

  async #obtain(id: number, note: Uint8Array) {
    try {
      const obtained = await this.#authorities.obtain(note, () => this.now());
      this.#failures.delete(id);
      return obtained;
    } catch (error) {
      if (!(error instanceof NoTimestamp)) throw error;
      const failures = (this.#failures.get(id) ?? 0) + 1;
      this.#failures.set(id, failures);
      if (failures === recordedFailure) await this.#recordFailure(id, error);
      throw error;
    }
  }

  /** That time was not to be had stands on the record as well. */
  async #recordFailure(id: number, { code, failures }: NoTimestamp): Promise<void> {
    const { ledger, facts } = this.#parts;
    const log = await ledger.open(id);
    const draft = { operation: timestampTask, outcome: 'failed', code, recorded: {} } as const;
    await appendOwn(ledger, facts, id, sealDraft(draft, log.origin, { failures }, log.payloadKey));
  }
}

function timestampJob(log: number, dueAt: number): NewJob {
  return { name: `${timestampTask}/${log}`, task: timestampTask, input: { log }, dueAt };
}

/** Trusted time as the configuration of an opened instance has it; throws StartupError `config.invalid`. */
export function makeTimestamps(
  parts: Omit<TimestampsParts, 'settings' | 'timing'> & {
    readonly configuration: Configuration;
    readonly directory: DataDirectory;
  },
): Timestamps {
  const settings = readSettings(parts.configuration.timestamps, parts.directory.path);
  return new Timestamps({ ...parts, settings });
}
