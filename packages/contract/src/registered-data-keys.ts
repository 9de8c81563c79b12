import { Type } from 'typebox';
import { contextErrors, maxDataKeyCiphertextBytes } from './key-schemas.ts';
import { define } from './operation.ts';
import {
  base64,
  closed,
  cursor,
  encryptionContext,
  nextCursor,
  reason,
  sha256Hex,
  time,
  uuid,
} from './schemas.ts';

/** Data keys of one key that can be registered. */
export const maxRegisteredDataKeys = 10_000_000;
/** Data keys that one request registers, asks for, or takes out. */
export const maxDataKeysPerRequest = 1000;

/** What a run that wraps data keys anew can be in; the last four are for good. */
export const rewrapStates = ['running', 'paused', 'finished', 'cancelled', 'superseded', 'stopped'] as const;
export type RewrapState = (typeof rewrapStates)[number];

const references = Type.Array(sha256Hex, {
  minItems: 1,
  maxItems: maxDataKeysPerRequest,
  uniqueItems: true,
  description: 'SHA-256 of each data key as it was first wrapped',
});

/** A run that wraps the registered data keys of a key under one version of it. */
const rewrap = Type.Object(
  {
    id: uuid,
    key: uuid,
    version: Type.Integer({ description: 'The version that all become wrapped under' }),
    state: Type.Enum(rewrapStates),
    cause: Type.Union([Type.String(), Type.Null()], {
      description: 'The state of the key that stopped it; null where nothing did',
    }),
    total: Type.Integer({ description: 'Data keys that were registered when it began' }),
    rewrapped: Type.Integer(),
    passed: Type.Integer({ description: 'Already under the version' }),
    failed: Type.Integer({
      description: 'Not opened: the row was altered. Left as they are, and named in the ledger',
    }),
    lost: Type.Integer({
      description:
        'Under a version that is gone, or whose time to process is over. Left as they are, and named',
    }),
    perSecond: Type.Integer({ description: 'Looked at per second in which it was running' }),
    workers: Type.Integer({ description: 'Shares that are not at their end yet' }),
    hash: Type.Union([sha256Hex, Type.Null()], {
      description:
        'SHA-256 over the hashes of all batches, as the entry of its end has it; null before the end',
    }),
    begunAt: time,
    workedMs: Type.Integer({ description: 'How long it was running, ms; pauses do not count' }),
    endedAt: Type.Union([time, Type.Null()]),
  },
  closed,
);

const requirements = ['URS-003'] as const;
const keyErrors = [
  'key.unknown',
  'key.unusable',
  'key.revoked',
  'key.destruction_pending',
  'key.wrong_purpose',
  'tenant.sealed',
] as const;
const ofKey = {
  method: 'POST',
  permission: 'keys:process',
  record: 'entry',
  recorded: [],
  reason: 'none',
  requirements,
} as const;
const byCustodian = {
  method: 'POST',
  permission: 'keys:manage',
  effect: 'change',
  keepsEpoch: true,
  record: 'entry',
  recorded: ['reason'],
  reason: 'optional',
  output: rewrap,
  requirements,
} as const;
const ofRun = {
  ...byCustodian,
  input: Type.Object({ rewrap: uuid, reason: Type.Optional(reason) }, closed),
  errors: ['rewrap.unknown', 'rewrap.transition_undefined'],
} as const;
const reading = {
  method: 'GET',
  permission: 'keys:read',
  effect: 'read',
  record: 'entry',
  reason: 'none',
  requirements,
} as const;

