import { entryTable } from '../entry-table.ts';
import { named, utc, type Block } from '../blocks.ts';
import {
  hasShape,
  isIndex,
  isJsonObject,
  isUuid,
  parseCanonicalObject,
  type JsonObject,
  type Sha256,
} from '@trialkeep/ledger';
import { hex } from '../hex.ts';
import { isListing, textOf, type ListedEntry } from '../listed.ts';
import { isAlias, isLine, isOneOf } from '../shape.ts';
import type { Kind } from './kind.ts';

export type ErasureBody = {
  readonly entries: readonly ListedEntry[];
  /** Where the key may still lie, in sentences. */
  readonly remaining: readonly string[];
  /** Signature records (docs/formats/signature.md) as text. */
  readonly signatures: readonly string[];
  readonly size: number;
  readonly state: 'erasing' | 'erased';
  readonly study: string;
  readonly subject: string;
};

const operation = 'subjects.erase';
/** What the certificate shows, and what not. */
const statement = [
  'The ledger holds the entries below at their indexes: that the erasure was asked for, who decided on it, and that the key of this subject was removed.',
  'The electronic signatures are those whose hashes these entries hold.',
  'What remains is listed as the server knew it when this document was made.',
  'That nobody kept a copy of the key, or of decrypted data, outside of the places that Trialkeep knows cannot be shown by any record.',
];
export const maxRemaining = 1000;
export const maxSignatures = 100;

/** The certificate that a participant's key was destroyed. */
export const erasureKind: Kind<ErasureBody> = {
  title: 'Certificate of erasure',
  requirements: ['URS-037', 'URS-084'],
  isBody(value): value is ErasureBody {
    const isRight = hasShape(value, {
      entries: Array.isArray,
      remaining: (list) => isList(list, maxRemaining, isLine),
      signatures: (list) => isList(list, maxSignatures, isRecord),
      size: isIndex,
      state: isOneOf('erasing', 'erased'),
      study: isUuid,
      subject: isAlias,
    });
    return isRight && isListing(value.entries, value.size as number);
  },

  listed: ({ entries }) => entries,

  contradictions(body, { sha256 }) {
    const found: string[] = [];
    const { entries } = body;
    const erasures = entries.filter(({ entry }) => entry.operation === operation);
    if (!erasures.some(({ entry }) => entry.outcome === 'success'))
      found.push('No entry says that the erasure was done.');
    for (const { entry, index } of erasures) {
      if (entry.subject !== body.subject || entry.study !== body.study) {
        found.push(`Entry ${index} is about another subject or study.`);
      }
    }
    if ((body.state === 'erased') !== (body.remaining.length === 0)) {
      found.push('The state does not fit what remains.');
    }
    return [...found, ...strangeSignatures(body, sha256)];
  },

  render(body, context) {
    const { entries, remaining, state, study, subject } = body;
    const done = entries
      .map(({ entry }) => entry)
      .filter((entry) => entry.operation === operation && entry.outcome === 'success');
    const last = done.at(-1);
    const reason = done.map((entry) => textOf(entry, 'reason')).find((code) => code !== undefined);
    return [
      { type: 'heading', text: 'What was erased' },
      {
        type: 'facts',
        facts: [
          { name: 'Subject (alias)', value: subject, mono: true },
          { name: 'Study', value: named(context.names, study), mono: true },
          { name: 'Key destroyed', value: last === undefined ? '–' : utc(last.time) },
          ...(reason === undefined ? [] : [{ name: 'Reason', value: reason }]),
          {
            name: 'State',
            value: state === 'erased' ? 'erased: nothing remains' : 'erasing: not complete yet',
          },
        ],
      },
      ...remainingBlocks(remaining),
      ...signatureBlocks(body),
      { type: 'heading', text: 'Entries of the ledger' },
      ...entryTable(entries, context.names),
    ];
  },

  proven: () => statement,
};

/** A sentence for each signature record whose hash no listed entry has. */
export function strangeSignatures(
  { entries, signatures }: Pick<ErasureBody, 'entries' | 'signatures'>,
  sha256: Sha256,
): string[] {
  const signed = new Set(entries.map(({ entry }) => entry.signature));
  return signatures
    .filter((record) => !signed.has(hex(sha256(new TextEncoder().encode(record)))))
    .map(() => 'An electronic signature is not the one of a listed entry.');
}

export function remainingBlocks(remaining: readonly string[]): Block[] {
  if (remaining.length === 0) return [];
  return [
    { type: 'heading', text: 'What remains' },
    {
      type: 'table',
      columns: [{ title: 'Where the key may still lie', share: 100 }],
      rows: remaining.map((text) => [text]),
    },
  ];
}

/** The manifestation of each signature (21 CFR 11.50): name, date and time, meaning. */
export function signatureBlocks({ signatures }: Pick<ErasureBody, 'signatures'>): Block[] {
  if (signatures.length === 0) return [];
  return [
    { type: 'heading', text: 'Electronic signatures' },
    {
      type: 'table',
      columns: [
        { title: 'Signed by', share: 34 },
        { title: 'Date and time (UTC)', share: 20 },
        { title: 'Meaning', share: 13 },
        { title: 'Signature', share: 33, mono: true },
      ],
      rows: signatures.map((text) => {
        const record = JSON.parse(text) as JsonObject;
        const said = (member: string): string => String(record[member]);
        return [
          `${said('name')}\n${said('person')}`,
          utc(record.time as number).replace(' UTC', ''),
          said('meaning'),
          said('signature'),
        ];
      }),
    },
  ];
}

/** Whether a text is a signature record as it can be shown. */
export function isRecord(text: unknown): boolean {
  const record = typeof text === 'string' && text.length <= 65_535 ? parseCanonicalObject(text) : undefined;
  return (
    isJsonObject(record) &&
    isLine(record.name) &&
    isLine(record.meaning) &&
    isUuid(record.signature) &&
    isUuid(record.person) &&
    isIndex(record.time)
  );
}

export function isList(value: unknown, most: number, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= most && value.every(isItem);
}
