import { hasShape, isIndex, isTime, isUuid, type Check } from '@trialkeep/ledger';
import { named, utc, type Block } from '../blocks.ts';
import { isLine, isOneOf, isWord } from '../shape.ts';
import { isBound, isSentence, type AnswerBody } from './answer.ts';
import type { Kind, KindContext } from './kind.ts';

/** Most keys of one document. */
export const maxInventoryKeys = 5000;

/** A key as the ledger tells of it; null is what it does not tell. Times in ms since 1970. */
export type InventoryRow = {
  readonly algorithm: string | null;
  readonly createdAt: number;
  readonly description: string | null;
  readonly expiresAt: number | null;
  readonly id: string;
  readonly lastUse: number | null;
  readonly overdue: boolean;
  readonly purpose: string | null;
  readonly revokedAt: number | null;
  readonly rotationDueAt: number | null;
  readonly state: (typeof states)[number];
  readonly system: string;
  readonly version: number;
};

/** The keys that there were at a time, out of the ledger (docs/formats/evidence-document.md). */
export type InventoryBody = {
  readonly asOf: number;
  readonly bound: AnswerBody['bound'];
  readonly keys: readonly InventoryRow[];
  /** Entries that are of the time: those before this index. */
  readonly size: number;
  readonly statement: readonly string[];
  /** The one system whose keys these are, where it is of one. */
  readonly system: string | null;
  readonly v: 1;
};

const states = ['pre-activation', 'active', 'suspended', 'deactivated', 'compromised', 'destroyed'] as const;

const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const isText: Check = (value) => value === '' || isLine(value);
const isBoolean: Check = (value) => typeof value === 'boolean';
const isName: Check = (value) => typeof value === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(value);

const rowShape: Readonly<Record<keyof InventoryRow, Check>> = {
  algorithm: orNull(isName),
  createdAt: isTime,
  description: orNull(isText),
  expiresAt: orNull(isTime),
  id: isUuid,
  lastUse: orNull(isTime),
  overdue: isBoolean,
  purpose: orNull(isWord),
  revokedAt: orNull(isTime),
  rotationDueAt: orNull(isTime),
  state: isOneOf(...states),
  system: isUuid,
  version: isIndex,
};

/** The inventory of keys as of a time. */
export const inventoryKind: Kind<InventoryBody> = {
  title: 'Inventory of keys',
  requirements: ['URS-007'],

  isBody(value): value is InventoryBody {
    return hasShape(value, {
      asOf: isTime,
      bound: (bound) =>
        hasShape(bound, {
          checkpoint: (note) => typeof note === 'string' && note.length <= 1 << 20,
          first: isIndex,
          origin: isLine,
          root: isLine,
          size: isIndex,
        }),
      keys: (keys) =>
        Array.isArray(keys) &&
        keys.length <= maxInventoryKeys &&
        keys.every((row) => hasShape(row, rowShape)),
      size: isIndex,
      statement: (list) => Array.isArray(list) && list.length <= 20 && list.every(isSentence),
      system: orNull(isUuid),
      v: (v) => v === 1,
    });
  },

  listed: () => [],

  checkpoint: ({ bound }) => bound.checkpoint,

  contradictions({ asOf, bound, keys, size, system }, { origin }) {
    const found: string[] = [];
    if (!isBound(bound) || bound.origin !== origin) found.push('The bound is not that of its checkpoint.');
    if (size > bound.size) found.push('The keys are told from entries behind the checkpoint.');
    if (new Set(keys.map(({ id }) => id)).size !== keys.length) found.push('A key is listed twice.');
    for (const key of keys) {
      const isLate = [key.createdAt, key.lastUse, key.revokedAt].some((time) => time !== null && time > asOf);
      const isDue = key.state === 'active' && key.rotationDueAt !== null && key.rotationDueAt < asOf;
      if (isLate) found.push(`Key ${key.id} has a past behind the time of the inventory.`);
      if (isDue !== key.overdue) found.push(`Key ${key.id} is not overdue as its dates say.`);
      if (system !== null && key.system !== system) found.push(`Key ${key.id} is of another system.`);
    }
    return found;
  },

  render(body, context) {
    const { asOf, bound, keys, size, system } = body;
    const counts = states.flatMap((state) => {
      const count = keys.filter((key) => key.state === state).length;
      return count === 0 ? [] : [{ name: state, value: String(count) }];
    });
    const overdue = keys.filter((key) => key.overdue).length;
    return [
      { type: 'heading', text: 'What was asked' },
      {
        type: 'facts',
        facts: [
          { name: 'Keys as of', value: utc(asOf) },
          { name: 'Of system', value: system === null ? 'all' : named(context.names, system), mono: true },
        ],
      },
      { type: 'heading', text: 'The keys' },
      {
        type: 'facts',
        facts: [
          { name: 'Keys', value: String(keys.length) },
          ...counts,
          { name: 'overdue', value: String(overdue) },
        ],
      },
      ...(keys.length === 0 ? [] : [keyTable(keys, context)]),
      { type: 'heading', text: 'How far the inventory reaches' },
      {
        type: 'facts',
        facts: [
          { name: 'Log', value: bound.origin },
          { name: 'Entries looked at', value: `index 0 to ${size - 1}` },
          { name: 'Root of the log', value: bound.root, mono: true },
        ],
      },
    ];
  },

  proven: ({ statement }) => statement,
};

function keyTable(keys: readonly InventoryRow[], { names }: KindContext): Block {
  const day = (time: number | null): string => (time === null ? '–' : utc(time).slice(0, 10));
  return {
    type: 'table',
    columns: [
      { title: 'Key', share: 29, mono: true },
      { title: 'System', share: 23 },
      { title: 'What it is', share: 18 },
      { title: 'State', share: 14 },
      { title: 'Dates', share: 16 },
    ],
    rows: keys.map((key) => [
      `${key.id}\n${key.description ?? ''}`.trimEnd(),
      named(names, key.system),
      `${key.algorithm ?? 'not told'}\n${key.purpose ?? ''}\nversion ${key.version}`,
      `${key.state}${key.overdue ? '\noverdue' : ''}`,
      [
        `made ${day(key.createdAt)}`,
        `rotate ${day(key.rotationDueAt)}`,
        `used ${day(key.lastUse)}`,
        ...(key.expiresAt === null ? [] : [`expires ${day(key.expiresAt)}`]),
        ...(key.revokedAt === null ? [] : [`revoked ${day(key.revokedAt)}`]),
      ].join('\n'),
    ]),
  };
}
