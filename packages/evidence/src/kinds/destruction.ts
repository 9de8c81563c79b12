import { hasShape, isIndex, isUuid } from '@trialkeep/ledger';
import { named, utc } from '../blocks.ts';
import { entryTable } from '../entry-table.ts';
import { isListing, type ListedEntry } from '../listed.ts';
import { isLine } from '../shape.ts';
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

export type DestructionBody = {
  readonly entries: readonly ListedEntry[];
  readonly key: string;
  /** How it was done, and what that does not reach, in sentences. */
  readonly method: readonly string[];
  /** Where the key may still lie, in sentences. */
  readonly remaining: readonly string[];
  /** Signature records (docs/formats/signature.md) as text. */
  readonly signatures: readonly string[];
  readonly size: number;
};

const operations: ReadonlySet<string> = new Set([
  'keys.schedule-destruction',
  'keys.cancel-destruction',
  'keys.destroy',
]);
/** What the certificate shows, and what not. */
const statement = [
  'The ledger holds the entries below at their indexes: that the destruction was asked for, who decided on it, and that the key was destroyed after its waiting period.',
  'No hold applied when it was scheduled and when it was carried out: the server refuses it otherwise, and writes that down.',
  'The destruction takes effect on the last of the places that remain, as the server knew them when this document was made.',
  'That nobody kept a copy of the key, or of decrypted data, outside of the places that Trialkeep knows cannot be shown by any record.',
];
const maxMethod = 20;

/** The certificate that a key was destroyed. */
export const destructionKind: Kind<DestructionBody> = {
  title: 'Certificate of destruction',
  requirements: ['URS-006', 'URS-084'],
  isBody(value): value is DestructionBody {
    const isRight = hasShape(value, {
      entries: Array.isArray,
      key: isUuid,
      method: (list) => isList(list, maxMethod, isLine),
      remaining: (list) => isList(list, maxRemaining, isLine),
      signatures: (list) => isList(list, maxSignatures, isRecord),
      size: isIndex,
    });
    return isRight && isListing(value.entries, value.size as number);
  },

  listed: ({ entries }) => entries,

  contradictions(body, { sha256 }) {
    const found: string[] = [];
    const about = body.entries.filter(({ entry }) => operations.has(entry.operation));
    const last = about.findLast(({ entry }) => entry.outcome === 'success');
    if (last?.entry.operation !== 'keys.destroy') found.push('No entry says that the key was destroyed.');
    for (const { entry, index } of about) {
      if (entry.key !== body.key) found.push(`Entry ${index} is about another key.`);
    }
    return [...found, ...strangeSignatures(body, sha256)];
  },

  render(body, context) {
    const { entries, key, method, remaining } = body;
    const done = entries.findLast(({ entry }) => entry.operation === 'keys.destroy')?.entry;
    const system = done?.system;
    return [
      { type: 'heading', text: 'What was destroyed' },
      {
        type: 'facts',
        facts: [
          { name: 'Key', value: key, mono: true },
          ...(typeof system === 'string'
            ? [{ name: 'System', value: named(context.names, system), mono: true as const }]
            : []),
          { name: 'Destroyed', value: done === undefined ? '–' : utc(done.time) },
          {
            name: 'Takes effect',
            value: remaining.length === 0 ? 'no place remains' : 'on the last of the places below',
          },
        ],
      },
      { type: 'heading', text: 'How' },
      {
        type: 'table',
        columns: [{ title: 'Method, and what it does not reach', share: 100 }],
        rows: method.map((text) => [text]),
      },
      ...remainingBlocks(remaining),
      ...signatureBlocks(body),
      { type: 'heading', text: 'Entries of the ledger' },
      ...entryTable(entries, context.names),
    ];
  },

  proven: () => statement,
};
