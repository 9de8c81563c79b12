import { answerStatement } from '@trialkeep/contract';
import type { OperationId, Question } from '@trialkeep/contract';
import { progress } from '../audit/index.ts';
import { OperationError } from '../platform/errors.ts';
import type { Context, Implementations } from '../platform/implementation.ts';
import { boundOf, countsOf, pageOf, statedQuestion } from './answer.ts';
import type { AnswerParts, Asked } from './answer.ts';
import { conditionsAt, recordAsked } from './conditions.ts';
import { formatCursor, parseCursor } from './cursor.ts';
import { questionOf, removeQuestion, saveQuestion, savedView } from './saved.ts';
import * as store from './store.ts';

export type QuestionOperationId = 'ledger.query' | Extract<OperationId, `questions.${string}`>;

const defaultPageEntries = 100;

/** Binds what the ledger is asked to its behaviour. */
export function questionImplementations(parts: AnswerParts): Implementations<QuestionOperationId> {
  return {
    'ledger.query': (context) => query(parts, context),
    'questions.answer': (context) => answer(parts, context),
    'questions.save': saveQuestion,
    'questions.list': async ({ caller, facts }) => {
      const rows = await facts.read((snapshot) => store.listSaved(snapshot, caller.log.id));
      return { questions: rows.map(savedView) };
    },
    'questions.show': async (context) => savedView(await findSaved(context, context.input.saved)),
    'questions.remove': removeQuestion,
  };
}

/** Entries page by page, complete up to what the index had come to when the first page was asked for. */
async function query(parts: AnswerParts, { input, caller, record, now }: Context<'ledger.query'>) {
  const { cursor, limit = defaultPageEntries, ...question } = input;
  recordAsked(question, record);
  const conditions = conditionsAt(question, now);
  const at = cursor === undefined ? undefined : parseCursor(question, cursor);
  const log = parts.ledger.log(caller.log.id);
  await log.integrate();
  const indexed = await parts.database.read((snapshot) => progress(snapshot, log.id));
  const bound = { first: indexed.first, size: at?.size ?? indexed.size };
  if (bound.size > indexed.size) throw new OperationError('request.invalid', { field: '/cursor' });
  const page = { after: at?.after ?? -1, limit };
  const { entries, isLast } = await pageOf(parts, log, conditions, bound, page);
  const last = entries.at(-1);
  return {
    entries: entries.map(({ index, entry }) => ({ index, entry })),
    next:
      isLast || last === undefined
        ? null
        : formatCursor(question, { after: last.index, size: bound.size, at: now }),
    size: bound.size,
  };
}

/** One page of an answer; all pages of it have one time and one bound. */
async function answer(parts: AnswerParts, context: Context<'questions.answer'>) {
  const { input, caller, record, now } = context;
  const { cursor, limit = defaultPageEntries, ...asking } = input;
  recordAsked(asking, record);
  const at = cursor === undefined ? undefined : parseCursor(asking, cursor);
  const asked = { ...(await askedBy(context)), at: at?.at ?? now };
  const stated = statedQuestion(asked);
  recordAsked(stated.question, record);
  const log = parts.ledger.log(caller.log.id);
  const bound = await boundOf(parts, log, at?.size ?? input.size);
  const page = { after: at?.after ?? -1, limit };
  const { entries, isLast } = await pageOf(parts, log, stated.question, bound, page);
  const last = entries.at(-1);
  return {
    asked: stated,
    bound,
    counts: at === undefined ? await countsOf(parts, log, stated.question, bound) : null,
    entries,
    statement: [...answerStatement],
    next:
      isLast || last === undefined
        ? null
        : formatCursor(asking, { after: last.index, size: bound.size, at: asked.at }),
  };
}

/** The question of the request, or the saved one that it names. */
async function askedBy(context: Context<'questions.answer'>): Promise<Omit<Asked, 'at'>> {
  const { cursor: _cursor, limit: _limit, size: _size, saved, ...question } = context.input;
  if (saved === undefined) return { question: question satisfies Question };
  if (Object.keys(question).length > 0) throw new OperationError('request.invalid', { field: '/saved' });
  return { saved, question: questionOf((await findSaved(context, saved)).question) };
}

async function findSaved(
  { caller, facts }: Pick<Context<'questions.answer'>, 'caller' | 'facts'>,
  id: string,
): Promise<store.SavedRow> {
  const row = await facts.read((snapshot) => store.findSaved(snapshot, caller.log.id, id));
  if (row === undefined) throw new OperationError('question.unknown', { field: '/saved' });
  return row;
}
