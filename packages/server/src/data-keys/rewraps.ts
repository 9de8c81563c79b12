import { createHash } from 'node:crypto';
import type { Operations, Output } from '@trialkeep/contract';
import { stateAt } from '../keys/index.ts';
import { cursorBehind, placeOfCursor } from '../platform/cursor.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { remove, schedule } from '../platform/jobs/index.ts';
import { keyOf } from './parts.ts';
import type { DataKeyParts } from './parts.ts';
import * as store from './store.ts';
import type { PartRow, RewrapRow } from './store.ts';

export type RewrapView = Output<Operations['rewraps.show']>;

/** The task of the jobs that wrap data keys anew. */
export const rewrapTask = 'data-keys.rewrap';
/** Shares of a rewrap of many data keys: each is one worker's at a time, on whichever node. */
const manyParts = 16;
/** From so many data keys on it is shared. */
const many = 16_000;
const rewrapsPerPage = 100;
/** What the hash of a share's batches begins with. */
const noBatch = createHash('sha256').digest('hex');

const jobName = (rewrap: string, part: number): string => `${rewrapTask}/${rewrap}/${part}`;

/** Begins a rewrap, in the transaction of a change: what ran for the key before, or rested, is superseded. */
export async function beginRewrap(
  tx: Tx,
  { log, key, version, time }: { log: number; key: string; version: number; time: number },
): Promise<{ row: RewrapRow; parts: PartRow[] }> {
  for (const earlier of await store.unendedOf(tx, key)) await endRewrap(tx, earlier, 'superseded', time);
  const { registered = 0 } = (await store.findRegistry(tx, key)) ?? {};
  const id = newId();
  const isRunning = registered > 0;
  const ended = isRunning ? null : time;
  const row: RewrapRow = {
    ...{ id, log, key, version, cause: null },
    state: isRunning ? 'running' : 'finished',
    parts: registered < many ? 1 : manyParts,
    total: registered,
    begun_at: time,
    worked_ms: 0,
    running_since: isRunning ? time : null,
    ended_at: ended,
  };
  const counts = {
    behind: null,
    rewrapped: 0,
    passed: 0,
    failed: 0,
    lost: 0,
    hash: noBatch,
    ended_at: ended,
  };
  const parts = Array.from({ length: row.parts }, (_, part) => ({ rewrap: id, part, ...counts }));
  await store.insertRewrap(tx, row, parts);
  await store.setAim(tx, key, version);
  if (isRunning) await scheduleParts(tx, parts, time);
  return { row, parts };
}

/** Has the shares that are not at their end taken up. */
async function scheduleParts(tx: Tx, parts: readonly PartRow[], time: number): Promise<void> {
  for (const { rewrap, part, ended_at } of parts) {
    if (ended_at !== null) continue;
    const input = { rewrap, part };
    await schedule(tx, { name: jobName(rewrap, part), task: rewrapTask, input, dueAt: time });
  }
}

/** How long it has been running, ms. */
const workedMs = ({ worked_ms, running_since }: RewrapRow, time: number): number =>
  worked_ms + (running_since === null ? 0 : time - running_since);

/** Takes the jobs away; a batch under way loses its transaction. */
async function halt(
  tx: Tx,
  row: RewrapRow,
  change: Pick<RewrapRow, 'state' | 'cause' | 'ended_at'>,
  time: number,
): Promise<RewrapRow> {
  for (let part = 0; part < row.parts; part++) await remove(tx, jobName(row.id, part));
  const halted = { ...row, ...change, worked_ms: workedMs(row, time), running_since: null };
  await store.updateRewrap(tx, halted);
  return halted;
}

/** Ends a rewrap for good, in the transaction of a change. */
export function endRewrap(
  tx: Tx,
  row: RewrapRow,
  state: RewrapRow['state'],
  time: number,
  cause: string | null = null,
): Promise<RewrapRow> {
  return halt(tx, row, { state, cause, ended_at: time }, time);
}

/** Begins to wrap the registered data keys of a key under its present version. */
export async function start(
  parts: DataKeyParts,
  context: Context<'rewraps.start'>,
): Promise<Apply<'rewraps.start'>> {
  const { input, caller, record, payload, now } = context;
  record.key = input.key;
  const key = await keyOf(parts, context, input.key);
  if (key === undefined) throw new OperationError('key.unknown', { field: '/key' });
  const { row } = key;
  record.system = row.system;
  record.version = row.version;
  if (row.purpose !== 'encrypt') throw new OperationError('key.wrong_purpose', { field: '/key' });
  const state = stateAt(row, now);
  if (state !== 'active' || row.destruction_due_at !== null) {
    throw new OperationError('key.unusable', { field: '/key', detail: `Its state is ${state}.` });
  }
  context.afterCommit.push(async () => parts.wake());
  return async (tx, time) => {
    const begun = await beginRewrap(tx, { log: caller.log.id, key: row.id, version: row.version, time });
    record.rewrap = begun.row.id;
    record.state = begun.row.state;
    payload['total'] = begun.row.total;
    return rewrapView(begun.row, begun.parts, time);
  };
}

