import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { compactKeyVersionId } from '@trialkeep/crypto';
import { changeOwn } from '../audit/index.ts';
import type { SealedDraft, TransparencyLog } from '../audit/index.ts';
import { findKey, listVersions, processingWindow, stateAt } from '../keys/index.ts';
import { stopwatch } from '../platform/clock.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { idOfBytes } from '../platform/ids.ts';
import { JobTaken, schedule } from '../platform/jobs/index.ts';
import type { Job, JobHandler } from '../platform/jobs/index.ts';
import { findSeal } from '../systems/index.ts';
import { rest, restMs } from './breath.ts';
import { batchEntry, endEntry } from './entries.ts';
import { followJob } from './follow-job.ts';
import type { KnownKey, RewrapParts } from './parts.ts';
import { endRewrap, rewrapTask } from './rewraps.ts';
import * as store from './store.ts';
import type { DataKeyRow, PartRow, RewrapRow } from './store.ts';
import type { Batch, BatchResult, PassedKey } from './wrap-anew.ts';
import type { WrappingWorkers } from './worker.ts';

/** Data keys in one transaction, and one entry. */
const batchSize = 1000;
/** How long a rewrap waits whose tenant is sealed, ms. */
const sealedWaitMs = 10_000;

/** A share under way. */
interface Share {
  readonly rewrap: RewrapRow;
  readonly part: PartRow;
  readonly log: TransparencyLog;
  readonly tenant: string;
  readonly rowKey: KeyObject;
  readonly system: string;
  readonly key: KnownKey;
  /** The version that is aimed at; undefined where its material is gone. */
  readonly to: PassedKey | undefined;
}

/** A thread that wraps, one batch at a time. */
interface Worker {
  wrapAnew(batch: Batch): Promise<BatchResult>;
}

/** How a turn at a share ended. */
type Turn =
  | { readonly next: PartRow }
  /** Nothing is left to do, by this run. */
  | { readonly next: undefined }
  /** Not now. */
  | { readonly next: undefined; readonly againAt: number };

/** Does one share of a rewrap, batch by batch: each is a transaction with its entry, and begins where the last one ended. */
export function rewrapHandler(parts: RewrapParts, workers: WrappingWorkers, signal: AbortSignal): JobHandler {
  return async (job) => {
    const { rewrap, part } = job.input;
    if (typeof rewrap !== 'string' || typeof part !== 'number') {
      throw new TypeError('The job names no share of a rewrap.');
    }
    const share = await findShare(parts, rewrap, part);
    if (share === undefined) return parts.database.write((tx) => job.complete(tx));
    const turn = await workers.use((worker) => allBatches(parts, job, share, worker, signal));
    // The process ends, or it is not the time: another run goes on from there.
    const dueAt = 'againAt' in turn ? turn.againAt : job.beganAt;
    if (turn.next !== undefined || 'againAt' in turn) {
      await parts.database.write((tx) => job.reschedule(tx, dueAt));
    }
  };
}

/** Batch by batch up to the share's end, or the server's. While one is committed, the next is wrapped. */
async function allBatches(
  parts: RewrapParts,
  job: Job,
  share: Share,
  worker: Worker,
  signal: AbortSignal,
): Promise<Turn> {
  let turn: Turn = { next: share.part };
  let ahead: Promise<Wrapped | undefined> | undefined;
  while (turn.next !== undefined && !signal.aborted) {
    const elapsed = stopwatch();
    const part: PartRow = turn.next;
    const wrapped = await (ahead ?? wrap(parts, { ...share, part }, worker));
    const last = wrapped?.rows.at(-1)?.reference;
    const isLast = wrapped?.isLast ?? true;
    ahead =
      isLast || last === undefined
        ? undefined
        : wrap(parts, { ...share, part: { ...part, behind: last } }, worker);
    try {
      turn = await oneBatch(parts, job, { ...share, part }, wrapped);
    } finally {
      // The thread is lent on: nothing may be under way in it. What was wrapped ahead of a batch that failed is dropped.
      await ahead?.catch(() => undefined);
    }
    if (turn.next === part) ahead = undefined;
    await rest(restMs(elapsed(), parts.ledger.appender.waiting), signal);
  }
  return turn;
}

