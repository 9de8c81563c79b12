import type { Operations, Output } from '@trialkeep/contract';
import { newId } from '../platform/ids.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { remove, schedule } from '../platform/jobs/index.ts';
import type { NewJob } from '../platform/jobs/index.ts';
import type { Tx } from '../platform/database.ts';
import { placeOf } from './revoke.ts';
import type { RevocationParts } from './revoke.ts';
import * as store from './store.ts';
import type { DrillRow, ScheduleRow } from './store.ts';

/** The task of the jobs that carry drills out, and of those that begin one when it is due. */
export const drillTask = 'revocations.drill';
export const drillScheduleTask = 'revocations.schedule-drill';

export type DrillView = Output<Operations['revocations.drill']>;
export type DrillScope = DrillView['scope'];
/** What a drill measured. */
export type DrillStep = DrillView['steps'][number];

const dayMs = 86_400_000;
/** A drill that was due so long ago is overdue. */
export const graceMs = dayMs;
/** One that shows no end for so long keeps no other from beginning. */
const longestMs = 3_600_000;
const maxListed = 100;
const usualScope = 'system' satisfies DrillScope;

/** Has a drill done at once, unless one is under way, by a job: what it uses goes through the one way in like everybody's. */
export async function drill(
  parts: RevocationParts,
  context: Context<'revocations.drill'>,
): Promise<Apply<'revocations.drill'>> {
  const { input, record } = context;
  const { rowKey, log } = await placeOf(parts, context);
  const { scope = usualScope } = input;
  context.afterCommit.push(async () => parts.wake());
  return async (tx, time) => {
    const running = (await store.listDrills(tx, rowKey, log.id, maxListed)).find(
      ({ state, begun_at }) => state === 'running' && begun_at > time - longestMs,
    );
    record.state = 'running';
    if (running !== undefined) return viewOf(running);
    const row = newDrill(log.id, scope, time);
    await store.putDrill(tx, rowKey, row);
    await schedule(tx, drillJob(row));
    return viewOf(row);
  };
}

export function newDrill(log: number, scope: DrillScope, time: number): Omit<DrillRow, 'seal'> {
  const unended = { system: null, key: null, credential: null, ended_at: null, record: null, hash: null };
  return { id: newId(), log, scope, state: 'running', begun_at: time, ...unended };
}

export function drillJob({ id, log }: Pick<DrillRow, 'id' | 'log'>): NewJob {
  return { name: `${drillTask}/${id}`, task: drillTask, input: { drill: id, log }, dueAt: 0 };
}

export async function scheduleDrill(
  parts: RevocationParts,
  context: Context<'revocations.schedule-drill'>,
): Promise<Apply<'revocations.schedule-drill'>> {
  const { input, now, payload } = context;
  const { rowKey, log } = await placeOf(parts, context);
  const { everyDays, scope = usualScope } = input;
  return async (tx, time) => {
    const old = await store.findSchedule(tx, rowKey, log.id);
    payload['old'] = old === undefined ? null : scheduleView(old, now);
    if (everyDays === 0) {
      await store.deleteSchedule(tx, log.id);
      await remove(tx, scheduleJob({ log: log.id, next_at: 0 }).name);
      return { schedule: null };
    }
    const row = { log: log.id, every_days: everyDays, scope, next_at: time + everyDays * dayMs };
    await store.putSchedule(tx, rowKey, row);
    await schedule(tx, scheduleJob(row));
    return { schedule: scheduleView(row, time) };
  };
}

/** The job that begins the drill which is due. */
export function scheduleJob({ log, next_at }: Pick<ScheduleRow, 'log' | 'next_at'>): NewJob {
  const input = { log, nextAt: next_at };
  return { name: `${drillScheduleTask}/${log}`, task: drillScheduleTask, input, dueAt: next_at };
}

/** A drill was done: the next one is due so many days after it began. */
export async function putOff(
  tx: Tx,
  rowKey: Parameters<typeof store.putSchedule>[1],
  done: DrillRow,
): Promise<void> {
  const row = await store.findSchedule(tx, rowKey, done.log);
  if (row === undefined) return;
  const next = { ...row, next_at: done.begun_at + row.every_days * dayMs };
  await store.putSchedule(tx, rowKey, next);
  await schedule(tx, scheduleJob(next));
}

export async function listDrills(parts: RevocationParts, context: Context<'revocations.drills'>) {
  const { rowKey, log } = await placeOf(parts, context);
  const { rows, planned } = await parts.database.read(async (snapshot) => ({
    rows: await store.listDrills(snapshot, rowKey, log.id, maxListed),
    planned: await store.findSchedule(snapshot, rowKey, log.id),
  }));
  return {
    drills: rows.map(viewOf),
    schedule: planned === undefined ? null : scheduleView(planned, context.now),
  };
}

function scheduleView(row: Omit<ScheduleRow, 'seal'>, now: number) {
  const { every_days: everyDays, scope, next_at: nextAt } = row;
  return { everyDays, scope, nextAt, overdue: nextAt + graceMs < now };
}

/** What the record of a drill says; docs/formats/evidence-document.md. */
export interface DrillRecord {
  readonly steps: DrillStep[];
}

export function viewOf(row: Omit<DrillRow, 'seal'>): DrillView {
  const { steps } =
    row.record === null
      ? { steps: [] }
      : (JSON.parse(Buffer.from(row.record).toString('utf8')) as DrillRecord);
  const { id, scope, state, begun_at: begunAt, ended_at: endedAt, hash } = row;
  return { id, scope, state, begunAt, endedAt, steps, hash };
}
