import { Type } from 'typebox';
import type { Static } from 'typebox';
import { alias, closed, time, uuid } from './schemas.ts';

/**
 * How a request ended: it did what was asked; it was not allowed; it was allowed and could not be done; it was kept until people
 * approve it.
 */
export const outcomes = ['success', 'refused', 'failed', 'requested'] as const;

/** What an entry says about key material and plaintext; each entry has exactly one kind (docs/formats/answer.md). */
export const entryKinds = [
  'key-released',
  'decryption-observed',
  'decryption-attested',
  'encryption-observed',
  'encryption-attested',
  'use-denied',
  'other',
] as const;
export type EntryKind = (typeof entryKinds)[number];

/** What the kinds go by: what a key did, and what the success of it is. */
const kindsOfUses: Readonly<Record<string, EntryKind | undefined>> = {
  'keys.generate-data-key': 'key-released',
  'keys.decrypt-data-key': 'key-released',
  'keys.generate-data-key-pair': 'key-released',
  'keys.derive-shared-secret': 'key-released',
  'keys.decapsulate': 'key-released',
  'keys.decrypt': 'decryption-observed',
  'keys.re-encrypt': 'decryption-observed',
  'keys.encrypt': 'encryption-observed',
  'keys.generate-wrapped-data-key': 'encryption-observed',
  'keys.generate-wrapped-data-key-pair': 'encryption-observed',
};

/** The kind of an entry, by the members of it that decide. */
export function kindOfEntry(entry: {
  readonly operation: string;
  readonly outcome: string;
  readonly attested?: { readonly use: string } | undefined;
  readonly source?: string | undefined;
}): EntryKind {
  const { operation, outcome, attested, source } = entry;
  const isReport = operation === 'uses.report';
  const kind = Object.hasOwn(kindsOfUses, operation) ? kindsOfUses[operation] : undefined;
  if (!isReport && kind === undefined) return 'other';
  if (outcome !== 'success') return 'use-denied';
  // The second entry of a re-encryption, of the key that it encrypts under.
  if (operation === 'keys.re-encrypt' && source !== undefined) return 'encryption-observed';
  if (kind !== undefined) return kind;
  if (attested?.use === 'open') return 'decryption-attested';
  return attested?.use === 'seal' ? 'encryption-attested' : 'other';
}

/** Ranges of time relative to the question's, UTC (docs/formats/answer.md). */
export const periods = [
  'today',
  'yesterday',
  'this-week',
  'last-week',
  'this-month',
  'last-month',
  'last-7-days',
  'last-30-days',
  'last-90-days',
  'this-year',
  'last-year',
] as const;
export type Period = (typeof periods)[number];

const dayMs = 86_400_000;

/** What a period comes to at a time: from the first moment of it to the first behind it, ms since 1970. */
export function rangeOfPeriod(period: Period, at: number): { from: number; to: number } {
  const now = new Date(at);
  const today = Math.floor(at / dayMs) * dayMs;
  const year = now.getUTCFullYear();
  const month = (offset: number): number => Date.UTC(year, now.getUTCMonth() + offset, 1);
  // 1 January 1970 was a Thursday.
  const week = today - ((today / dayMs + 3) % 7) * dayMs;
  const days = (count: number) => ({ from: today - count * dayMs, to: today });
  const ranges: Readonly<Record<Period, { from: number; to: number }>> = {
    today: { from: today, to: today + dayMs },
    yesterday: days(1),
    'this-week': { from: week, to: week + 7 * dayMs },
    'last-week': { from: week - 7 * dayMs, to: week },
    'this-month': { from: month(0), to: month(1) },
    'last-month': { from: month(-1), to: month(0) },
    'last-7-days': days(7),
    'last-30-days': days(30),
    'last-90-days': days(90),
    'this-year': { from: Date.UTC(year, 0, 1), to: Date.UTC(year + 1, 0, 1) },
    'last-year': { from: Date.UTC(year - 1, 0, 1), to: Date.UTC(year, 0, 1) },
  };
  const { from, to } = ranges[period];
  return { from: Math.max(0, from), to: Math.max(0, to) };
}

/** What an answer proves, and what not: the `statement` of every answer of version 1. */
export const answerStatement: readonly string[] = [
  "Every entry of the log within the bound, from the first that is not archived up to the size, that meets the question is listed, and no other: whoever has the log's files can scan them and compare.",
  'The log holds against later tampering: entries that were changed, dropped, inserted or reordered do not lead to the root of the bound.',
  'It does not hold against a server that wrote something false, or nothing, when it happened.',
  'A released data key can have opened everything under it, as long as its holder kept it; what was opened shows only where uses are reported.',
  'What is attested is the word of the client whose key signed the receipt; what is observed was done by the server itself.',
  'Whether the checkpoint belongs to the one history that everybody is shown is proven by checkpoints kept elsewhere and by witnesses, not by the answer.',
];

const contextWord = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' });

/** The conditions that compare one member of the entry. */
const equalities = {
  subject: Type.Optional(alias),
  class: Type.Optional(contextWord),
  purpose: Type.Optional(contextWord),
  key: Type.Optional(uuid),
  operation: Type.Optional(Type.String({ maxLength: 64, pattern: '^[a-z-]+\\.[a-z-]+$' })),
  outcome: Type.Optional(Type.Enum(outcomes)),
  study: Type.Optional(uuid),
  system: Type.Optional(uuid),
  actor: Type.Optional(uuid),
  approval: Type.Optional(uuid),
  person: Type.Optional(uuid),
  credential: Type.Optional(uuid),
};
/** The members of an entry that a question can compare. */
export const comparedMembers = Object.keys(equalities) as readonly (keyof typeof equalities)[];

/** Every condition that a question of the ledger can have. */
export const conditions = {
  ...equalities,
  device: Type.Optional(uuid),
  kinds: Type.Optional(
    Type.Array(Type.Enum(entryKinds), { minItems: 1, maxItems: entryKinds.length, uniqueItems: true }),
  ),
  from: Type.Optional(time),
  to: Type.Optional(time),
};
/** Conditions, and times relative to when it is asked. */
export const questionFields = { ...conditions, period: Type.Optional(Type.Enum(periods)) };
export const question = Type.Object(questionFields, closed);
export const conditionsObject = Type.Object(conditions, closed);
export type Conditions = Static<typeof conditionsObject>;
export type Question = Static<typeof question>;
