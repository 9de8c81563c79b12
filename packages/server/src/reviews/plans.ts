import type { KeyObject } from 'node:crypto';
import type { Operations, Output } from '@trialkeep/contract';
import { findPerson } from '../access/index.ts';
import { progress } from '../audit/index.ts';
import type { TransparencyLog } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { remove, schedule } from '../platform/jobs/index.ts';
import { definitionBytes, definitionOf, redefine } from './definition.ts';
import type { PlanDefinition } from './definition.ts';
import { dayMs, openJob } from './opening.ts';
import { activePlan, assertActive, rowKeyOf } from './parts.ts';
import type { ReviewParts } from './parts.ts';
import * as store from './store.ts';
import type { PlanRow } from './store.ts';
import { openText, sealText, textOf } from './texts.ts';

export type PlanView = Output<Operations['reviews.plan']>;

/** Plans of one log, ended ones too. */
const maxPlans = 200;

export async function plan(
  parts: ReviewParts,
  context: Context<'reviews.plan'>,
): Promise<Apply<'reviews.plan'>> {
  const { input, caller, now, record, facts } = context;
  const id = newId();
  record.plan = id;
  record.state = 'active';
  record.version = 1;
  const log = parts.ledger.log(caller.log.id);
  const rowKey = await rowKeyOf(parts, context);
  if (input.firstDueAt !== undefined && input.firstDueAt <= now) {
    throw new OperationError('date.past', { field: '/firstDueAt' });
  }
  const { ciphertext, hash } = sealText(log.payloadKey, log.origin, { of: id, text: input.rationale });
  const definition = redefine(undefined, input, hash);
  await facts.read((snapshot) => checkReviewers(snapshot, rowKey, log.id, definition));
  context.afterCommit.push(async () => parts.wake());
  return async (tx, time) => {
    const others = await store.listPlans(tx, rowKey, log.id);
    if (others.length >= maxPlans) throw new OperationError('review.too_many');
    checkName(others, id, input.name);
    const own = (await store.headSize(tx, log.id)) - 1;
    const { first: archived } = await progress(tx, log.id);
    const covered = input.first ?? own;
    if (covered > own || covered < archived) throw new OperationError('review.range', { field: '/first' });
    const row = {
      id,
      log: log.id,
      name: input.name,
      definition: definitionBytes(definition),
      rationale: ciphertext,
      author: caller.actor,
      state: 'active' as const,
      version: 1,
      covered,
      due_at: input.firstDueAt ?? time + input.intervalDays * dayMs,
      created_at: time,
    };
    await store.insertPlan(tx, rowKey, row);
    await schedule(tx, openJob(row));
    return view(row, input.rationale);
  };
}

export async function changePlan(
  parts: ReviewParts,
  context: Context<'reviews.change-plan'>,
): Promise<Apply<'reviews.change-plan'>> {
  const { input, caller, payload, record, facts } = context;
  const log = parts.ledger.log(caller.log.id);
  const { plan: known, rowKey } = await activePlan(parts, context);
  const written =
    input.rationale === undefined
      ? undefined
      : sealText(log.payloadKey, log.origin, { of: known.id, text: input.rationale });
  const definition = redefine(definitionOf(known), input, written?.hash);
  await facts.read((snapshot) => checkReviewers(snapshot, rowKey, log.id, definition));
  const before = await planView(parts, log, known);
  payload['before'] = before;
  const rationale = input.rationale ?? before.rationale;
  context.afterCommit.push(async () => parts.wake());
  return async (tx, time) => {
    const present = assertActive(await store.findPlan(tx, rowKey, log.id, input.plan));
    // What was prepared is of another version.
    if (present.version !== known.version) throw new OperationError('server.busy');
    checkName(await store.listPlans(tx, rowKey, log.id), present.id, definition.name);
    const isSooner = input.intervalDays !== undefined;
    const soonest = time + definition.intervalDays * dayMs;
    const row = {
      ...present,
      name: definition.name,
      definition: definitionBytes(definition),
      rationale: written?.ciphertext ?? present.rationale,
      author: caller.actor,
      version: present.version + 1,
      due_at: isSooner ? Math.min(present.due_at, soonest) : present.due_at,
    };
    record.state = row.state;
    record.version = row.version;
    await store.updatePlan(tx, rowKey, row);
    await schedule(tx, openJob(row));
    return view(row, rationale);
  };
}

/** What follows the last review of the plan is reviewed by nobody from here on: the entry says from where. */
export async function endPlan(
  parts: ReviewParts,
  context: Context<'reviews.end-plan'>,
): Promise<Apply<'reviews.end-plan'>> {
  const { caller, payload, record } = context;
  const log = parts.ledger.log(caller.log.id);
  const { plan: known, rowKey } = await activePlan(parts, context);
  const { rationale } = await planView(parts, log, known);
  return async (tx) => {
    const present = assertActive(await store.findPlan(tx, rowKey, log.id, known.id));
    const row = { ...present, state: 'ended' as const, version: present.version + 1 };
    record.state = row.state;
    record.version = row.version;
    record.size = row.covered;
    payload['covered'] = row.covered;
    await store.updatePlan(tx, rowKey, row);
    await remove(tx, openJob(row).name);
    return view(row, rationale);
  };
}

export async function listPlans(parts: ReviewParts, context: Context<'reviews.plans'>) {
  const { caller, facts } = context;
  const rowKey = await rowKeyOf(parts, context);
  const log = parts.ledger.log(caller.log.id);
  const rows = await facts.read((snapshot) => store.listPlans(snapshot, rowKey, log.id));
  const plans: PlanView[] = [];
  for (const row of rows) plans.push(await planView(parts, log, row));
  return { plans };
}

async function planView({ hierarchy }: ReviewParts, log: TransparencyLog, row: PlanRow): Promise<PlanView> {
  const { rationale: hash } = definitionOf(row);
  const document = await openText(hierarchy, log, { of: row.id, ciphertext: row.rationale, hash });
  return view(row, document === undefined ? null : textOf(document));
}

function view(row: Omit<PlanRow, 'seal'>, rationale: string | null): PlanView {
  const { filter, graceDays, intervalDays, name, reviewers, risk } = definitionOf(row);
  return {
    id: row.id,
    name,
    filter,
    intervalDays,
    graceDays,
    risk,
    reviewers: { roles: [...reviewers.roles], persons: [...reviewers.persons] },
    rationale,
    author: row.author,
    state: row.state,
    version: row.version,
    covered: row.covered,
    dueAt: row.due_at,
    createdAt: row.created_at,
  };
}

function checkName(plans: readonly PlanRow[], id: string, name: string): void {
  if (plans.some((other) => other.id !== id && other.state === 'active' && other.name === name)) {
    throw new OperationError('review.plan_exists', { field: '/name' });
  }
}

/** A plan that calls nobody, or somebody who is not there, would never be carried out. */
async function checkReviewers(
  snapshot: Tx,
  rowKey: KeyObject,
  log: number,
  { reviewers }: PlanDefinition,
): Promise<void> {
  if (reviewers.roles.length + reviewers.persons.length === 0) {
    throw new OperationError('request.invalid', { field: '/reviewers' });
  }
  for (const [i, id] of reviewers.persons.entries()) {
    const person = await findPerson(snapshot, rowKey, log, id);
    if (person === undefined || person.state === 'left') {
      throw new OperationError('person.unknown', { field: `/reviewers/persons/${i}` });
    }
  }
}