type RunChange = 'rewraps.pause' | 'rewraps.resume' | 'rewraps.cancel';

/** Changes a rewrap of the caller's tenant that is in one of the states `from`. */
function changed<Id extends RunChange>(
  { input, caller, record, payload }: Context<Id>,
  from: readonly RewrapRow['state'][],
  change: (tx: Tx, row: RewrapRow, parts: readonly PartRow[], time: number) => Promise<RewrapRow>,
): (tx: Tx, time: number) => Promise<RewrapView> {
  record.rewrap = input.rewrap;
  return async (tx, time) => {
    const row = await store.lockRewrap(tx, input.rewrap);
    if (row === undefined || row.log !== caller.log.id) {
      throw new OperationError('rewrap.unknown', { field: '/rewrap' });
    }
    record.key = row.key;
    record.version = row.version;
    if (!from.includes(row.state)) {
      const detail = `It is ${row.state}.`;
      throw new OperationError('rewrap.transition_undefined', { field: '/rewrap', detail });
    }
    const parts = await store.listParts(tx, [row.id]);
    payload['old'] = { state: row.state };
    const next = await change(tx, row, parts, time);
    record.state = next.state;
    return rewrapView(next, parts, time);
  };
}

/** Lets a rewrap rest. */
export async function pause(context: Context<'rewraps.pause'>): Promise<Apply<'rewraps.pause'>> {
  return changed(context, ['running'], (tx, row, _, time) =>
    halt(tx, row, { state: 'paused', cause: null, ended_at: null }, time),
  );
}

/** Lets one that rests go on. */
export async function resume(
  { wake }: DataKeyParts,
  context: Context<'rewraps.resume'>,
): Promise<Apply<'rewraps.resume'>> {
  context.afterCommit.push(async () => wake());
  return changed(context, ['paused'], async (tx, row, parts, time) => {
    const running = { ...row, state: 'running' as const, running_since: time };
    await store.updateRewrap(tx, running);
    await scheduleParts(tx, parts, time);
    return running;
  });
}

/** Ends a rewrap before its end. */
export async function cancel(context: Context<'rewraps.cancel'>): Promise<Apply<'rewraps.cancel'>> {
  return changed(context, ['running', 'paused'], (tx, row, _, time) => endRewrap(tx, row, 'cancelled', time));
}

export async function list({ input, caller, facts, now }: Context<'rewraps.list'>) {
  const listing = { log: caller.log.id, key: input.key, after: placeOfCursor(input.cursor) };
  const { rows, parts } = await facts.read(async (snapshot) => {
    const page = await store.pageOfRewraps(snapshot, listing, rewrapsPerPage);
    const ids = page.map(({ id }) => id);
    return { rows: page, parts: await store.listParts(snapshot, ids) };
  });
  const ofRewrap = Map.groupBy(parts, ({ rewrap }) => rewrap);
  return {
    rewraps: rows.map((row) => rewrapView(row, ofRewrap.get(row.id) ?? [], now)),
    next: cursorBehind(rows, rewrapsPerPage, ({ begun_at, id }) => ({ time: begun_at, id })),
  };
}

export async function show({ input, caller, facts, record, now }: Context<'rewraps.show'>) {
  record.rewrap = input.rewrap;
  const found = await facts.read(async (snapshot) => {
    const row = await store.findRewrap(snapshot, input.rewrap);
    return row && { row, parts: await store.listParts(snapshot, [row.id]) };
  });
  if (found === undefined || found.row.log !== caller.log.id) {
    throw new OperationError('rewrap.unknown', { field: '/rewrap' });
  }
  record.key = found.row.key;
  return rewrapView(found.row, found.parts, now);
}

/** What the shares of a rewrap add up to. */
export function sumOf(parts: readonly PartRow[]) {
  const counts = { rewrapped: 0, passed: 0, failed: 0, lost: 0 };
  const hash = createHash('sha256');
  for (const part of parts) {
    counts.rewrapped += part.rewrapped;
    counts.passed += part.passed;
    counts.failed += part.failed;
    counts.lost += part.lost;
    hash.update(part.hash, 'hex');
  }
  return { counts, hash: hash.digest('hex') };
}

/** How far a rewrap has come; once it has ended, its report. */
export function rewrapView(row: RewrapRow, parts: readonly PartRow[], now: number): RewrapView {
  const { counts, hash } = sumOf(parts);
  const worked = Math.max(0, workedMs(row, now));
  const seen = counts.rewrapped + counts.passed + counts.failed + counts.lost;
  return {
    id: row.id,
    key: row.key,
    version: row.version,
    state: row.state,
    cause: row.cause,
    total: row.total,
    ...counts,
    perSecond: Math.round((seen * 1000) / Math.max(1, worked)),
    workers: row.ended_at === null ? parts.filter(({ ended_at }) => ended_at === null).length : 0,
    hash: row.ended_at === null ? null : hash,
    begunAt: row.begun_at,
    workedMs: worked,
    endedAt: row.ended_at,
  };
}
