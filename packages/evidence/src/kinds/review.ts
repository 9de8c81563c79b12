import {
  parseCheckpoint,
  parseNote,
  isJsonObject,
  parseCanonicalObject,
  type JsonObject,
  hasShape,
  isIndex,
  isSha256Hex,
  isTime,
  isUuid,
  type Check,
} from '@trialkeep/ledger';
import { entryTable } from '../entry-table.ts';
import { named, utc, type Block, type Fact } from '../blocks.ts';
import { hex } from '../hex.ts';
import { isListing, type ListedEntry } from '../listed.ts';
import { isLine, isOneOf, isOrigin } from '../shape.ts';
import type { Kind, KindContext } from './kind.ts';

/** A closed audit-trail review (docs/formats/evidence-document.md, `audit.review`). */
export type ReviewBody = {
  readonly entries: readonly ListedEntry[];
  /** The record of docs/formats/audit-review.md, as text. */
  readonly record: string;
  /** The signature record of docs/formats/signature.md, as text. */
  readonly signature: string;
  readonly size: number;
  readonly texts: readonly string[];
};

type Mark = {
  readonly author: string;
  readonly entry: string;
  readonly hash: string;
  readonly id: string;
  readonly index: number;
  readonly mark: string;
  readonly own: boolean;
  readonly time: number;
};
type Record = {
  readonly conclusion: { readonly hash: string; readonly outcome: string };
  readonly counts: { readonly [count in 'marked' | 'matched' | 'own' | 'presented' | 'questioned']: number };
  readonly filter: JsonObject;
  readonly marks: readonly Mark[];
  readonly openedAt: number;
  readonly origin: string;
  readonly plan: {
    readonly author: string;
    readonly id: string;
    readonly name: string;
    readonly rationale: string;
    readonly risk: string;
    readonly version: number;
  };
  readonly range: {
    readonly checkpoint: string;
    readonly first: number;
    readonly from: number;
    readonly root: string;
    readonly to: number;
  };
  readonly review: string;
  readonly reviewer: string;
  readonly sample: { readonly perMille: number };
};

const maxMarks = 500;
const maxTextLength = 65_535;
const maxRecordLength = 1 << 20;
const isBoolean: Check = (value) => typeof value === 'boolean';
const isList = (most: number, isItem: Check): Check => {
  return (value) => Array.isArray(value) && value.length <= most && value.every(isItem);
};
const isNote: Check = (value) => typeof value === 'string' && value.length <= 1 << 18;

const isMark: Check = (value) =>
  hasShape(value, {
    author: isUuid,
    entry: isUuid,
    hash: isSha256Hex,
    id: isUuid,
    index: isIndex,
    mark: isOneOf('noted', 'questioned'),
    own: isBoolean,
    time: isTime,
  });
const countShape = {
  marked: isIndex,
  matched: isIndex,
  own: isIndex,
  presented: isIndex,
  questioned: isIndex,
};

function recordOf(text: unknown): Record | undefined {
  const value =
    typeof text === 'string' && text.length <= maxRecordLength ? parseCanonicalObject(text) : undefined;
  const isRecord = hasShape(value, {
    conclusion: (it) => hasShape(it, { hash: isSha256Hex, outcome: isOneOf('no-findings', 'findings') }),
    counts: (it) => hasShape(it, countShape),
    filter: isJsonObject,
    marks: isList(maxMarks, isMark),
    openedAt: isTime,
    origin: isOrigin,
    plan: (it) =>
      hasShape(it, {
        author: isUuid,
        graceDays: isIndex,
        id: isUuid,
        intervalDays: isIndex,
        name: isLine,
        rationale: isSha256Hex,
        reviewers: isJsonObject,
        risk: isOneOf('low', 'medium', 'high'),
        version: isIndex,
      }),
    range: (it) =>
      hasShape(it, { checkpoint: isNote, first: isIndex, from: isIndex, root: isLine, to: isIndex }),
    review: isUuid,
    reviewer: isUuid,
    sample: (it) => hasShape(it, { perMille: isIndex }),
    v: (v) => v === 1,
  });
  return isRecord ? (value as unknown as Record) : undefined;
}

/** The record of a body whose form was checked. */
const recordIn = ({ record }: ReviewBody): Record => JSON.parse(record) as Record;

const statement = [
  'The reviewer whose signature is shown concluded this review, and signed exactly the record that is embedded here.',
  'The server handed the reviewer every entry of the sample before the record could be signed; that it was read, the signature says.',
  'Comments and conclusion are the ones that the record names by their hashes; one that is not shown was erased with the key of its subject, or did not open.',
  'How many entries matched, and which of them belong to the sample, is recomputed by scanning the log; this document does not show it.',
  'The signature is electronic: the server checked both components, and the log binds it to the person, the record and the moment.',
];

