import type { OperationId } from '@trialkeep/contract';
import { listedEntries, maxListedEntries } from '@trialkeep/evidence';
import type { Bodies, EntryMembers, EvidenceDocument, ListedEntry } from '@trialkeep/evidence';
import { entriesAt, findPlaces, progress, rangeOf } from '../audit/index.ts';
import type { Ledger, TransparencyLog } from '../audit/index.ts';
import type { Conditions, Question } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context } from '../platform/implementation.ts';
import { makeAnswer } from '../questions/index.ts';
import { closedReview } from '../reviews/index.ts';
import * as store from './store.ts';

export interface ContentParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
}

/** What lies in backups of the shred store until the key of its epoch is changed (design section 5). */
const remainingCopies =
  'Copies of the key store that were made before the erasure, such as its backups: they open until the key of their epoch is changed';

/** What a document says, by its kind: everything but its own id, title and maker. */
export type Content = Pick<EvidenceDocument, 'body' | 'kind' | 'names'>;

export async function contentOf(parts: ContentParts, context: Context<'evidence.make'>): Promise<Content> {
  const { kind } = context.input;
  const log = parts.ledger.log(context.caller.log.id);
  const bodies = { 'audit.review': review, 'ledger.answer': answer, 'subject.erasure': erasure } as const;
  const body = await bodies[kind](parts, log, context);
  const said = { body, kind } as Pick<EvidenceDocument, 'body' | 'kind'>;
  return { ...said, names: await names(parts, log, said, context.caller.actor) };
}

async function answer(
  parts: ContentParts,
  log: TransparencyLog,
  { input, record, now }: Context<'evidence.make'>,
): Promise<Bodies['ledger.answer']> {
  refuseInputs(input, ['review', 'study', 'subject']);
  const question: Question = input.question ?? {};
  for (const name of ['subject', 'class', 'key', 'study', 'system'] as const) {
    const value = question[name];
    if (value !== undefined) record[name] = value;
  }
  const bytes = await makeAnswer(parts, log, { question, at: now });
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as Bodies['ledger.answer'];
}

async function erasure(
  parts: ContentParts,
  log: TransparencyLog,
  { input, caller, record }: Context<'evidence.make'>,
): Promise<Bodies['subject.erasure']> {
  refuseInputs(input, ['question', 'review']);
  const { study, subject } = input;
  if (study === undefined) throw new OperationError('request.invalid', { field: '/study' });
  if (subject === undefined) throw new OperationError('request.invalid', { field: '/subject' });
  Object.assign(record, { study, subject });
  const { database } = parts;
  const state = await database.read((tx) => store.subjectState(tx, tenantOf(caller), study, subject));
  if (state === undefined) throw new OperationError('subject.unknown', { field: '/subject' });
  await log.integrate();
  const { size, first } = await database.read((snapshot) => progress(snapshot, log.id));
  const find = (conditions: Conditions): Promise<ListedEntry[]> =>
    findEntries(parts, log, conditions, { size, first });
  const operation = 'subjects.erase' satisfies OperationId;
  const erasures = await find({ operation, study, subject });
  const isErased = erasures.some(({ entry }) => entry.outcome === 'success');
  if (state === 'active' || !isErased) throw new OperationError('evidence.not_erased', { field: '/subject' });
  const approvals = new Set(
    erasures.flatMap(({ entry }) => (typeof entry.approval === 'string' ? [entry.approval] : [])),
  );
  const decisions: ListedEntry[] = [];
  for (const approval of approvals) {
    const about = await find({ approval });
    decisions.push(...about.filter(({ entry }) => entry.operation.startsWith('approvals.')));
  }
  const entries = [...erasures, ...decisions].sort((a, b) => a.index - b.index);
  const hashes = entries.flatMap(({ entry }) =>
    typeof entry.signature === 'string' ? [entry.signature] : [],
  );
  const signatures = await database.read((tx) => store.signatureRecords(tx, log.id, hashes));
  return { entries, remaining: [remainingCopies], signatures, size, state, study, subject };
}

