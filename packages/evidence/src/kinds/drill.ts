import {
  isJsonObject,
  parseCanonicalObject,
  type JsonObject,
  hasShape,
  isIndex,
  isTime,
  isUuid,
} from '@trialkeep/ledger';
import { utc } from '../blocks.ts';
import { entryTable } from '../entry-table.ts';
import { hex } from '../hex.ts';
import { isListing, type ListedEntry } from '../listed.ts';
import { isOneOf, isWord } from '../shape.ts';
import type { Kind } from './kind.ts';

export type DrillBody = {
  readonly begunAt: number;
  readonly endedAt: number;
  readonly entries: readonly ListedEntry[];
  /** Canonical JSON; its hash is on the last entry of the drill. */
  readonly record: string;
  readonly size: number;
};

/** What a drill wrote down of itself. */
type DrillRecord = {
  readonly boundSeconds: number;
  readonly drill: string;
  /** Where refusal was measured. */
  readonly measured: 'one-node';
  readonly scope: string;
  readonly state: 'passed' | 'failed';
  readonly steps: readonly DrillStep[];
  readonly v: 1;
};
type DrillStep = {
  readonly elapsedMs: number;
  readonly name: string;
  readonly outcome: 'passed' | 'failed';
  /** Why it failed, where that is known. */
  readonly code?: string;
};

const operation = 'revocations.drill';
const isCode = (value: unknown): boolean =>
  typeof value === 'string' && /^[a-z_]{1,40}\.[a-z_]{1,40}$/.test(value);
const maxSteps = 20;
const statement = [
  'The ledger holds the entries below at their indexes: what was made up for the drill, its use, its revocation, and how the drill ended.',
  'The record is the one whose hash the last entry holds. Times were measured by the server that did the drill.',
  'The drill used and revoked a system, a key and a credential that were made up for it: nothing real was revoked.',
  'Refusal was measured on one node, the server that did the drill; on no other. Entries are ordered for all: every server of the installation writes into this one ledger, and decides by the same database.',
];

/** What the steps are called for a reader. */
const stepNames: Readonly<Record<string, string>> = {
  make: 'System, key and credential made up',
  use: 'Key used through the API',
  revoke: 'Emergency revocation, until acknowledged',
  refused: 'Refused from the first request after the acknowledgement on',
  order: 'Nothing succeeds behind the revocation in the ledger',
  interrupted: 'The server that did the drill stopped',
};

/** The evidence of an emergency-revocation drill. */
export const drillKind: Kind<DrillBody> = {
  title: 'Emergency-revocation drill',
  requirements: ['URS-005', 'URS-004', 'URS-084'],
  isBody(value): value is DrillBody {
    const isRight = hasShape(value, {
      begunAt: isTime,
      endedAt: isTime,
      entries: Array.isArray,
      record: (text) => typeof text === 'string' && text.length <= 65_535 && recordOf(text) !== undefined,
      size: isIndex,
    });
    return isRight && isListing(value.entries, value.size as number);
  },

  listed: ({ entries }) => entries,

  contradictions({ begunAt, endedAt, entries, record }, { sha256 }) {
    const found: string[] = [];
    const said = readRecord(record);
    const hash = hex(sha256(new TextEncoder().encode(record)));
    const last = entries.map(({ entry }) => entry).findLast((entry) => entry.operation === operation);
    if (last?.hash !== hash) found.push('The record is not the one of the last entry.');
    if (last?.state !== said.state) found.push('The outcome is not the one of the last entry.');
    const isPassed = said.steps.length > 0 && said.steps.every(({ outcome }) => outcome === 'passed');
    if ((said.state === 'passed') !== isPassed) found.push('The outcome does not fit the steps.');
    if (endedAt < begunAt || last?.time !== endedAt) found.push('The times do not fit.');
    return found;
  },

  render({ begunAt, endedAt, entries, record }, context) {
    const { boundSeconds, drill, scope, state, steps } = readRecord(record);
    return [
      { type: 'heading', text: 'What was exercised' },
      {
        type: 'facts',
        facts: [
          { name: 'Drill', value: drill, mono: true },
          { name: 'Emergency revocation of a', value: scope },
          { name: 'Begun', value: utc(begunAt) },
          { name: 'Ended', value: utc(endedAt) },
          { name: 'Outcome', value: state },
          { name: 'Measured', value: 'on one node; entries are ordered for all' },
          {
            name: 'Data keys that were released before',
            value: `a client may use them for up to ${boundSeconds} s after a revocation`,
          },
        ],
      },
      { type: 'heading', text: 'Steps' },
      {
        type: 'table',
        columns: [
          { title: 'Step', share: 54 },
          { title: 'Took (ms)', share: 14 },
          { title: 'Outcome', share: 32 },
        ],
        rows: steps.map(({ name, elapsedMs, outcome, code }) => [
          stepNames[name] ?? name,
          String(elapsedMs),
          code === undefined ? outcome : `${outcome}: ${code}`,
        ]),
      },
      { type: 'heading', text: 'Entries of the ledger' },
      ...entryTable(entries, context.names),
    ];
  },

  proven: () => statement,
};

function readRecord(text: string): DrillRecord {
  const record = recordOf(text);
  if (record === undefined) throw new TypeError('The record was checked before.');
  return record as unknown as DrillRecord;
}

function recordOf(text: string): JsonObject | undefined {
  const value = parseCanonicalObject(text);
  const isRight =
    isJsonObject(value) &&
    hasShape(value, {
      boundSeconds: isIndex,
      drill: isUuid,
      measured: isOneOf('one-node'),
      scope: isOneOf('vendor', 'system', 'credential', 'key'),
      state: isOneOf('passed', 'failed'),
      steps: (steps) => Array.isArray(steps) && steps.length <= maxSteps && steps.every(isStep),
      v: (version) => version === 1,
    });
  return isRight ? value : undefined;
}

function isStep(value: unknown): boolean {
  const members = { elapsedMs: isIndex, name: isWord };
  return (
    hasShape(value, { ...members, outcome: isOneOf('passed') }) ||
    hasShape(value, { ...members, outcome: isOneOf('failed') }, { code: isCode })
  );
}