/** The evidence of an audit-trail review. */
export const reviewKind: Kind<ReviewBody> = {
  title: 'Audit-trail review',
  requirements: ['URS-040', 'URS-029', 'URS-084'],

  isBody(value): value is ReviewBody {
    const isRight = hasShape(value, {
      entries: Array.isArray,
      record: (text) => recordOf(text) !== undefined,
      signature: isSignature,
      size: isIndex,
      texts: isList(maxMarks + 2, isText),
    });
    return isRight && isListing(value['entries'], value['size'] as number);
  },

  listed: ({ entries }) => entries,
  checkpoint: (body) => recordIn(body).range.checkpoint,

  contradictions(body, context) {
    const record = recordIn(body);
    const hashOf = (text: string): string => hex(context.sha256(new TextEncoder().encode(text)));
    return [
      ...ledgerContradictions(body, record, hashOf),
      ...markContradictions(body, record, hashOf),
      ...(isBound(record, context) ? [] : ['The range is not that of its checkpoint.']),
    ];
  },

  render(body, context) {
    const record = recordIn(body);
    const marked = new Set(record.marks.map(({ index }) => index));
    const ofReview = body.entries.filter(({ index }) => !marked.has(index));
    const ofLog = body.entries.filter(({ index }) => marked.has(index));
    return [
      { type: 'heading', text: 'What was reviewed' },
      { type: 'facts', facts: rangeFacts(body, record, context) },
      { type: 'heading', text: 'Conclusion' },
      { type: 'facts', facts: conclusionFacts(body, record, context) },
      ...signatureBlocks(body),
      ...markBlocks(body, record, context),
      ...(ofLog.length === 0
        ? []
        : [{ type: 'heading', text: 'The marked entries' } as const, ...entryTable(ofLog, context.names)]),
      { type: 'heading', text: 'The review in the ledger' },
      ...entryTable(ofReview, context.names),
    ];
  },

  proven: () => statement,
};

function isSignature(text: unknown): boolean {
  const record =
    typeof text === 'string' && text.length <= maxTextLength ? parseCanonicalObject(text) : undefined;
  if (record === undefined) return false;
  const { hash, meaning, name, person, review, signature, time } = record;
  const ids = [person, review, signature];
  return ids.every(isUuid) && meaning === 'review' && isLine(name) && isSha256Hex(hash) && isTime(time);
}

function isText(text: unknown): boolean {
  const value =
    typeof text === 'string' && text.length <= maxTextLength ? parseCanonicalObject(text) : undefined;
  const isString: Check = (it) => typeof it === 'string';
  return hasShape(
    value,
    { blinding: isString, of: isUuid, text: isString, v: (v) => v === 1 },
    { followUp: isString },
  );
}

function ledgerContradictions(body: ReviewBody, record: Record, hashOf: (text: string) => string): string[] {
  const found: string[] = [];
  const signature = JSON.parse(body.signature) as JsonObject;
  const has = (members: JsonObject): boolean =>
    body.entries.some(({ entry }) => Object.entries(members).every(([name, value]) => entry[name] === value));
  const { review, reviewer, plan, range } = record;
  const hash = hashOf(body.record);
  const closing = { operation: 'reviews.close', outcome: 'success', review, actor: reviewer, hash };
  if (!has({ ...closing, signature: hashOf(body.signature) })) {
    found.push('No entry says that this record was signed with this signature.');
  }
  if (signature['review'] !== review || signature['person'] !== reviewer || signature['hash'] !== hash) {
    found.push('The signature is not the one of this record.');
  }
  const opening = { operation: 'reviews.open', outcome: 'success', review, plan: plan.id, size: range.to };
  if (!has(opening)) found.push('No entry says that this review was opened.');
  return found;
}

function markContradictions(body: ReviewBody, record: Record, hashOf: (text: string) => string): string[] {
  const found: string[] = [];
  const { counts, marks, conclusion, plan, range } = record;
  const listed = new Map(body.entries.map(({ entry, index }) => [index, entry]));
  for (const { entry, index } of marks) {
    const there = listed.get(index);
    if (index < range.from || index >= range.to || (there !== undefined && there['entry'] !== entry)) {
      found.push(`A mark is not about entry ${index} of the range.`);
    }
  }
  const count = (has: (mark: Mark) => boolean): number =>
    new Set(marks.filter(has).map(({ index }) => index)).size;
  const isCounted =
    counts.marked === count(() => true) &&
    counts.own === count(({ own }) => own) &&
    counts.questioned === count(({ mark }) => mark === 'questioned');
  if (!isCounted) found.push('The counts are not those of the marks.');
  if (counts.questioned > 0 && conclusion.outcome !== 'findings') {
    found.push('Entries are questioned, and the conclusion has no findings.');
  }
  const known = new Set([conclusion.hash, plan.rationale, ...marks.map(({ hash }) => hash)]);
  if (body.texts.some((text) => !known.has(hashOf(text)))) found.push('A text is not one of the record.');
  return found;
}

