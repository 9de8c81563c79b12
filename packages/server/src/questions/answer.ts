import { setImmediate } from 'node:timers/promises';
import { answerStatement, entryKinds, kindOfEntry } from '@trialkeep/contract';
import type { Conditions, EntryKind, Question } from '@trialkeep/contract';
import { parseCheckpoint, parseNote } from '@trialkeep/ledger';
import { countKinds, entriesAt, findPlaces, parseEntry, progress, rangeOf } from '../audit/index.ts';
import type { KindCounts, Ledger, TransparencyLog } from '../audit/index.ts';
import { canonicalBytes } from '../platform/canonical.ts';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { conditionsAt } from './conditions.ts';
import * as store from './store.ts';

/** What answering needs. */
export interface AnswerParts {
  readonly database: Database;
  readonly ledger: Ledger;
}

/** A question with what makes its answer one and the same, whenever it is made. */
export interface Asked {
  readonly question: Question;
  /** Id of the saved question that it is. */
  readonly saved?: string;
  /** The time of the question, ms: what a period is relative to. */
  readonly at: number;
}

/** What an answer is complete up to (docs/formats/answer.md). */
export interface Bound {
  readonly origin: string;
  readonly size: number;
  /** Base64. */
  readonly root: string;
  readonly checkpoint: string;
  readonly first: number;
}

export interface FoundEntry {
  readonly index: number;
  readonly kind: EntryKind;
  /** Canonical JSON, as hashed. */
  readonly entry: string;
}

/** Entries of an answer that is part of another document. */
const maxDocumentEntries = 10_000;
const entriesPerPage = 1000;

/**
 * The checkpoint that an answer is bound to: a new one, or the stored one of that size. While the index is being made anew, the
 * newest that it has come to.
 *
 * @throws OperationError `checkpoint.unknown`, `question.indexing`
 */
export async function boundOf(parts: AnswerParts, log: TransparencyLog, size?: number): Promise<Bound> {
  if (size === undefined) await parts.ledger.anchorNow(log.id);
  await log.integrate();
  const { found, indexed, first } = await parts.database.read(async (snapshot) => {
    const { size: indexed, first } = await progress(snapshot, log.id);
    const wanted = size === undefined ? { most: indexed } : { exactly: size };
    return { indexed, first, found: await store.findCheckpoint(snapshot, log.id, wanted) };
  });
  if (size !== undefined && found === undefined) {
    throw new OperationError('checkpoint.unknown', { field: '/size' });
  }
  if (found === undefined || found.size > indexed || found.size <= first) {
    throw new OperationError('question.indexing');
  }
  const { origin, root } = parseCheckpoint(parseNote(Buffer.from(found.note)).text);
  return {
    origin,
    size: found.size,
    root: Buffer.from(root).toString('base64'),
    checkpoint: found.note,
    first,
  };
}

/** The first `limit` entries behind `after` that meet the conditions, and whether there are more. The index has come to `size`. */
export async function pageOf(
  { database }: AnswerParts,
  log: TransparencyLog,
  conditions: Conditions,
  { first, size }: Pick<Bound, 'first' | 'size'>,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<{ entries: FoundEntry[]; isLast: boolean }> {
  const read = inTurns(database);
  const range = await rangeOf(read, log.id, conditions, { first, size });
  const behind = { first: Math.max(range.first, after + 1), end: range.end };
  const places = await findPlaces(read, log.id, conditions, behind, limit + 1);
  const rows = await read((snapshot) => entriesAt(snapshot, log.id, places.slice(0, limit)));
  const entries = rows.map(({ position, bytes }) => ({
    index: position,
    kind: kindOfEntry(parseEntry(bytes)),
    entry: Buffer.from(bytes).toString('utf8'),
  }));
  return { entries, isLast: places.length <= limit };
}

/** How many entries of each kind meet the conditions, leaving `kinds` aside. */
export async function countsOf(
  { database }: AnswerParts,
  log: TransparencyLog,
  conditions: Conditions,
  bound: Pick<Bound, 'first' | 'size'>,
): Promise<KindCounts> {
  const read = inTurns(database);
  const range = await rangeOf(read, log.id, conditions, bound);
  return countKinds(read, log.id, conditions, range);
}

/** Reads that let others have the event loop between them. */
function inTurns(database: Database): Database['read'] {
  return async (work) => {
    await setImmediate();
    return database.read(work);
  };
}

/** The question as the answer states it. */
export function statedQuestion({ question, saved, at }: Asked) {
  const { period } = question;
  return {
    at,
    question: conditionsAt(question, at),
    ...(period !== undefined && { period }),
    ...(saved !== undefined && { saved }),
  };
}

/**
 * The whole answer as a document (docs/formats/answer.md), the same bytes for the same question, time and size.
 *
 * @param size the size of a checkpoint of the log; otherwise one is signed now
 * @throws OperationError `question.times`, `question.too_long` for more than 10,000 entries, `question.indexing`, `checkpoint.unknown`
 */
export async function makeAnswer(
  parts: AnswerParts,
  log: TransparencyLog,
  asked: Asked,
  size?: number,
): Promise<Uint8Array> {
  const stated = statedQuestion(asked);
  const bound = await boundOf(parts, log, size);
  const counts = await countsOf(parts, log, stated.question, bound);
  const kinds: readonly EntryKind[] = stated.question.kinds ?? entryKinds;
  if (kinds.reduce((sum, kind) => sum + counts[kind], 0) > maxDocumentEntries) {
    throw new OperationError('question.too_long');
  }
  const texts: string[] = [];
  for (let after = -1, isLast = false; !isLast;) {
    const page = await pageOf(parts, log, stated.question, bound, { after, limit: entriesPerPage });
    texts.push(...page.entries.map(entryText));
    after = page.entries.at(-1)?.index ?? after;
    ({ isLast } = page);
  }
  const [head, tail] = [
    canonical({ asked: stated, bound, counts }),
    canonical({ statement: answerStatement, v: 1 }),
  ];
  return Buffer.from(`${head.slice(0, -1)},"entries":[${texts.join(',')}],${tail.slice(1)}`);
}

/** An entry as it stands in the answer, canonical JSON around canonical JSON. */
function entryText({ index, kind, entry }: FoundEntry): string {
  return `{"entry":${entry},"index":${index},"kind":"${kind}"}`;
}

function canonical(value: object): string {
  return Buffer.from(canonicalBytes(value)).toString('utf8');
}
