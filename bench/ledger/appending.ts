/** Appending as operations on keys do: each caller seals its entry, and goes on once the entry is durable. */
import { randomUUID } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { Appender, sealDraft, stale } from '../../packages/server/src/audit/index.ts';
import type { SealedDraft } from '../../packages/server/src/audit/index.ts';
import { RollbackWatch } from '../../packages/server/src/audit/rollback.ts';
import { systemClock } from '../../packages/server/src/platform/clock.ts';
import { followLogs } from '../../packages/server/src/questions/index.ts';
import { notes } from './installation.ts';
import type { Installation } from './installation.ts';

/** What a run of appends came to; times in ms. */
export interface Appends {
  /** Durable entries a second. */
  readonly rate: number;
  /** Until tree, checkpoint and index had all of them; 0 where nothing followed. */
  readonly sustainedRate: number;
  readonly p50: number;
  readonly p99: number;
  /** Entries that were refused because too many waited. */
  readonly refused: number;
  /** The longest that the event loop of callers and server stood still. */
  readonly stall: number;
}

export interface Load {
  readonly callers: number;
  readonly seconds: number;
  /** `single`: a transaction and a flush for each entry. */
  readonly commit: 'group' | 'single';
  /** Whether checkpoints and the index follow, each second, as in a server. */
  readonly follows: boolean;
  /** Entries a second that come whether or not those before them are done, in place of callers that wait. */
  readonly offered?: number;
  /** Whether entries are sealed before the clock starts: what appending alone takes. */
  readonly sealed?: boolean;
}

const idsOf = (count: number): string[] => Array.from({ length: count }, () => randomUUID());
const people = { actors: idsOf(60), keys: idsOf(300), studies: idsOf(20), systems: idsOf(200) };
const subjects = Array.from({ length: 20_000 }, (_, i) => String(i).padStart(32, '0'));
const classes = ['ecg', 'form', 'image', 'lab', 'motion', 'voice'];
const purposes = ['analysis', 'care', 'monitoring', 'transfer'];
const operations = ['keys.decrypt-data-key', 'keys.generate-data-key', 'keys.decrypt', 'keys.encrypt'];
const at = (of: readonly string[], i: number): string => of[i % of.length] ?? '';

/** Entries of key use, of a spread of people, keys and subjects, each sealed when it is asked for. */
export function draftsOf({ log }: Pick<Installation, 'log'>): () => SealedDraft {
  let next = 0;
  return () => {
    const i = next++;
    const recorded = {
      class: at(classes, i),
      key: at(people.keys, 7 * i),
      purpose: at(purposes, i >> 2),
      study: at(people.studies, 7 * i),
      subject: at(subjects, 97 * i),
      system: at(people.systems, 7 * i),
      version: 1,
    };
    const actor = { actor: at(people.actors, 7 * i), role: 'service' } as const;
    const payload = { input: { context: recorded }, requestId: randomUUID(), source: '192.0.2.1' };
    const draft = { ...actor, operation: at(operations, i), outcome: 'success', recorded } as const;
    return sealDraft(draft, log.origin, payload, log.payloadKey);
  };
}

export type Append = (draft: SealedDraft, caller: number) => Promise<number>;

/** Gives the entry's position once it is durable. */
export async function appendTo(installation: Installation, load: Pick<Load, 'callers' | 'commit'>) {
  const { instance, rooms, log } = installation;
  const { epoch } = await rooms.facts.of(log.id);
  const single = (): Appender =>
    new Appender(instance.database, systemClock, new RollbackWatch((reason) => notes.error({}, reason)));
  // Whoever has an appender of its own shares no flush with anybody.
  const own = load.commit === 'single' ? Array.from({ length: load.callers }, single) : [];
  const append: Append = async (draft, caller) => {
    const appended = await (own[caller] ?? instance.ledger.appender).append(log.id, epoch, draft);
    if (appended === stale) throw new Error('The epoch has moved on.');
    return appended.position;
  };
  return append;
}

