import {
  parseCheckpoint,
  parseNote,
  hasShape,
  isIndex,
  isOperationId,
  isTime,
  isUuid,
  type Check,
} from '@trialkeep/ledger';
import { entryTable } from '../entry-table.ts';
import { named, utc, type Fact } from '../blocks.ts';
import { isListing, type EntryMembers, type ListedEntry } from '../listed.ts';
import { isAlias, isLine, isOneOf, isWord } from '../shape.ts';
import type { Kind, KindContext } from './kind.ts';

/** What an entry says about key material and plaintext (docs/formats/answer.md), in words. */
const useKinds = {
  'key-released': 'Data keys released: whoever held one may have opened everything under it',
  'decryption-observed': 'Decryptions that the server itself carried out',
  'decryption-attested':
    'Reports of decryption, signed by the client that made them; the server did not see it',
  'encryption-observed': 'Encryptions that the server itself carried out',
  'encryption-attested': 'Reports of encryption, signed by the client that made them',
  'use-denied': 'Attempts that were refused or failed: nothing was released',
  other: 'Other entries: changes, reads, sign-ins, what the server did by itself',
} as const;
export type UseKind = keyof typeof useKinds;
const useKindIds = Object.keys(useKinds) as UseKind[];

/** Members of a question that an entry has to have with the same value. */
const equalShape = {
  actor: isUuid,
  approval: isUuid,
  class: isWord,
  credential: isUuid,
  key: isUuid,
  operation: isOperationId,
  outcome: isOneOf('success', 'refused', 'failed', 'requested'),
  person: isUuid,
  purpose: isWord,
  study: isUuid,
  subject: isAlias,
  system: isUuid,
} as const;
const questionShape: Readonly<Record<keyof typeof questionNames, Check>> = {
  ...equalShape,
  device: isUuid,
  from: isTime,
  kinds: (kinds) =>
    Array.isArray(kinds) && kinds.every(isOneOf(...useKindIds)) && kinds.length <= useKindIds.length,
  to: isTime,
};

const questionNames = {
  actor: 'Acted by',
  approval: 'Approval',
  class: 'Class of record',
  credential: 'Credential',
  device: 'Device',
  from: 'From',
  key: 'Key',
  kinds: 'Kinds of use',
  operation: 'Operation',
  outcome: 'Outcome',
  person: 'Person',
  purpose: 'Purpose',
  study: 'Study',
  subject: 'Subject (alias)',
  system: 'System',
  to: 'Until, not included',
} as const;

export type Question = Readonly<
  Partial<Record<keyof typeof equalShape | 'device', string> & Record<'from' | 'to', number>>
> & { readonly kinds?: readonly UseKind[] };

/** The answer of docs/formats/answer.md. */
export type AnswerBody = {
  readonly asked: {
    readonly at: number;
    readonly question: Question;
    readonly period?: string;
    readonly saved?: string;
  };
  readonly bound: {
    readonly checkpoint: string;
    readonly first: number;
    readonly origin: string;
    readonly root: string;
    readonly size: number;
  };
  readonly counts: Readonly<Record<UseKind, number>>;
  readonly entries: readonly (ListedEntry & { readonly kind: UseKind })[];
  /** What an answer proves, and what not. */
  readonly statement: readonly string[];
  readonly v: 1;
};

export const isSentence = (value: unknown): boolean =>
  typeof value === 'string' && value.length <= 1000 && value.isWellFormed();

/** The answer to a question to the ledger. */
export const answerKind: Kind<AnswerBody> = {
  title: 'Answer from the ledger',
  requirements: ['URS-038', 'URS-039', 'URS-084'],

  isBody(value): value is AnswerBody {
    const isRight = hasShape(value, {
      asked: (asked) =>
        hasShape(
          asked,
          { at: isTime, question: (question) => hasShape(question, {}, questionShape) },
          { period: isWord, saved: isUuid },
        ),
      bound: (bound) =>
        hasShape(bound, {
          checkpoint: (note) => typeof note === 'string' && note.length <= 1 << 20,
          first: isIndex,
          origin: isLine,
          root: isLine,
          size: isIndex,
        }),
      counts: (counts) => hasShape(counts, Object.fromEntries(useKindIds.map((kind) => [kind, isIndex]))),
      entries: Array.isArray,
      statement: (list) => Array.isArray(list) && list.length <= 20 && list.every(isSentence),
      v: (v) => v === 1,
    });
    const size = isRight ? (value as AnswerBody).bound.size : 0;
    return isRight && isListing(value.entries, size, { kind: isOneOf(...useKindIds) });
  },

  listed: ({ entries }) => entries.map(({ entry, index }) => ({ entry, index })),

  checkpoint: ({ bound }) => bound.checkpoint,

  contradictions({ asked, bound, counts, entries }, { origin }) {
    const found = entries
      .filter(({ entry, kind, index }) => !fits(entry, kind, asked.question) || index < bound.first)
      .map(({ index }) => `Entry ${index} does not fit the question.`);
    const misnamed = entries.filter(({ entry, kind }) => useKindOf(entry) !== kind);
    found.push(...misnamed.map(({ index }) => `Entry ${index} is called what it is not.`));
    for (const kind of useKindIds) {
      const listed = entries.filter((entry) => entry.kind === kind).length;
      const asksFor = asked.question.kinds === undefined || asked.question.kinds.includes(kind);
      if (asksFor && listed !== counts[kind])
        found.push(`The number of entries of the kind ${kind} is wrong.`);
    }
    if (!isBound(bound) || bound.origin !== origin) found.push('The bound is not that of its checkpoint.');
    return found;
  },

  render(body, context) {
    const { asked, bound, entries } = body;
    return [
      { type: 'heading', text: 'The question' },
      { type: 'facts', facts: questionFacts(asked, context) },
      { type: 'heading', text: 'The answer' },
      { type: 'paragraph', text: summary(body) },
      { type: 'facts', facts: countFacts(body) },
      ...(entries.length === 0 ? [] : entryTable(entries, context.names)),
      { type: 'heading', text: 'How far the answer reaches' },
      { type: 'facts', facts: boundFacts(bound) },
    ];
  },

  proven: ({ statement }) => statement,
};