/** What a share needs; undefined where nothing is left to do. */
async function findShare(
  { database, hierarchy, ledger }: RewrapParts,
  id: string,
  number: number,
): Promise<Share | undefined> {
  const { rewrap, part } = await database.read(async (snapshot) => ({
    rewrap: await store.findRewrap(snapshot, id),
    part: await store.findPart(snapshot, id, number),
  }));
  if (rewrap?.state !== 'running' || part === undefined || part.ended_at !== null) return undefined;
  const log = await ledger.open(rewrap.log);
  const { tenant } = log;
  if (tenant === null) throw new Error('The log of a rewrap is no tenant’s.');
  const rowKey = await hierarchy.rowKey(tenant);
  const { row, versions } = await database.read(async (snapshot) => ({
    row: await findKey(snapshot, rowKey, tenant, rewrap.key),
    versions: await listVersions(snapshot, rowKey, rewrap.key),
  }));
  if (row === undefined) throw new Error(`There is no key ${rewrap.key}.`);
  const aim = versions.find(({ version }) => version === rewrap.version);
  const to = aim && (await hierarchy.systemKeyVersion(tenant, rewrap.key, aim.id));
  return { rewrap, part, log, tenant, rowKey, system: row.system, key: { row, versions }, to };
}

/** The references of a share: those whose first byte is in its part of the 256 values. */
function rangeOf(part: number, parts: number): { from: Buffer; before: Buffer | undefined } {
  const bound = (share: number): Buffer => Buffer.from([(share * 256) / parts]);
  return { from: bound(part), before: part + 1 < parts ? bound(part + 1) : undefined };
}

/** What was read, and what became of it beside the event loop. */
interface Wrapped {
  readonly rows: readonly DataKeyRow[];
  /** Nothing of the share lies behind them. */
  readonly isLast: boolean;
  readonly olds: number;
  readonly result: BatchResult;
  /** Up to when the versions that it was opened with may process, ms. */
  readonly until: number;
}

/** Commits one batch with its entry, unless the key has changed since it was wrapped. */
async function oneBatch(
  parts: RewrapParts,
  job: Job,
  share: Share,
  wrapped: Wrapped | undefined,
): Promise<Turn> {
  const { rewrap, part } = share;
  return changeOwn<Turn>(
    parts.ledger,
    parts.facts,
    rewrap.log,
    async (tx, time) => {
      const { running, present } = await guard(tx, share);
      const halt = await hindrance(tx, share, time);
      if (halt !== undefined) {
        return { result: { next: undefined }, draft: await stopped(tx, share, running, halt, time) };
      }
      if (wrapped === undefined) throw new Error(`Version ${rewrap.version} of key ${rewrap.key} is gone.`);
      if (time >= wrapped.until) throw new Again();
      const next = await commit(tx, present, rewrap, wrapped, time);
      const draft = batchEntry(share, part.part, wrapped.rows, wrapped.result);
      if (next.ended_at === null) return { result: { next }, draft };
      await job.complete(tx);
      return { result: { next: undefined }, draft, further: await finished(tx, share, running, time) };
    },
    { keepsEpoch: true },
  ).catch((error: unknown) => {
    if (error instanceof Sealed) return { next: undefined, againAt: job.beganAt + sealedWaitMs };
    // A version's time has run out since it was opened with: the same share, read anew.
    if (error instanceof Again) return { next: part };
    throw error;
  });
}

class Again extends Error {}
/** Nobody uses keys of a sealed tenant, and neither does the server. */
class Sealed extends Error {}

/** Reads a batch and has it wrapped; undefined where there is nothing to wrap it under. */
async function wrap(parts: RewrapParts, share: Share, worker: Worker): Promise<Wrapped | undefined> {
  const { rewrap, part, to } = share;
  if (to === undefined) return undefined;
  const range = { ...rangeOf(part.part, rewrap.parts), behind: part.behind };
  // One more, to know whether another batch follows.
  const found = await parts.database.read((snapshot) =>
    store.readDataKeys(snapshot, rewrap.key, range, batchSize + 1),
  );
  const rows = found.slice(0, batchSize);
  const old = rows.filter(({ version }) => version !== rewrap.version);
  const { from, places, until } = await openers(parts, share, old);
  const dataKeys = old.map(({ reference, wrapped, context }) => {
    const version = places.get(versionIdOf(wrapped));
    return { reference, wrapped, context, version };
  });
  const result = await worker.wrapAnew({ to, from, dataKeys });
  return { rows, isLast: rows.length === found.length, olds: old.length, result, until };
}

/** The id of the version that a wrapped data key names; none where the row was cut. */
function versionIdOf(wrapped: Uint8Array): string {
  try {
    return idOfBytes(compactKeyVersionId(wrapped));
  } catch {
    return '';
  }
}

