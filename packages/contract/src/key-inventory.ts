import { Type } from 'typebox';
import { key, keyAlgorithms, keyProtections, keyStates, version } from './key-schemas.ts';
import { define } from './operation.ts';
import { closed, cursor, label, nextCursor, time, uuid } from './schemas.ts';

/** Most keys on one page of the inventory. */
export const maxInventoryPage = 1000;
/** What the inventory can be in the order of. Only keys that expire are in the order of `expires`. */
export const inventoryOrders = ['created', 'rotation-due', 'expires'] as const;
export type InventoryOrder = (typeof inventoryOrders)[number];

const index = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const days = Type.Integer({ minimum: 1, maximum: 3650 });
const limit = Type.Integer({ minimum: 1, maximum: maxInventoryPage, default: 100 });
const orNull = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);
const lastUse = Type.Union([Type.Object({ at: time, index }, closed), Type.Null()], {
  description:
    'The newest successful use that the ledger has of it, and the index of that entry; null: none, as far as the index has come',
});

const inventoryKey = Type.Object(
  {
    ...key.properties,
    tenant: uuid,
    systemName: label,
    vendor: Type.String({ description: 'Who owns the system that the key is for' }),
    module: Type.Object(
      {
        protection: Type.Enum(keyProtections, { description: 'Where the key material is when it is used' }),
        root: Type.String({ description: 'The kind of the root of trust that it is wrapped under' }),
        name: Type.Optional(
          Type.String({
            description: 'Manufacturer, model and version of the module that holds the root, or the key',
          }),
        ),
        token: Type.Optional(
          Type.String({ description: 'The token of the HSM that its newest version was made in' }),
        ),
      },
      closed,
    ),
    overdue: Type.Boolean({ description: 'Active, and its rotation was due before now' }),
    lastUse,
  },
  closed,
);

/** A key as the ledger alone tells of it. What stands only in payloads that cannot be read any more is null. */
const keyAsOf = Type.Object(
  {
    id: uuid,
    arn: Type.String(),
    tenant: uuid,
    system: uuid,
    description: orNull(Type.String()),
    algorithm: orNull(Type.String()),
    purpose: orNull(Type.String()),
    state: Type.Enum(keyStates),
    version: Type.Integer({ minimum: 1 }),
    createdAt: time,
    activatesAt: orNull(time),
    expiresAt: orNull(time),
    rotationPeriodDays: orNull(Type.Integer()),
    rotationDueAt: orNull(time),
    recipientPeriodDays: orNull(Type.Integer()),
    destructionDueAt: orNull(time),
    useLogged: Type.Boolean(),
    origin: Type.Enum(['generated', 'imported']),
    exportable: orNull(Type.Boolean()),
    protection: orNull(Type.Enum(keyProtections)),
    revocation: orNull(Type.Object({ cause: Type.String(), at: time }, closed)),
    overdue: Type.Boolean(),
    lastUse,
    told: Type.Boolean({
      description: 'Whether the payloads that tell its dates and algorithm could be read',
    }),
  },
  closed,
);

const bound = {
  origin: Type.String({ description: 'The log' }),
  size: Type.Integer({ minimum: 0, description: 'Entries that were looked at: those before this index' }),
};

/** What there is to know of the keys of a tenant. */
export const keyInventoryOperations = {
  'keys.list': define({
    id: 'keys.list',
    summary: 'List the keys a page at a time: owner, system, algorithm, state, dates and last use',
    method: 'GET',
    path: '/v1/keys',
    input: Type.Object({ system: Type.Optional(uuid), cursor: Type.Optional(cursor) }, closed),
    output: Type.Object({ keys: Type.Array(inventoryKey), ...bound, next: nextCursor }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: ['system'],
    reason: 'none',
    errors: [],
    requirements: ['URS-007'],
  }),
  'keys.show': define({
    id: 'keys.show',
    summary: 'Show one key with its versions',
    method: 'GET',
    path: '/v1/keys/{key}',
    input: Type.Object({ key: uuid }, closed),
    output: Type.Object({ key, versions: Type.Array(version) }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: ['key.unknown'],
    requirements: ['URS-007'],
  }),
  'inventory.find': define({
    id: 'inventory.find',
    summary: 'Find keys in the inventory by owner, state, dates and use, a page at a time',
    method: 'POST',
    path: '/v1/inventory',
    input: Type.Object(
      {
        system: Type.Optional(uuid),
        vendor: Type.Optional(label),
        study: Type.Optional(uuid),
        state: Type.Optional(Type.Enum(keyStates)),
        algorithm: Type.Optional(Type.Enum(keyAlgorithms)),
        purpose: Type.Optional(Type.String({ pattern: '^[a-z][a-z-]{0,31}$' })),
        overdue: Type.Optional(
          Type.Boolean({ description: 'Only keys whose rotation is overdue, or only others' }),
        ),
        useLogged: Type.Optional(Type.Boolean()),
        expiresWithinDays: Type.Optional(days),
        unusedSince: Type.Optional(
          Type.Integer({ ...time, description: 'Keys without a successful use at or after this time, ms' }),
        ),
        text: Type.Optional(label),
        order: Type.Optional(Type.Enum(inventoryOrders)),
        cursor: Type.Optional(cursor),
        limit: Type.Optional(limit),
      },
      closed,
    ),
    output: Type.Object({ keys: Type.Array(inventoryKey), ...bound, next: nextCursor }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: [
      'system',
      'vendor',
      'study',
      'state',
      'algorithm',
      'purpose',
      'overdue',
      'useLogged',
      'expiresWithinDays',
      'unusedSince',
      'text',
      'order',
    ],
    reason: 'none',
    errors: [],
    requirements: ['URS-007', 'URS-001'],
  }),
  'inventory.as-of': define({
    id: 'inventory.as-of',
    summary: 'Say what keys there were at a past time, out of the ledger alone, a page at a time',
    method: 'POST',
    path: '/v1/inventory/as-of',
    input: Type.Object(
      {
        asOf: time,
        system: Type.Optional(uuid),
        state: Type.Optional(Type.Enum(keyStates)),
        cursor: Type.Optional(cursor),
        limit: Type.Optional(limit),
      },
      closed,
    ),
    output: Type.Object({ asOf: time, keys: Type.Array(keyAsOf), ...bound, next: nextCursor }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: ['asOf', 'system', 'state'],
    reason: 'none',
    errors: ['inventory.future', 'inventory.before_ledger', 'inventory.archived', 'question.indexing'],
    requirements: ['URS-007', 'URS-001'],
  }),
} as const;