async function review(
  parts: ContentParts,
  log: TransparencyLog,
  { input, caller, facts, record }: Context<'evidence.make'>,
): Promise<Bodies['audit.review']> {
  refuseInputs(input, ['question', 'study', 'subject']);
  if (input.review === undefined) throw new OperationError('request.invalid', { field: '/review' });
  record.review = input.review;
  const closed = await closedReview(parts, log, { facts, tenant: caller.log.tenant, review: input.review });
  await log.integrate();
  const { size, first } = await parts.database.read((snapshot) => progress(snapshot, log.id));
  const { openedAt: from, closedAt } = closed;
  const bound = { first, size };
  const listed: ListedEntry[] = [];
  for (const operation of reviewOperations) {
    const found = await findEntries(
      parts,
      log,
      { operation, outcome: 'success', from, to: closedAt + 1 },
      bound,
    );
    listed.push(...found.filter(({ entry }) => entry['review'] === input.review));
  }
  const places = closed.places.filter((place) => place >= first);
  const marked = await parts.database.read((snapshot) => entriesAt(snapshot, log.id, places));
  listed.push(...marked.map(listedEntry));
  const byIndex = new Map(listed.map((each) => [each.index, each]));
  const entries = [...byIndex.values()].sort((a, b) => a.index - b.index);
  const closing = listed.find(({ entry }) => entry.operation === 'reviews.close');
  const hashes = typeof closing?.entry['signature'] === 'string' ? [closing.entry['signature']] : [];
  const [signature = ''] = await parts.database.read((tx) => store.signatureRecords(tx, log.id, hashes));
  return { entries, record: closed.record, signature, size, texts: closed.texts };
}

/** What an audit-trail review consists of, but for looking at it. */
const reviewOperations = [
  'reviews.open',
  'reviews.comment',
  'reviews.conclude',
  'reviews.close',
] as const satisfies readonly OperationId[];

function listedEntry({ position, bytes }: { position: number; bytes: Uint8Array }): ListedEntry {
  return { index: position, entry: JSON.parse(Buffer.from(bytes).toString('utf8')) as EntryMembers };
}

async function findEntries(
  { database }: ContentParts,
  log: TransparencyLog,
  conditions: Conditions,
  bound: { readonly first: number; readonly size: number },
): Promise<ListedEntry[]> {
  const read: Database['read'] = (work) => database.read(work);
  const range = await rangeOf(read, log.id, conditions, bound);
  const places = await findPlaces(read, log.id, conditions, range, maxListedEntries);
  const rows = await database.read((snapshot) => entriesAt(snapshot, log.id, places));
  return rows.map(listedEntry);
}

const nameable = ['actor', 'person', 'credential', 'study', 'system'] as const;
const maxNames = 2000;

/** What the ids that the document shows are called now. */
async function names(
  { database }: Pick<ContentParts, 'database'>,
  log: TransparencyLog,
  said: Pick<EvidenceDocument, 'body' | 'kind'>,
  actor: string,
): Promise<Record<string, string>> {
  const ids = new Set([actor]);
  for (const { entry } of listedEntries(said)) {
    for (const member of nameable) {
      const id = entry[member];
      if (typeof id === 'string' && ids.size < maxNames) ids.add(id);
    }
  }
  const found = await database.read((snapshot) => store.namesOf(snapshot, log, [...ids]));
  return Object.fromEntries(found);
}

/** Inputs that belong to another kind. */
function refuseInputs(
  input: Context<'evidence.make'>['input'],
  foreign: readonly ('question' | 'review' | 'study' | 'subject')[],
): void {
  const found = foreign.find((name) => input[name] !== undefined);
  if (found !== undefined) throw new OperationError('request.invalid', { field: `/${found}` });
}