/** The versions that data keys are wrapped under, of those that may process at present, and until when they may. */
async function openers({ hierarchy, clock }: RewrapParts, share: Share, rows: readonly DataKeyRow[]) {
  const { tenant, rewrap, key } = share;
  const from: PassedKey[] = [];
  const places = new Map<string, number>();
  let until = Number.MAX_SAFE_INTEGER;
  for (const id of new Set(rows.map(({ wrapped }) => versionIdOf(wrapped)))) {
    const named = key.versions.find((version) => version.id === id);
    const window = named && windowOf(key, named.version, clock.now());
    if (window === undefined) continue;
    const opener = await hierarchy.systemKeyVersion(tenant, rewrap.key, id);
    if (opener === undefined) continue;
    places.set(id, from.push(opener) - 1);
    until = Math.min(until, window);
  }
  return { from, places, until };
}

/** Until when a version may process, ms; undefined where its time is over. */
function windowOf(key: KnownKey, version: number, now: number): number | undefined {
  try {
    const windows = processingWindow({ roles: [] }, key, version, now);
    return Math.min(Number.MAX_SAFE_INTEGER, ...windows.map(({ until }) => until));
  } catch (error) {
    if (error instanceof OperationError) return undefined;
    throw error;
  }
}

/** The share as it was when the batch was read, or another run has gone on with it. */
async function guard(tx: Tx, { rewrap, part }: Share): Promise<{ running: RewrapRow; present: PartRow }> {
  const running = await store.lockRewrap(tx, rewrap.id);
  const present = await store.findPart(tx, rewrap.id, part.part);
  const isSame =
    running?.state === 'running' &&
    present !== undefined &&
    present.ended_at === null &&
    Buffer.compare(present.behind ?? Buffer.alloc(0), part.behind ?? Buffer.alloc(0)) === 0;
  if (!isSame) throw new JobTaken(`${rewrapTask}/${rewrap.id}/${part.part}`);
  return { running, present };
}

/** Why nothing can be wrapped under the version any more, by the key as it is in this transaction. */
async function hindrance(
  tx: Tx,
  { rewrap, rowKey, tenant }: Share,
  time: number,
): Promise<{ state: 'stopped' | 'superseded'; cause: string | null } | undefined> {
  if ((await findSeal(tx, rowKey, tenant))?.state !== 'open') throw new Sealed();
  const key = await findKey(tx, rowKey, tenant, rewrap.key);
  const state = key === undefined ? 'destroyed' : stateAt(key, time);
  if (key === undefined || state !== 'active') return { state: 'stopped', cause: state };
  // A version that is not the newest protects nothing any more.
  return key.version === rewrap.version ? undefined : { state: 'superseded', cause: null };
}

/** Ends the rewrap because of the key; it is begun anew once the key is active, and not at its aim. */
async function stopped(
  tx: Tx,
  share: Share,
  running: RewrapRow,
  { state, cause }: { state: 'stopped' | 'superseded'; cause: string | null },
  time: number,
): Promise<SealedDraft> {
  const ended = await endRewrap(tx, running, state, time, cause);
  await store.setAim(tx, running.key, running.version - 1);
  await schedule(tx, followJob(time));
  return endEntry(share, ended, await store.listParts(tx, [running.id]), 'rewraps.stop');
}

/** Puts the new wrappings in the place of the old ones, and the share behind them. */
async function commit(
  tx: Tx,
  present: PartRow,
  { key, version }: RewrapRow,
  { rows, isLast, olds, result }: Wrapped,
  time: number,
): Promise<PartRow> {
  await store.putRewrapped(tx, key, version, result.rewrapped);
  const next: PartRow = {
    ...present,
    behind: rows.at(-1)?.reference ?? present.behind,
    rewrapped: present.rewrapped + result.rewrapped.length,
    passed: present.passed + rows.length - olds,
    failed: present.failed + result.failed.length,
    lost: present.lost + result.lost.length,
    hash: createHash('sha256').update(present.hash, 'hex').update(result.hash).digest('hex'),
    ended_at: isLast ? time : null,
  };
  await store.putPart(tx, next);
  return next;
}

/** The end report, where no share is left. */
async function finished(tx: Tx, share: Share, running: RewrapRow, time: number): Promise<SealedDraft[]> {
  const all = await store.listParts(tx, [running.id]);
  if (all.some(({ ended_at }) => ended_at === null)) return [];
  const ended = await endRewrap(tx, running, 'finished', time);
  return [endEntry(share, ended, all, 'rewraps.finish')];
}