function isBound({ origin, range }: Record, context: KindContext): boolean {
  try {
    const said = parseCheckpoint(parseNote(new TextEncoder().encode(range.checkpoint)).text);
    const root = btoa(String.fromCharCode(...said.root));
    return (
      origin === context.origin && said.origin === origin && said.size === range.to && root === range.root
    );
  } catch {
    return false;
  }
}

/** The text with which a hash of the record was made, and its follow-up; nothing where it is not there. */
function writtenOf({ texts }: ReviewBody, of: string): { text: string; followUp?: string } | undefined {
  return texts
    .map((text) => JSON.parse(text) as { of: string; text: string; followUp?: string })
    .find((written) => written.of === of);
}

function rangeFacts(
  body: ReviewBody,
  { plan, filter, range, counts, sample, openedAt }: Record,
  { names }: KindContext,
): Fact[] {
  const conditions = Object.entries(filter).map(([name, value]) => `${name}: ${String(value)}`);
  return [
    { name: 'Plan', value: `${plan.name}, version ${plan.version}` },
    { name: 'Planned by', value: named(names, plan.author), mono: true },
    { name: 'Risk', value: plan.risk },
    { name: 'Why', value: writtenOf(body, plan.id)?.text ?? 'not shown' },
    { name: 'Entries', value: conditions.length === 0 ? 'all' : conditions.join('; ') },
    { name: 'Places of the log', value: `${range.from} to ${range.to - 1}` },
    ...(range.first === range.from
      ? []
      : [{ name: 'Archived before', value: `places below ${range.first} were not shown` }]),
    { name: 'Root of the log', value: range.root, mono: true },
    { name: 'Matched', value: String(counts.matched) },
    { name: 'Sample', value: sample.perMille === 1000 ? 'every entry' : `${sample.perMille} of 1000, drawn` },
    { name: 'Presented', value: String(counts.presented) },
    { name: 'Opened', value: utc(openedAt) },
  ];
}

function conclusionFacts(body: ReviewBody, record: Record, { names }: KindContext): Fact[] {
  const { conclusion, counts, review, reviewer } = record;
  const marks = `${counts.marked}; questioned: ${counts.questioned}; declared as own: ${counts.own}`;
  return [
    { name: 'Outcome', value: conclusion.outcome },
    { name: 'Conclusion', value: writtenOf(body, review)?.text ?? 'not shown' },
    { name: 'Marked entries', value: marks },
    { name: 'Reviewer', value: named(names, reviewer), mono: true },
  ];
}

/** The manifestation of the signature (21 CFR 11.50): name, date and time, meaning. */
function signatureBlocks({ signature }: ReviewBody): Block[] {
  const record = JSON.parse(signature) as JsonObject;
  const said = (member: string): string => String(record[member]);
  return [
    { type: 'heading', text: 'Electronic signature' },
    {
      type: 'facts',
      facts: [
        { name: 'Signed by', value: `${said('name')} (${said('person')})` },
        { name: 'Date and time', value: utc(record['time'] as number) },
        { name: 'Meaning', value: said('meaning') },
        { name: 'Signature', value: said('signature'), mono: true },
      ],
    },
  ];
}

function markBlocks(body: ReviewBody, { marks }: Record, { names }: KindContext): Block[] {
  if (marks.length === 0) return [];
  return [
    { type: 'heading', text: 'What was said about entries' },
    {
      type: 'table',
      columns: [
        { title: 'Index', share: 8, mono: true },
        { title: 'Mark', share: 14 },
        { title: 'By, at (UTC)', share: 30 },
        { title: 'Comment', share: 48 },
      ],
      rows: marks.map(({ author, id, index, mark, own, time }) => {
        const written = writtenOf(body, id);
        const followUp = written?.followUp === undefined ? '' : `\nFollow-up: ${written.followUp}`;
        return [
          String(index),
          own ? `${mark}\nown entry` : mark,
          `${named(names, author)}\n${utc(time).replace(' UTC', '')}`,
          written === undefined ? 'not shown' : `${written.text}${followUp}`,
        ];
      }),
    },
  ];
}
