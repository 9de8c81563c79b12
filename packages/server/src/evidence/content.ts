import type { OperationId } from '@trialkeep/contract';
import { listedEntries, maxListedEntries } from '@trialkeep/evidence';
import type { Bodies, EntryMembers, EvidenceDocument, ListedEntry } from '@trialkeep/evidence';
import { entriesAt, findPlaces, progress, rangeOf } from '../audit/index.ts';
import type { Ledger, TransparencyLog } from '../audit/index.ts';
import type { Conditions, Question } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import type { Configuration } from '../platform/config.ts';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context } from '../platform/implementation.ts';
import { makeAnswer } from '../questions/index.ts';
import { endedDrill } from '../revocations/index.ts';
import { closedReview } from '../reviews/index.ts';
import { ceremony } from './ceremony.ts';
import { destruction, erasure } from './certificates.ts';
import { studyErasure } from './study-erasure.ts';
import type { Find } from './certificates.ts';
import { exitCertificate } from './exit.ts';
import { inventory } from './inventory.ts';
import * as store from './store.ts';

export interface ContentParts {
  readonly configuration: Configuration;
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
}

/** What a document says, by its kind: everything but its own id, title and maker. */
export type Content = Pick<EvidenceDocument, 'body' | 'kind' | 'names'>;

type Kind = Content['kind'];

export async function contentOf(parts: ContentParts, context: Context<'evidence.make'>): Promise<Content> {
  const { kind } = context.input;
  const log = parts.ledger.log(context.caller.log.id);
  const bodies = {
    'audit.review': review,
    'key.destruction': certified(destruction),
    'key.inventory': inventoryOf,
    'ledger.answer': answer,
    'revocation.drill': drill,
    'root.ceremony': ceremony,
    'study.erasure': certified(studyErasure),
    'subject.erasure': certified(erasure),
    'tenant.exit': certified(exitCertificate),
  } as const;
  // Keys, studies and subjects are tenants'; the root of trust is the installation's.
  const ofInstance: readonly Kind[] = ['audit.review', 'ledger.answer', 'root.ceremony'];
  const isRight = log.tenant === null ? ofInstance.includes(kind) : kind !== 'root.ceremony';
  if (!isRight) throw new OperationError('request.invalid', { field: '/kind' });
  if (kind !== 'root.ceremony') refuseInputs(context.input, ['ceremony']);
  else refuseInputs(context.input, ['drill', 'question', 'review', 'study', 'subject']);
  if (kind !== 'key.destruction') refuseInputs(context.input, ['key']);
  if (kind === 'key.destruction') refuseInputs(context.input, ['study', 'subject']);
  if (kind === 'study.erasure') refuseInputs(context.input, ['subject']);
  if (kind === 'tenant.exit') refuseInputs(context.input, ['study', 'subject']);
  if (kind !== 'key.inventory') refuseInputs(context.input, ['asOf', 'system']);
  const body = await bodies[kind](parts, log, context);
  const said = { body, kind } as Pick<EvidenceDocument, 'body' | 'kind'>;
  return { ...said, names: await names(parts, log, said, context.caller.actor) };
}

/** A certificate looks for entries as the other documents do, and takes no input of theirs. */
function certified<Body>(
  make: (
    parts: ContentParts,
    log: TransparencyLog,
    context: Context<'evidence.make'>,
    find: Find,
  ) => Promise<Body>,
) {
  return (parts: ContentParts, log: TransparencyLog, context: Context<'evidence.make'>): Promise<Body> => {
    refuseInputs(context.input, ['drill', 'question', 'review']);
    return make(parts, log, context, (conditions, bound) => findEntries(parts, log, conditions, bound));
  };
}

function inventoryOf(
  parts: ContentParts,
  log: TransparencyLog,
  context: Context<'evidence.make'>,
): Promise<Bodies['key.inventory']> {
  refuseInputs(context.input, ['drill', 'question', 'review', 'study', 'subject']);
  return inventory(parts, log, context);
}

async function answer(
  parts: ContentParts,
  log: TransparencyLog,
  { input, record, now }: Context<'evidence.make'>,
): Promise<Bodies['ledger.answer']> {
  refuseInputs(input, ['drill', 'review', 'study', 'subject']);
  const question: Question = input.question ?? {};
  for (const name of ['subject', 'class', 'key', 'study', 'system'] as const) {
    const value = question[name];
    if (value !== undefined) record[name] = value;
  }
  const bytes = await makeAnswer(parts, log, { question, at: now });
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as Bodies['ledger.answer'];
}

async function review(
  parts: ContentParts,
  log: TransparencyLog,
  { input, caller, facts, record }: Context<'evidence.make'>,
): Promise<Bodies['audit.review']> {
  refuseInputs(input, ['drill', 'question', 'study', 'subject']);
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

async function drill(
  parts: ContentParts,
  log: TransparencyLog,
  { input, caller, facts }: Context<'evidence.make'>,
): Promise<Bodies['revocation.drill']> {
  refuseInputs(input, ['question', 'review', 'study', 'subject']);
  if (input.drill === undefined) throw new OperationError('request.invalid', { field: '/drill' });
  const asked = { facts, tenant: tenantOf(caller), log: log.id, drill: input.drill };
  const { system, begunAt, endedAt, record } = await endedDrill(parts, asked);
  await log.integrate();
  const bound = await parts.database.read((snapshot) => progress(snapshot, log.id));
  const conditions = system === null ? { operation: 'revocations.drill' as const } : { system };
  const window = { from: begunAt, to: endedAt + 1 };
  const entries = await findEntries(parts, log, { ...conditions, ...window }, bound);
  return { begunAt, endedAt, entries, record, size: bound.size };
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
  if (said.kind === 'key.inventory') {
    const { keys } = said.body as Bodies['key.inventory'];
    for (const { system } of keys) if (ids.size < maxNames) ids.add(system);
  }
  const found = await database.read((snapshot) => store.namesOf(snapshot, log, [...ids]));
  return Object.fromEntries(found);
}

/** Inputs that belong to another kind. */
function refuseInputs(
  input: Context<'evidence.make'>['input'],
  foreign: readonly (
    'asOf' | 'ceremony' | 'key' | 'system' | 'drill' | 'question' | 'review' | 'study' | 'subject'
  )[],
): void {
  const found = foreign.find((name) => input[name] !== undefined);
  if (found !== undefined) throw new OperationError('request.invalid', { field: `/${found}` });
}