function fits(entry: EntryMembers, kind: UseKind, question: Question): boolean {
  const { device, from = 0, to = Number.POSITIVE_INFINITY, kinds } = question;
  return (
    (Object.keys(equalShape) as (keyof typeof equalShape)[]).every(
      (member) => question[member] === undefined || entry[member] === question[member],
    ) &&
    (device === undefined || [entry.actor, entry.system, entry.key].includes(device)) &&
    entry.time >= from &&
    entry.time < to &&
    (kinds === undefined || kinds.includes(kind))
  );
}

/** What the server did itself. */
const observedKinds: readonly (readonly [UseKind, readonly string[]])[] = [
  [
    'key-released',
    [
      'keys.generate-data-key',
      'keys.decrypt-data-key',
      'keys.generate-data-key-pair',
      'keys.derive-shared-secret',
      'keys.decapsulate',
    ],
  ],
  ['decryption-observed', ['keys.decrypt', 'keys.re-encrypt']],
  [
    'encryption-observed',
    ['keys.encrypt', 'keys.generate-wrapped-data-key', 'keys.generate-wrapped-data-key-pair'],
  ],
];

/** The kinds of docs/formats/answer.md. */
function useKindOf({ operation, outcome, attested, source }: EntryMembers): UseKind {
  const observed = observedKinds.find(([, operations]) => operations.includes(operation))?.[0];
  if (observed === undefined && operation !== 'uses.report') return 'other';
  if (outcome !== 'success') return 'use-denied';
  if (operation === 'keys.re-encrypt' && source !== undefined) return 'encryption-observed';
  if (observed !== undefined) return observed;
  const use =
    typeof attested === 'object' && attested !== null ? (attested as { use?: unknown }).use : undefined;
  if (use === 'open') return 'decryption-attested';
  return use === 'seal' ? 'encryption-attested' : 'other';
}

/** Whether the bound is what its checkpoint says. */
export function isBound({ checkpoint, origin, root, size }: AnswerBody['bound']): boolean {
  try {
    const said = parseCheckpoint(parseNote(new TextEncoder().encode(checkpoint)).text);
    const rootText = btoa(String.fromCharCode(...said.root));
    return said.origin === origin && said.size === size && rootText === root;
  } catch {
    return false;
  }
}

function questionFacts({ at, question, period }: AnswerBody['asked'], { names }: KindContext): Fact[] {
  const facts = Object.entries(question).map(([member, value]): Fact => {
    const name = questionNames[member as keyof typeof questionNames];
    if (typeof value === 'number') return { name, value: utc(value) };
    if (typeof value !== 'string') return { name, value: value.join(', ') };
    return isUuid(value) || isAlias(value)
      ? { name, value: named(names, value), mono: true }
      : { name, value };
  });
  return [
    { name: 'Asked', value: utc(at) },
    ...(period === undefined ? [] : [{ name: 'Period', value: period }]),
    ...(facts.length === 0 ? [{ name: 'Entries', value: 'all; nothing narrows the question' }] : facts),
  ];
}

function summary({ entries }: AnswerBody): string {
  if (entries.length === 0) return 'No entry of the ledger fits the question.';
  return entries.length === 1
    ? 'One entry of the ledger fits the question.'
    : `${entries.length} entries of the ledger fit the question.`;
}

function countFacts({ asked, counts }: AnswerBody): Fact[] {
  const { kinds } = asked.question;
  return useKindIds
    .filter((kind) => counts[kind] > 0)
    .map((kind) => {
      const isLeftAside = kinds !== undefined && !kinds.includes(kind);
      return {
        name: `${counts[kind]} ${kind}`,
        value: `${useKinds[kind]}${isLeftAside ? ' (not asked for, and not listed)' : ''}`,
      };
    });
}

function boundFacts({ first, origin, root, size }: AnswerBody['bound']): Fact[] {
  return [
    { name: 'Log', value: origin },
    { name: 'Entries looked at', value: size === first ? 'none' : `index ${first} to ${size - 1}` },
    { name: 'Root of the log', value: root, mono: true },
  ];
}
