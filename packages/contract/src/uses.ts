import { Type } from 'typebox';
import { define } from './operation.ts';
import { alias, closed, sha256Hex, time, uuid } from './schemas.ts';

/** What a client attests of one use of a data key (docs/formats/use-receipt.md). */
const use = Type.Object(
  {
    use: Type.Enum(['seal', 'open']),
    key: Type.Optional(uuid),
    recipient: Type.Optional(
      Type.String({
        pattern: '^(?:[0-9a-f]{2}){16,32}$',
        description: 'In the place of a key: id of the escrow recipient',
      }),
    ),
    dataKey: sha256Hex,
    study: Type.Optional(uuid),
    subject: Type.Optional(alias),
    class: Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' })),
    purpose: Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' })),
    count: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description: 'How many equal uses this stands for',
    }),
    time,
  },
  closed,
);
const sequence = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

export const useOperations = {
  'uses.report': define({
    id: 'uses.report',
    summary: 'Bring receipts of uses that happened at the client: an entry for each, once',
    method: 'POST',
    path: '/v1/uses',
    input: Type.Object(
      {
        reporter: Type.String({
          pattern: '^[0-9a-f]{64}$',
          description: "The reporter's Ed25519 public key",
        }),
        first: sequence,
        previous: sha256Hex,
        uses: Type.Array(use, { minItems: 1, maxItems: 1000 }),
        signature: Type.String({ pattern: '^[0-9a-f]{128}$', description: 'Ed25519, over all of it' }),
      },
      closed,
    ),
    maxBodyBytes: 512 * 1024,
    output: Type.Object(
      {
        acknowledged: Type.Integer({
          description: 'Receipts up to this sequence are in the ledger, or in a gap',
        }),
      },
      closed,
    ),
    permission: 'uses:report',
    effect: 'change',
    keepsEpoch: true,
    record: 'entry',
    recorded: ['reporter', 'first', 'previous', 'signature'],
    reason: 'none',
    errors: [
      'key.unknown',
      'receipts.invalid',
      'receipts.foreign_use',
      'receipts.foreign_reporter',
      'receipts.forked',
      'receipts.in_gap',
    ],
    requirements: ['URS-032', 'URS-038'],
  }),
} as const;
