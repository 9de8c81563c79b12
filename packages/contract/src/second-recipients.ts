import { Type } from 'typebox';
import { define } from './operation.ts';
import { closed, label, reason, sha256Hex, time, uuid } from './schemas.ts';

/** Second recipients of one tenant that are in force; each adds its own copy of a data key to a message, which has room for 16. */
export const maxSecondRecipients = 8;
/** What must be readable by a second recipient: whatever is in its scope, or only the class of data that an investigator controls. */
export const recipientCovers = ['investigator-controlled', 'all'] as const;
export const secondRecipientStates = ['registered', 'removed', 'lost'] as const;

const recipient = Type.Object(
  {
    id: uuid,
    name: label,
    recipientId: Type.Union([sha256Hex, Type.Null()], {
      description: 'To be compared with the holder by another way; null where it was lost',
    }),
    study: Type.Union([uuid, Type.Null()]),
    system: Type.Union([uuid, Type.Null()]),
    covers: Type.Enum(recipientCovers),
    state: Type.Enum(secondRecipientStates, {
      description:
        'lost: its public key went with the database; nothing that it covers is sealed until it is removed',
    }),
    registeredAt: time,
  },
  closed,
);

const changing = {
  method: 'POST',
  permission: 'keys:manage',
  effect: 'change',
  record: 'entry',
  reason: 'required',
  output: recipient,
  approval: { people: 2, withinDays: 7 },
  requirements: ['URS-010', 'URS-083'],
} as const;

/** Who, besides the server, can open data: so that no single party can make it unreadable. */
export const secondRecipientOperations = {
  'second-recipients.register': define({
    ...changing,
    id: 'second-recipients.register',
    summary: 'Demand that an independent party, such as the investigator, can open data without the server',
    path: '/v1/second-recipients',
    input: Type.Object(
      {
        name: label,
        recipient: Type.String({
          minLength: 1,
          maxLength: 16_384,
          description: "The party's public file: docs/formats/escrow-key.md",
        }),
        covers: Type.Enum(recipientCovers),
        study: Type.Optional(uuid),
        system: Type.Optional(uuid),
        reason,
      },
      closed,
    ),
    recorded: ['name', 'recipient', 'covers', 'study', 'system', 'reason'],
    errors: ['second_recipient.key_invalid', 'second_recipient.too_many', 'study.unknown', 'system.unknown'],
  }),
  'second-recipients.remove': define({
    ...changing,
    id: 'second-recipients.remove',
    summary: 'Demand no longer that this party can open data; it still opens what was sealed to it',
    path: '/v1/second-recipients/{recipient}/remove',
    input: Type.Object({ recipient: uuid, reason }, closed),
    recorded: ['recipient', 'reason'],
    errors: ['second_recipient.unknown', 'second_recipient.removed'],
  }),
  'second-recipients.list': define({
    id: 'second-recipients.list',
    summary: 'List who besides the server can open data, and what each covers',
    method: 'GET',
    path: '/v1/second-recipients',
    input: Type.Object({}, closed),
    output: Type.Object({ recipients: Type.Array(recipient) }, closed),
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-083'],
  }),
} as const;
