import { setTimeout } from 'node:timers/promises';
import type { OperationId } from '@trialkeep/contract';
import type { FactsCache } from '../platform/facts.ts';
import type { Context, Implementations } from '../platform/implementation.ts';
import { OperationError } from '../platform/errors.ts';
import { JobRunner, ensure } from '../platform/jobs/index.ts';
import type { JobHandler, NewJob } from '../platform/jobs/index.ts';
import { signedCheckpoint, withLines } from './checkpoint.ts';
import { currentOf, isWithheld } from './current.ts';
import type { Current, WitnessingParts } from './current.ts';
import { feedHandler, feedJob, feedTask, mirrorsDue } from './feed.ts';
import { linesUnder } from './keep.ts';
import { witnessingImplementations } from './operations.ts';
import type { WitnessingOperationId } from './operations.ts';
import { isWatched } from './policy.ts';
import type { PolicyFolder } from './policy-file.ts';
import { Rounds, isRoundDue, roundJob, roundTask } from './round.ts';
import * as store from './store.ts';
import { holdBack, recordWithholding } from './withhold.ts';

/** How often what this process has appended is looked at, ms: a part of the way to a witnessed checkpoint. */
const tickMs = 100;
/** A job that this process asked for and has not seen the end of is asked for again after this, ms. */
const askAgainMs = 1000;
/** What is known of a log is read again before a use is let pass, where less than this is left of its bound, ms. */
const marginMs = 2000;
/** Witnesses and mirrors of so many logs are asked at a time. */
const concurrency = 8;
const maxBackoffMs = 60_000;
/** How long somebody who asks for the proof of an entry waits for its witnesses, ms. */
const witnessedWithinMs = 3000;

/** What the status page says: counts alone, for everybody can read it. */
export interface WitnessingSummary {
  readonly withPolicy: number;
  /** Whose policy names a witness or mirror. */
  readonly withCosigners: number;
  readonly required: number;
  readonly withheld: number;
  readonly failing: number;
}

/** Has the checkpoints of logs cosigned, by the policy of each; withholds results where that is required and fails. */
export class Witnessing {
  readonly #parts: WitnessingParts & { readonly facts: FactsCache };
  readonly #folder: PolicyFolder;
  readonly #runner: JobRunner;
  readonly #rounds: Rounds;
  readonly #stopping = new AbortController();
  /** The logs that have a policy, as they were when they were last looked at. */
  readonly #logs = new Map<number, Current>();
  readonly #reading = new Map<number, Promise<Current | undefined>>();
  /** When this process asked for a job whose end it has not seen, ms. */
  readonly #asked = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #ticking: Promise<void> | undefined;

  constructor(parts: WitnessingParts & { readonly facts: FactsCache }, folder: PolicyFolder) {
    this.#parts = { ...parts, settings: new Map() };
    this.#folder = folder;
    this.#rounds = new Rounds(this.#parts, this.#stopping.signal);
    const { database, clock, notes } = parts;
    // Of its own: a witness that answers slowly keeps no other work waiting.
    this.#runner = new JobRunner({ database, clock, notes, timing: { concurrency, maxBackoffMs } });
  }

