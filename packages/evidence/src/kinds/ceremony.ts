import {
  canonicalText,
  isJsonObject,
  parseCanonicalObject,
  hasShape,
  isIndex,
  isSha256Hex,
  isTime,
  isUuid,
} from '@trialkeep/ledger';
import { utc, type Block } from '../blocks.ts';
import { entryTable } from '../entry-table.ts';
import { hex } from '../hex.ts';
import { isListing, type ListedEntry } from '../listed.ts';
import { isLine, isOneOf } from '../shape.ts';
import type { Kind } from './kind.ts';

/** The minutes of a key ceremony (docs/formats/evidence-document.md). They hold no share. */
export type CeremonyMinutes = {
  readonly action: 'new' | 'rekey' | 'test';
  readonly attended: readonly { readonly name: string; readonly role: string }[];
  /** Milliseconds since 1970. */
  readonly begun: number;
  readonly confirmed: readonly {
    readonly by: string;
    readonly how: 'typed' | 'file' | 'sealed';
    readonly index: number;
  }[];
  readonly count: number;
  readonly ended: number;
  readonly fingerprints: readonly string[];
  readonly id: string;
  readonly replaced?: string;
  readonly root: string;
  readonly set: string;
  readonly software: {
    readonly digests: Readonly<Record<string, string>>;
    readonly node: string;
    readonly trialkeep: string;
  };
  readonly threshold: number;
  readonly v: 1;
};

export type CeremonyBody = {
  readonly entries: readonly ListedEntry[];
  /** The minutes as canonical text. */
  readonly minutes: string;
  readonly size: number;
};

const operation = 'instance.ceremony';
const maxMinutesLength = 16_384;
const maxAttended = 50;
const maxDigests = 16;
const maxShares = 16;

const titles = {
  new: 'a new root of trust',
  rekey: 'a new set of shares of the root of trust',
  test: 'a test of the shares',
} as const satisfies Record<CeremonyMinutes['action'], string>;
const tested = {
  typed: 'typed back what was written down',
  file: 'written to a file, and read back',
  sealed: 'sealed to a public key; not tested',
} as const satisfies Record<CeremonyMinutes['confirmed'][number]['how'], string>;

/** What the minutes show, and what not. */
const statement = [
  'The ledger of the instance holds the entry below with the hash of these minutes.',
  'The minutes were written by the program that held the ceremony; names and roles are what was typed in.',
  'The fingerprints tell the shares of this set from all others, and say nothing about the secret.',
  'That nobody saw or copied the share of another cannot be shown by any record.',
];

/** The minutes of a key ceremony, taken up by the ledger of the instance. */
export const ceremonyKind: Kind<CeremonyBody> = {
  title: 'Minutes of a key ceremony',
  requirements: ['URS-010'],
  isBody(value): value is CeremonyBody {
    const isRight = hasShape(value, {
      entries: Array.isArray,
      minutes: (text) => typeof text === 'string' && parseMinutes(text) !== undefined,
      size: isIndex,
    });
    return isRight && isListing(value.entries, value.size as number);
  },

  listed: ({ entries }) => entries,

  contradictions({ entries, minutes }, { sha256 }) {
    const found: string[] = [];
    const [listed, ...more] = entries;
    if (listed === undefined || more.length > 0) found.push('Not one entry is listed.');
    const { entry } = listed ?? {};
    if (entry?.operation !== operation || entry.outcome !== 'success') {
      found.push('The entry is not that of a ceremony.');
    }
    if (entry?.hash !== hex(sha256(new TextEncoder().encode(minutes)))) {
      found.push('The minutes are not those that the entry took up.');
    }
    return found;
  },

  render({ entries, minutes }, { names }) {
    const said = parseMinutes(minutes);
    return said === undefined ? [] : [...minutesBlocks(said), ...entryTable(entries, names)];
  },

  proven: () => statement,
};

/** The minutes as canonical text, which is what the ledger takes up. @throws RangeError for what {@link parseMinutes} would refuse */
export function formatMinutes(minutes: CeremonyMinutes): string {
  const text = canonicalText(minutes);
  if (text === undefined || parseMinutes(text) === undefined) throw new RangeError('These are no minutes.');
  return text;
}