/** Everything that follows the log in a server, each second. `end` gives the time at which it has all entries. */
export function follow({ instance, log }: Installation): { end(): Promise<number> } {
  const { ledger } = instance;
  let [signing, indexing]: (Promise<unknown> | undefined)[] = [];
  const timer = setInterval(() => {
    signing ??= ledger.anchorNow(log.id).finally(() => (signing = undefined));
    indexing ??= followLogs(ledger, notes).finally(() => (indexing = undefined));
  }, 1000);
  return {
    end: async () => {
      clearInterval(timer);
      await Promise.all([signing, indexing]);
      await ledger.anchorNow(log.id);
      await log.index.follow();
      return performance.now();
    },
  };
}

/** Sealed entries a second, without appending them. */
export function sealingRate(installation: Installation, seconds: number): number {
  const seal = draftsOf(installation);
  const began = performance.now();
  let done = 0;
  for (; performance.now() - began < seconds * 1000; done++) seal();
  return (done / (performance.now() - began)) * 1000;
}

export async function runAppends(installation: Installation, load: Load): Promise<Appends> {
  const append = await appendTo(installation, load);
  await follow(installation).end();
  const seal = load.sealed === true ? sealedBefore(installation, load) : draftsOf(installation);
  const latencies: number[] = [];
  const follower = load.follows ? follow(installation) : undefined;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const began = performance.now();
  const refused =
    load.offered === undefined
      ? await waitingCallers(append, seal, load, latencies)
      : await offeredEntries(append, seal, { ...load, offered: load.offered }, latencies);
  const ended = performance.now();
  const followed = await follower?.end();
  delay.disable();
  latencies.sort((one, other) => one - other);
  const rank = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  return {
    rate: (latencies.length / (ended - began)) * 1000,
    sustainedRate: followed === undefined ? 0 : (latencies.length / (followed - began)) * 1000,
    p50: rank(0.5),
    p99: rank(0.99),
    refused,
    stall: delay.max / 1e6,
  };
}

/** More than can be appended in the time; undefined behind the last. */
function sealedBefore(installation: Installation, { seconds }: Load): () => SealedDraft | undefined {
  const seal = draftsOf(installation);
  const base = seal();
  // The cryptography of one entry is enough: what is stored and indexed differs as much as ever.
  const drafts = Array.from({ length: Math.ceil(seconds * 80_000) }, (_, i) => ({
    ...base,
    id: randomUUID(),
    recorded: { ...base.recorded, subject: at(subjects, 97 * i), key: at(people.keys, 7 * i) },
  }));
  return () => drafts.pop();
}

async function waitingCallers(
  append: Append,
  seal: () => SealedDraft | undefined,
  { callers, seconds }: Load,
  latencies: number[],
): Promise<number> {
  const end = performance.now() + seconds * 1000;
  const work = async (caller: number): Promise<void> => {
    while (performance.now() < end) {
      const draft = seal();
      if (draft === undefined) return;
      const started = performance.now();
      await append(draft, caller);
      latencies.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => work(caller)));
  return 0;
}

/** Entries at the times at which they are due, whether or not others wait: latency counts from there. */
async function offeredEntries(
  append: Append,
  seal: () => SealedDraft | undefined,
  { offered, seconds }: Load & { offered: number },
  latencies: number[],
): Promise<number> {
  const began = performance.now();
  const waiting: Promise<void>[] = [];
  let refused = 0;
  const one = async (due: number): Promise<void> => {
    const draft = seal();
    if (draft === undefined) return;
    try {
      await append(draft, 0);
      latencies.push(performance.now() - due);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'server.busy') throw error;
      refused++;
    }
  };
  while (performance.now() < began + seconds * 1000) {
    const due = Math.floor(((performance.now() - began) / 1000) * offered);
    while (waiting.length < due) waiting.push(one(began + (waiting.length / offered) * 1000));
    await setTimeout(1);
  }
  await Promise.all(waiting);
  return refused;
}
