import { hasShape, isIndex, isUuid } from '@trialkeep/ledger';
import { utc } from '../blocks.ts';
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

const states = ['copied', 'confirmed', 'waiting', 'cancelled', 'shredding', 'shredded'] as const;

export type ExitBody = {
  readonly entries: readonly ListedEntry[];
  readonly exit: string;
  /** SHA-256 of the manifest of the package, hexadecimal. */
  readonly manifest: string;
  /** Where keys of the tenant may still lie, in sentences; empty before they are destroyed. */
  readonly remaining: readonly string[];
  /** Signature records (docs/formats/signature.md) as text. */
  readonly signatures: readonly string[];
  readonly size: number;
  readonly state: (typeof states)[number];
  readonly tenant: string;
};

/** What the certificate shows, and what not. */
const statement = [
  'The ledger holds the entries below at their indexes: that the tenant began to leave, that a copy with this manifest was made, and, where they are listed, that its recipient has confirmed it and that the keys were destroyed.',
  'The confirmation is a receipt over all that the pages hold in clear, signed with the recipient’s own key: who made it has opened every page.',
  'The electronic signatures are those whose hashes these entries hold.',
  'What remains is listed as the server knew it when this document was made; the package itself, which the tenant has, is not listed.',
  'That nobody kept a copy of the keys, or of decrypted data, outside of the places that Trialkeep knows cannot be shown by any record.',
];

/** The certificate of the copy that a tenant took along, and of the end of its keys. */
export const exitKind: Kind<ExitBody> = {
  title: 'Certificate of exit',
  requirements: ['URS-006', 'URS-050', 'URS-084'],
  isBody(value): value is ExitBody {
    const isRight = hasShape(value, {
      entries: Array.isArray,
      exit: isUuid,
      manifest: (hash) => typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash),
      remaining: (list) => isList(list, maxRemaining, isLine),
      signatures: (list) => isList(list, maxSignatures, isRecord),
      size: isIndex,
      state: isOneOf(...states),
      tenant: isUuid,
    });
    return isRight && isListing(value.entries, value.size as number);
  },

  listed: ({ entries }) => entries,

  contradictions(body, { sha256 }) {
    const found: string[] = [];
    const done = body.entries.filter(({ entry }) => entry.outcome === 'success');
    const copied = done.findLast(({ entry }) => isOf(entry, 'tenants.copy-exit', 'copied'));
    if (copied?.entry.hash !== body.manifest) found.push('No entry has taken up this manifest.');
    const confirmed = done.findLast(({ entry }) => isOf(entry, 'tenants.confirm-exit', 'confirmed'));
    const shredded = done.find(({ entry }) => isOf(entry, 'tenants.shred', 'shredding'));
    if (shredded !== undefined && (confirmed === undefined || shredded.index < confirmed.index)) {
      found.push('The keys were destroyed before the copy was confirmed.');
    }
    const isOver = body.state === 'shredding' || body.state === 'shredded';
    if (isOver !== (shredded !== undefined)) found.push('The state is not the one of the entries.');
    return [...found, ...strangeSignatures(body, sha256)];
  },

  render(body, context) {
    const { entries, exit, manifest, remaining, state, tenant } = body;
    const at = (operation: string, of: string): string => {
      const found = entries.findLast(({ entry }) => isOf(entry, operation, of))?.entry;
      return found === undefined ? '–' : utc(found.time);
    };
    return [
      { type: 'heading', text: 'What left' },
      {
        type: 'facts',
        facts: [
          { name: 'Tenant', value: tenant, mono: true },
          { name: 'Exit', value: exit, mono: true },
          { name: 'Manifest', value: manifest, mono: true },
          { name: 'Copied', value: at('tenants.copy-exit', 'copied') },
          { name: 'Opened and confirmed', value: at('tenants.confirm-exit', 'confirmed') },
          { name: 'Keys destroyed', value: at('tenants.shred', 'shredded') },
          { name: 'State', value: state },
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

function isOf({ operation, outcome, state }: ListedEntry['entry'], of: string, as: string): boolean {
  return operation === of && outcome === 'success' && state === as;
}