/** Data keys that services have had registered, and wrapping them anew. */
export const registeredDataKeyOperations = {
  'data-keys.register': define({
    ...ofKey,
    id: 'data-keys.register',
    summary: 'Register wrapped data keys, so that they are wrapped anew after a rotation of their key',
    path: '/v1/keys/{key}/data-keys/register',
    input: Type.Object(
      {
        key: uuid,
        dataKeys: Type.Array(
          Type.Object(
            {
              ciphertext: base64(maxDataKeyCiphertextBytes, 'Wrapped data key'),
              context: Type.Optional(encryptionContext),
            },
            closed,
          ),
          { minItems: 1, maxItems: maxDataKeysPerRequest },
        ),
      },
      closed,
    ),
    maxBodyBytes: 4 * 1024 * 1024,
    output: Type.Object(
      {
        references: Type.Array(sha256Hex, { description: 'In the order of the data keys' }),
        added: Type.Integer({ description: 'Those that were not known yet' }),
      },
      closed,
    ),
    effect: 'change',
    keepsEpoch: true,
    errors: [
      ...keyErrors,
      ...contextErrors,
      'key.use_logged',
      'key.resident',
      'key.recipient_period_over',
      'ciphertext.invalid',
      'data_keys.too_many',
    ],
  }),
  'data-keys.current': define({
    ...ofKey,
    id: 'data-keys.current',
    summary: 'Give registered data keys as they are wrapped now',
    path: '/v1/keys/{key}/data-keys/current',
    input: Type.Object({ key: uuid, references, reason: Type.Optional(reason) }, closed),
    output: Type.Object(
      {
        dataKeys: Type.Array(
          Type.Object({ reference: sha256Hex, ciphertext: Type.String(), version: Type.Integer() }, closed),
          { description: 'Those that are registered' },
        ),
      },
      closed,
    ),
    effect: 'read',
    recorded: ['reason'],
    reason: 'optional',
    errors: [...keyErrors, 'reason.required'],
  }),
  'data-keys.forget': define({
    ...ofKey,
    id: 'data-keys.forget',
    summary: 'Take data keys out of the registry: what is sealed under them stays readable',
    path: '/v1/keys/{key}/data-keys/forget',
    input: Type.Object({ key: uuid, references, reason: Type.Optional(reason) }, closed),
    output: Type.Object({ removed: Type.Integer() }, closed),
    effect: 'change',
    keepsEpoch: true,
    recorded: ['reason'],
    reason: 'optional',
    errors: [...keyErrors, 'reason.required'],
  }),
  'data-keys.list': define({
    ...reading,
    id: 'data-keys.list',
    summary: 'List the registered data keys of a key by their hashes, a page at a time',
    path: '/v1/keys/{key}/data-keys/registered',
    input: Type.Object({ key: uuid, cursor: Type.Optional(cursor) }, closed),
    output: Type.Object(
      {
        registered: Type.Integer({ description: 'How many there are' }),
        dataKeys: Type.Array(
          Type.Object({ reference: sha256Hex, version: Type.Integer(), registeredAt: time }, closed),
        ),
        next: nextCursor,
      },
      closed,
    ),
    recorded: [],
    errors: ['key.unknown'],
  }),
  'rewraps.start': define({
    ...byCustodian,
    id: 'rewraps.start',
    summary: 'Wrap all registered data keys of a key under its present version',
    path: '/v1/rewraps',
    input: Type.Object({ key: uuid, reason: Type.Optional(reason) }, closed),
    errors: ['key.unknown', 'key.unusable', 'key.wrong_purpose'],
  }),
  'rewraps.pause': define({
    ...ofRun,
    id: 'rewraps.pause',
    summary: 'Let a rewrap rest: what it has done stays done',
    path: '/v1/rewraps/{rewrap}/pause',
  }),
  'rewraps.resume': define({
    ...ofRun,
    id: 'rewraps.resume',
    summary: 'Let a rewrap that rests go on where it was',
    path: '/v1/rewraps/{rewrap}/resume',
  }),
  'rewraps.cancel': define({
    ...ofRun,
    id: 'rewraps.cancel',
    summary: 'End a rewrap before its end: what it has done stays done',
    path: '/v1/rewraps/{rewrap}/cancel',
  }),
  'rewraps.list': define({
    ...reading,
    id: 'rewraps.list',
    summary: 'List the rewraps in the order in which they began, a page at a time',
    path: '/v1/rewraps',
    input: Type.Object({ key: Type.Optional(uuid), cursor: Type.Optional(cursor) }, closed),
    output: Type.Object({ rewraps: Type.Array(rewrap), next: nextCursor }, closed),
    recorded: ['key'],
    errors: [],
  }),
  'rewraps.show': define({
    ...reading,
    id: 'rewraps.show',
    summary: 'Show how far a rewrap has come, and its report once it has ended',
    path: '/v1/rewraps/{rewrap}',
    input: Type.Object({ rewrap: uuid }, closed),
    output: rewrap,
    recorded: [],
    errors: ['rewrap.unknown'],
  }),
} as const;
