import { Type } from 'typebox';
import { comparedMembers, conditions } from './conditions.ts';
import { define } from './operation.ts';
import { closed, cursor, nextCursor, uuid } from './schemas.ts';

const index = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Position in the log, from 0',
});

export const ledgerOperations = {
  'ledger.query': define({
    id: 'ledger.query',
    summary:
      'Ask the ledger: entries by subject, device, key, actor, operation, outcome, study, purpose, class, time and more',
    method: 'POST',
    path: '/v1/ledger/query',
    input: Type.Object(
      {
        ...conditions,
        cursor: Type.Optional(cursor),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
      },
      closed,
    ),
    output: Type.Object(
      {
        entries: Type.Array(
          Type.Object({ index, entry: Type.String({ description: 'Canonical JSON, as hashed' }) }, closed),
        ),
        next: nextCursor,
        size: Type.Integer({ description: 'The answer is complete up to this log size' }),
      },
      closed,
    ),
    permission: 'ledger:read',
    effect: 'read',
    record: 'entry',
    recorded: [...comparedMembers, 'device', 'kinds', 'from', 'to', 'cursor', 'limit'],
    reason: 'none',
    errors: ['question.times'],
    requirements: ['URS-032', 'URS-038', 'URS-039'],
  }),
  'ledger.payload': define({
    id: 'ledger.payload',
    summary: "Open one entry's payload: free text, full context, old and new values, network details",
    method: 'GET',
    path: '/v1/ledger/payloads/{entry}',
    input: Type.Object({ entry: uuid }, closed),
    output: Type.Object({ index, payload: Type.Unknown(), commitment: Type.String() }, closed),
    permission: 'ledger:read',
    effect: 'read',
    record: 'entry',
    recorded: ['entry'],
    reason: 'none',
    errors: [
      'entry.unknown',
      'payload.withheld',
      'payload.erased',
      'tenant.root_refused',
      'tenant.root_unreachable',
    ],
    requirements: ['URS-032', 'URS-037'],
  }),
  'ledger.checkpoint': define({
    id: 'ledger.checkpoint',
    summary: 'Sign and read the newest checkpoint of the log (C2SP tlog-checkpoint)',
    method: 'GET',
    path: '/v1/ledger/checkpoint',
    input: Type.Object({}, closed),
    output: Type.String(),
    produces: 'text',
    permission: 'ledger:read',
    effect: 'read',
    record: 'access-log',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-033'],
  }),
  'ledger.verifier-key': define({
    id: 'ledger.verifier-key',
    summary: "Read the keys that sign the log's checkpoints now, a signed-note vkey on each line",
    method: 'GET',
    path: '/v1/ledger/verifier-key',
    input: Type.Object({}, closed),
    output: Type.String(),
    produces: 'text',
    permission: 'ledger:read',
    effect: 'read',
    record: 'access-log',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-033'],
  }),
  'ledger.tile': define({
    id: 'ledger.tile',
    summary: 'Read a tile or an entry bundle of the log (C2SP tlog-tiles)',
    method: 'GET',
    path: '/v1/ledger/tile/{path*}',
    input: Type.Object(
      {
        path: Type.String({
          maxLength: 100,
          pattern: '^(?:entries|[0-9]{1,2})/[x0-9/]+(?:\\.p/[0-9]{1,3})?$',
        }),
      },
      closed,
    ),
    output: Type.String({ contentEncoding: 'binary' }),
    produces: 'bytes',
    immutable: true,
    permission: 'ledger:read',
    effect: 'read',
    record: 'access-log',
    recorded: [],
    reason: 'none',
    errors: ['tile.unknown'],
    requirements: ['URS-033', 'URS-039'],
  }),
} as const;
