import { kindOfEntry } from '@trialkeep/contract';
import type { EntryKind } from '@trialkeep/contract';
import { parseCanonicalObject, isOperationId, isSha256Hex, isTime, isUuid } from '@trialkeep/ledger';
import { sdkError } from '../errors.ts';

/** What a client attests of a use (docs/formats/use-receipt.md). */
export interface Attested {
  readonly count: number;
  readonly recipient?: string;
  readonly sequence: number;
  /** By the client's clock, ms since 1970. */
  readonly time: number;
  readonly use: 'seal' | 'open';
}

/** One entry (docs/formats/ledger-entry.md), with the members that are read here; a later one may have more. */
export interface LedgerEntry {
  readonly actor?: string;
  readonly approval?: string;
  readonly attested?: Attested;
  readonly class?: string;
  readonly code?: string;
  readonly commitment: string;
  readonly credential?: string;
  readonly dataKey?: string;
  readonly entry: string;
  readonly hash?: string;
  readonly key?: string;
  readonly operation: string;
  readonly outcome: 'success' | 'refused' | 'failed' | 'requested';
  readonly payload: string;
  readonly person?: string;
  readonly purpose?: string;
  readonly reason?: string;
  readonly reporter?: string;
  readonly role?: string;
  readonly session?: string;
  readonly signature?: string;
  readonly source?: string;
  readonly state?: string;
  readonly study?: string;
  readonly subject?: string;
  readonly system?: string;
  /** ms since 1970, UTC. */
  readonly time: number;
  readonly v: 1;
  readonly version?: number;
}

/** An entry at its place in the log. */
export interface PlacedEntry {
  readonly index: number;
  readonly kind: EntryKind;
  readonly entry: LedgerEntry;
  /** Canonical JSON, as it is hashed. */
  readonly text: string;
}

type Check = (value: unknown) => boolean;
const matches =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
const isWord = matches(/^[a-z0-9][a-z0-9._:-]{0,127}$/);
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;

const required: Readonly<Record<string, Check>> = {
  commitment: isSha256Hex,
  entry: isUuid,
  operation: isOperationId,
  outcome: matches(/^(?:success|refused|failed|requested)$/),
  payload: isSha256Hex,
  time: isTime,
  v: (value) => value === 1,
};
const optional: Readonly<Record<string, Check>> = {
  actor: isUuid,
  approval: isUuid,
  attested: isAttested,
  class: isWord,
  code: isWord,
  credential: isUuid,
  dataKey: isSha256Hex,
  hash: isSha256Hex,
  key: isUuid,
  person: isUuid,
  purpose: isWord,
  reason: isWord,
  reporter: isSha256Hex,
  role: isWord,
  session: isUuid,
  signature: isSha256Hex,
  source: isUuid,
  state: isWord,
  study: isUuid,
  subject: matches(/^[0-9a-f]{32}$/),
  system: isUuid,
  version: isCount,
};

function isAttested(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { count, recipient, sequence, time, use } = value as Record<string, unknown>;
  return (
    isCount(count) &&
    isCount(sequence) &&
    isTime(time) &&
    (use === 'seal' || use === 'open') &&
    (recipient === undefined || matches(/^(?:[0-9a-f]{2}){16,32}$/)(recipient))
  );
}

/**
 * Reads an entry out of the log, strictly: canonical JSON whose members have their forms. Members that this version does not know stay
 * in the text, unread.
 *
 * @throws TrialkeepError `entry.malformed`
 */
export function parseEntry(index: number, text: string): PlacedEntry {
  const members = parseCanonicalObject(text);
  const wrong =
    members &&
    (Object.entries(required).find(([name, check]) => !check(members[name])) ??
      Object.entries(optional).find(
        ([name, check]) => Object.hasOwn(members, name) && !check(members[name]),
      ));
  if (members === undefined || wrong !== undefined) {
    throw sdkError('entry.malformed', { detail: `entry ${index}${wrong ? `, ${wrong[0]}` : ''}` });
  }
  const entry = members as unknown as LedgerEntry;
  return { index, kind: kindOfEntry(entry), entry, text };
}
