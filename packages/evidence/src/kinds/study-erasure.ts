import { hasShape, isIndex, isUuid } from '@trialkeep/ledger';
import { named, utc } from '../blocks.ts';
import { entryTable } from '../entry-table.ts';
import { isListing, type ListedEntry } from '../listed.ts';
import { isLine, isOneOf } from '../shape.ts';
import {
  isList,
  isRecord,
  maxRemaining,
  maxSignatures,
  remainingBlocks,
  signatureBlocks,
  strangeSignatures,
} from './erasure.ts';
import type { Kind } from './kind.ts';

export type StudyErasureBody = {
  readonly entries: readonly ListedEntry[];
  /** Where keys of the study may still lie, in sentences. */
  readonly remaining: readonly string[];
  /** Signature records (docs/formats/signature.md) as text. */
  readonly signatures: readonly string[];
  readonly size: number;
  readonly state: 'erasing' | 'erased';
  readonly study: string;
};

const operations: ReadonlySet<string> = new Set(['studies.erase', 'studies.cancel-erasure']);
/** What the certificate shows, and what not. */
const statement = [
  'The ledger holds the entries below at their indexes: that the erasure of the study was asked for, who decided on it, and that its key and those of all its subjects were removed after the waiting period.',
  'No hold applied when it was decided and when it was carried out: the server refuses it otherwise, and writes that down.',
  'The electronic signatures are those whose hashes these entries hold.',
  'What remains is listed as the server knew it when this document was made.',
  'That nobody kept a copy of the keys, or of decrypted data, outside of the places that Trialkeep knows cannot be shown by any record.',
];

/** The certificate that the keys of a whole study were destroyed. */
export const studyErasureKind: Kind<StudyErasureBody> = {
  title: 'Certificate of erasure of a study',
  requirements: ['URS-006', 'URS-037', 'URS-084'],
  isBody(value): value is StudyErasureBody {
    const isRight = hasShape(value, {
      entries: Array.isArray,
      remaining: (list) => isList(list, maxRemaining, isLine),
      signatures: (list) => isList(list, maxSignatures, isRecord),
      size: isIndex,
      state: isOneOf('erasing', 'erased'),
      study: isUuid,
    });
    return isRight && isListing(value.entries, value.size as number);
  },

  listed: ({ entries }) => entries,

  contradictions(body, { sha256 }) {
    const found: string[] = [];
    const about = body.entries.filter(({ entry }) => operations.has(entry.operation));
    if (!about.some(({ entry }) => isRemoval(entry))) {
      found.push('No entry says that the keys of the study were removed.');
    }
    for (const { entry, index } of about) {
      if (entry.study !== body.study) found.push(`Entry ${index} is about another study.`);
    }
    if ((body.state === 'erased') !== (body.remaining.length === 0)) {
      found.push('The state does not fit what remains.');
    }
    return [...found, ...strangeSignatures(body, sha256)];
  },

  render(body, context) {
    const { entries, remaining, state, study } = body;
    const last = entries.findLast(({ entry }) => isRemoval(entry))?.entry;
    return [
      { type: 'heading', text: 'What was erased' },
      {
        type: 'facts',
        facts: [
          { name: 'Study', value: named(context.names, study), mono: true },
          { name: 'Keys destroyed', value: last === undefined ? '–' : utc(last.time) },
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

/** Whether the entry says that keys of the study went: by the server itself, after those who asked. */
function isRemoval({ operation, outcome, state }: ListedEntry['entry']): boolean {
  return operation === 'studies.erase' && outcome === 'success' && state === 'erasing';
}
