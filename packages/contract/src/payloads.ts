import { Type } from 'typebox';
import { define } from './operation.ts';
import { base64, closed, reason, uuid } from './schemas.ts';

/** How a payload reads: docs/formats/ledger-entry.md. */
export const payloadStates = ['open', 'erased', 'redacted', 'withheld'] as const;

/** Payloads that one request opens or redacts, at most. */
export const maxPayloadsOpened = 64;
export const maxPayloadsRedacted = 100;

const index = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** What lies encrypted beside the ledger's entries. */
export const payloadOperations = {
  'payloads.open': define({
    id: 'payloads.open',
    summary:
      'Open the payloads of a run of entries, each with what shows that it is the one committed to, or why it does not open',
    method: 'POST',
    path: '/v1/payloads/open',
    input: Type.Object(
      { first: index, count: Type.Integer({ minimum: 1, maximum: maxPayloadsOpened }) },
      closed,
    ),
    output: Type.Object(
      {
        payloads: Type.Array(
          Type.Object(
            {
              index,
              entry: uuid,
              state: Type.Enum(payloadStates),
              content: Type.Union([Type.String(), Type.Null()], {
                description: 'JSON, byte for byte as it was committed to; null unless open',
              }),
              blinding: Type.Union([base64(32, 'The key of the commitment'), Type.Null()]),
            },
            closed,
          ),
        ),
      },
      closed,
    ),
    permission: 'ledger:read',
    effect: 'read',
    record: 'entry',
    recorded: ['first', 'count'],
    reason: 'none',
    errors: [],
    requirements: ['URS-032', 'URS-037'],
  }),
  'payloads.redact': define({
    id: 'payloads.redact',
    summary:
      'Remove the payloads of entries because they hold what should never have been there; the entries stay',
    method: 'POST',
    path: '/v1/payloads/redact',
    input: Type.Object(
      {
        entries: Type.Array(uuid, { minItems: 1, maxItems: maxPayloadsRedacted, uniqueItems: true }),
        reason,
      },
      closed,
    ),
    output: Type.Object({ redacted: Type.Integer() }, closed),
    permission: 'payloads:redact',
    approval: { people: 2, withinDays: 7 },
    effect: 'change',
    record: 'entry',
    recorded: ['entries', 'reason'],
    reason: 'required',
    errors: ['entry.unknown', 'payload.kept', 'payload.redacted', 'payload.withheld'],
    requirements: ['URS-010', 'URS-037'],
  }),
} as const;
