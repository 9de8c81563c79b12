import type { Operations, Output, Question } from '@trialkeep/contract';
import { grants } from '../access/index.ts';
import { canonicalBytes } from '../platform/canonical.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { conditionsAt } from './conditions.ts';
import * as store from './store.ts';
import type { SavedRow } from './store.ts';

/** Saved questions of one log. */
const maxSaved = 200;

export function savedView({
  id,
  name,
  owner,
  question,
  created_at,
}: SavedRow): Output<Operations['questions.save']> {
  return { id, name, owner, question: questionOf(question), createdAt: created_at };
}

export function questionOf(bytes: Uint8Array): Question {
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as Question;
}

export async function saveQuestion(context: Context<'questions.save'>): Promise<Apply<'questions.save'>> {
  const { input, caller, now } = context;
  conditionsAt(input.question, now);
  const id = newId();
  context.payload['saved'] = id;
  return async (tx, time) => {
    const others = await store.listSaved(tx, caller.log.id);
    if (others.some(({ name }) => name === input.name)) {
      throw new OperationError('question.exists', { field: '/name' });
    }
    if (others.length >= maxSaved) throw new OperationError('question.too_many');
    const row = {
      id,
      log: caller.log.id,
      name: input.name,
      owner: caller.actor,
      question: canonicalBytes(input.question),
      created_at: time,
    };
    await store.insertSaved(tx, row);
    return savedView(row);
  };
}

export async function removeQuestion(
  context: Context<'questions.remove'>,
): Promise<Apply<'questions.remove'>> {
  const { input, caller, facts, payload } = context;
  const known = await facts.read((snapshot) => store.findSaved(snapshot, caller.log.id, input.saved));
  if (known === undefined) throw new OperationError('question.unknown', { field: '/saved' });
  if (known.owner !== caller.actor && !grants(caller, 'people:manage')) {
    throw new OperationError('question.foreign', { field: '/saved' });
  }
  payload['before'] = savedView(known);
  return async (tx) => {
    const row = await store.findSaved(tx, caller.log.id, input.saved);
    if (row === undefined) throw new OperationError('question.unknown', { field: '/saved' });
    await store.deleteSaved(tx, caller.log.id, input.saved);
    return savedView(row);
  };
}
