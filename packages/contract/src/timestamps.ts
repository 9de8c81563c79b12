import { Type } from 'typebox';
import { define } from './operation.ts';
import { base64, closed, cursor, nextCursor, time } from './schemas.ts';

/** Longest token of an authority, bytes. */
const maxTokenBytes = 32_768;
/** Tokens on one page at most; each is a few kilobytes. */
const maxPageTokens = 100;

export const timestampOperations = {
  'timestamps.list': define({
    id: 'timestamps.list',
    summary: 'List the timestamps of authorities under checkpoints of the log (RFC 3161), the oldest first',
    method: 'GET',
    path: '/v1/ledger/timestamps',
    input: Type.Object(
      {
        cursor: Type.Optional(cursor),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maxPageTokens, default: 20 })),
      },
      closed,
    ),
    output: Type.Object(
      {
        timestamps: Type.Array(
          Type.Object(
            {
              size: Type.Integer({ description: 'Entries under the checkpoint' }),
              time,
              authority: Type.String({ description: 'URL that was asked' }),
              checkpoint: Type.String({ description: 'What was stamped, byte for byte' }),
              token: base64(maxTokenBytes, 'The token, in DER'),
            },
            closed,
          ),
        ),
        next: nextCursor,
      },
      closed,
    ),
    permission: 'ledger:read',
    effect: 'read',
    record: 'access-log',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-035'],
  }),
} as const;