/** Reads minutes; undefined for what does not have their form. */
export function parseMinutes(text: string): CeremonyMinutes | undefined {
  const value = text.length <= maxMinutesLength ? parseCanonicalObject(text) : undefined;
  const isRight = hasShape(
    value,
    {
      action: isOneOf('new', 'rekey', 'test'),
      attended: isListOf(1, maxAttended, { name: isLine, role: isLine }),
      begun: isTime,
      confirmed: isListOf(1, maxShares, {
        by: isLine,
        how: isOneOf('typed', 'file', 'sealed'),
        index: isShare,
      }),
      count: isShare,
      ended: isTime,
      fingerprints: (list) => Array.isArray(list) && list.every(isSha256Hex),
      id: isUuid,
      root: isUuid,
      set: isSet,
      software: (software) => hasShape(software, { digests: isDigests, node: isLine, trialkeep: isLine }),
      threshold: isShare,
      v: isOne,
    },
    { replaced: isSet },
  );
  if (!isRight) return undefined;
  const minutes = value as unknown as CeremonyMinutes;
  return isConsistent(minutes) ? minutes : undefined;
}

function isConsistent({
  action,
  begun,
  ended,
  confirmed,
  count,
  fingerprints,
  replaced,
  threshold,
}: CeremonyMinutes) {
  const indexes = confirmed.map(({ index }) => index);
  const ascend = indexes.every((index, i) => index <= count && index > (indexes[i - 1] ?? 0));
  return (
    ascend &&
    begun <= ended &&
    threshold >= 2 &&
    threshold <= count &&
    fingerprints.length === count &&
    (replaced !== undefined) === (action === 'rekey') &&
    indexes.length >= (action === 'test' ? threshold : count)
  );
}

function minutesBlocks(said: CeremonyMinutes): Block[] {
  const { software } = said;
  return [
    { type: 'heading', text: 'The ceremony' },
    {
      type: 'facts',
      facts: [
        { name: 'What was done', value: titles[said.action] },
        { name: 'Begun', value: utc(said.begun) },
        { name: 'Ended', value: utc(said.ended) },
        { name: 'Shares', value: `${said.threshold} of ${said.count} are needed` },
        { name: 'Set', value: said.set, mono: true },
        ...(said.replaced === undefined
          ? []
          : [{ name: 'Replaces the set', value: said.replaced, mono: true as const }]),
        { name: 'Root of trust', value: said.root, mono: true },
        { name: 'Ceremony', value: said.id, mono: true },
      ],
    },
    { type: 'heading', text: 'Who attended' },
    {
      type: 'table',
      columns: [
        { title: 'Name', share: 50 },
        { title: 'Role', share: 50 },
      ],
      rows: said.attended.map(({ name, role }) => [name, role]),
    },
    { type: 'heading', text: 'Shares' },
    {
      type: 'table',
      columns: [
        { title: 'Share', share: 8 },
        { title: 'Custodian and test', share: 42 },
        { title: 'Fingerprint', share: 50, mono: true },
      ],
      rows: said.fingerprints.map((fingerprint, i) => {
        const custodian = said.confirmed.find(({ index }) => index === i + 1);
        return [String(i + 1), custodian ? `${custodian.by}\n${tested[custodian.how]}` : '–', fingerprint];
      }),
    },
    { type: 'heading', text: 'Software' },
    {
      type: 'facts',
      facts: [
        { name: 'Trialkeep', value: software.trialkeep },
        { name: 'Node.js', value: software.node },
        ...Object.entries(software.digests).map(([name, value]) => ({ name, value, mono: true as const })),
      ],
    },
    { type: 'heading', text: 'Entry of the ledger' },
  ];
}

function isListOf(
  least: number,
  most: number,
  shape: Parameters<typeof hasShape>[1],
): (value: unknown) => boolean {
  return (value) =>
    Array.isArray(value) &&
    value.length >= least &&
    value.length <= most &&
    value.every((item) => hasShape(item, shape));
}

function isDigests(value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  const digests = Object.entries(value);
  return (
    digests.length >= 1 &&
    digests.length <= maxDigests &&
    digests.every(([name, digest]) => isLine(name) && isSha256Hex(digest))
  );
}

function isSet(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9A-HJKMNP-TV-Z]{8}$/.test(value);
}

function isShare(value: unknown): boolean {
  return isIndex(value) && (value as number) >= 1 && (value as number) <= maxShares;
}

function isOne(value: unknown): boolean {
  return value === 1;
}