  /** The operations on policies, bound to their behaviour. */
  implementations(): Implementations<WitnessingOperationId> {
    const onChanged = async (log: number): Promise<void> => void (await this.refresh(log));
    return witnessingImplementations({ ...this.#parts, onChanged });
  }

  /** Begins to ask witnesses and to feed mirrors. */
  async start(): Promise<void> {
    await this.poll();
    await this.#runner.start({
      [roundTask]: this.#noticed(this.#rounds.handler),
      [feedTask]: this.#noticed(feedHandler(this.#parts, this.#stopping.signal)),
    });
    this.#timer = setInterval(() => {
      this.#ticking ??= this.#tick().finally(() => (this.#ticking = undefined));
    }, tickMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#ticking;
    this.#stopping.abort();
    await this.#runner.stop();
    await this.#rounds.idle();
  }

  /** Looks at every log that has a policy, about once a second, and writes down whether results are withheld. */
  async poll(): Promise<void> {
    for (const current of await this.look()) await recordWithholding(this.#parts, current);
  }

  /** Looks at every log that has a policy: what other nodes have done. Writes nothing. */
  async look(): Promise<Current[]> {
    const ids = await this.#parts.database.read((snapshot) => store.logsWithPolicy(snapshot));
    const gone = [...this.#logs.keys()].find((id) => !ids.includes(id));
    if (gone !== undefined) throw this.#parts.ledger.reportRolledBack(`The policy of log ${gone} is gone.`);
    const found = await Promise.all(ids.map((id) => this.refresh(id)));
    return found.filter((current) => current !== undefined);
  }

  /** Reads again what is known of a log; undefined where it has no policy. */
  async refresh(id: number): Promise<Current | undefined> {
    const reading = this.#reading.get(id) ?? this.#read(id).finally(() => this.#reading.delete(id));
    this.#reading.set(id, reading);
    return reading;
  }

  async #read(id: number): Promise<Current | undefined> {
    const current = await currentOf(this.#parts, id);
    if (current === undefined) return undefined;
    const before = this.#logs.get(id);
    const { origin } = current.log;
    if (before !== undefined && current.setting.version < before.setting.version) {
      throw this.#parts.ledger.reportRolledBack(`The policy of log ${origin} is older than it was.`);
    }
    this.#logs.set(id, current);
    this.#folder.keep({ ...current.setting, mirrors: [...current.setting.mirrors], origin });
    return current;
  }

  /**
   * Holds back a use of keys while its log is not witnessed as required.
   *
   * @throws OperationError `ledger.unwitnessed`
   */
  async hold(context: Context<OperationId>): Promise<void> {
    const { facts, now, caller } = context;
    const rowKey = await this.#parts.hierarchy.rowKey(caller.log.tenant);
    const version = await facts.get(
      'version of the witnessing policy',
      async (snapshot) => (await store.findPolicy(snapshot, rowKey, caller.log.id))?.version ?? 0,
    );
    if (version === 0) return;
    const known = this.#logs.get(caller.log.id);
    const isFresh = known?.setting.version === version && known.deadline - now > marginMs;
    const current = isFresh ? known : await this.refresh(caller.log.id);
    // The policy was there under these facts: it has been taken away, or set anew.
    if (current === undefined) throw new OperationError('server.data_altered');
    holdBack(context, current);
  }

  /**
   * The checkpoint that leaves the server: under a policy that requires the quorum the newest that meets it, otherwise the newest, or
   * the best that covers entry `covering`; each with whatever cosignatures there are.
   *
   * @throws OperationError `ledger.unwitnessed` where the entry has to be witnessed first
   */
  async present(id: number, covering?: number): Promise<Uint8Array> {
    const current = await this.#witnessedSoon(id, covering);
    if (current === undefined) return this.#newest(id, covering);
    const { witnessed_size: witnessed } = current.progress;
    const isRequired = current.setting.mode === 'required' && witnessed > 0;
    if (isRequired && awaits(current, covering)) throw new OperationError('ledger.unwitnessed');
    const isBest = isRequired || (covering !== undefined && covering < witnessed);
    const size = isBest ? witnessed : signedCheckpoint(await this.#newest(id, covering)).size;
    return this.#parts.database.read(async (snapshot) => {
      const note = await store.checkpointAt(snapshot, id, size);
      if (note === undefined) throw new Error(`The checkpoint of log ${id} at ${size} entries is gone.`);
      const lines = linesUnder(current.setting, await store.cosignaturesAt(snapshot, id, size));
      return withLines(Buffer.from(note, 'utf8'), lines);
    });
  }

  /** The log as it is; where an entry of it has to be witnessed first, as it is once that has happened, or after a while. */
  async #witnessedSoon(id: number, covering: number | undefined): Promise<Current | undefined> {
    const until = this.#parts.clock.now() + witnessedWithinMs;
    for (;;) {
      const current = await currentOf(this.#parts, id);
      const isRequired = current?.setting.mode === 'required';
      if (!isRequired || !awaits(current, covering) || this.#parts.clock.now() >= until) return current;
      await setTimeout(tickMs);
    }
  }

  /** The newest stored checkpoint that covers an entry, or one that is signed now. */
  async #newest(id: number, covering?: number): Promise<Uint8Array> {
    const { ledger } = this.#parts;
    const newest = covering === undefined ? undefined : await (await ledger.open(id)).newestCheckpoint();
    if (newest !== undefined && covering !== undefined && covering < newest.size) return newest.note;
    return ledger.anchorNow(id);
  }

  summary(): WitnessingSummary {
    const all = [...this.#logs.values()];
    const failing = all.filter(({ cosigners }) =>
      [...cosigners.values()].some((row) => row.failure !== null),
    );
    return {
      withPolicy: all.length,
      withCosigners: all.filter(({ setting }) => isWatched(setting)).length,
      required: all.filter(({ setting }) => setting.mode === 'required').length,
      withheld: all.filter(isWithheld).length,
      failing: failing.length,
    };
  }

  /** Asks for the jobs that are due by what this process knows: looking costs no query. */
  async #tick(): Promise<void> {
    const now = this.#parts.clock.now();
    const wanted: NewJob[] = [];
    for (const known of this.#logs.values()) {
      if (!isWatched(known.setting)) continue;
      const size = Math.max(known.size, this.#parts.ledger.knownSize(known.log.id));
      const current = { ...known, size, time: now };
      if (isRoundDue(current)) wanted.push(roundJob(known.log.id));
      wanted.push(...mirrorsDue(current).map(({ id }) => feedJob(known.log.id, id)));
    }
    const asked = wanted.filter(({ name }) => now - (this.#asked.get(name) ?? 0) >= askAgainMs);
    if (asked.length === 0) return;
    for (const { name } of asked) this.#asked.set(name, now);
    try {
      await this.#parts.database.write(async (tx) => {
        for (const job of asked) await ensure(tx, job);
      });
      this.#runner.wake();
    } catch (error) {
      this.#parts.notes.warn({ error: String(error) }, 'Witnesses could not be asked; trying again.');
    }
  }

  /** Takes note of what a job has changed, so that the next one need not wait for the poll. */
  #noticed(handler: JobHandler): JobHandler {
    return async (job) => {
      await handler(job);
      this.#asked.delete(job.name);
      const { log } = job.input;
      if (typeof log === 'number') await this.refresh(log);
    };
  }
}

/** Whether the log has that entry, and no witnessed checkpoint covers it yet. */
function awaits({ progress, size }: Current, covering: number | undefined): boolean {
  return covering !== undefined && covering >= progress.witnessed_size && covering < size;
}
