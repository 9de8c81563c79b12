import { Type } from 'typebox';
import { define } from './operation.ts';
import { alias, closed, reason, time, uuid } from './schemas.ts';

/** What a hold keeps from being destroyed or erased. */
export const holdAbouts = ['tenant', 'study', 'subject', 'key'] as const;
export type HoldAbout = (typeof holdAbouts)[number];
/** retention: by rule, until a date; legal: until people end it. */
export const holdKinds = ['retention', 'legal'] as const;
export type HoldKind = (typeof holdKinds)[number];

/** What it is about: the whole tenant where none of these is named. */
export const thing = {
  study: Type.Optional(uuid),
  subject: Type.Optional(alias),
  key: Type.Optional(uuid),
};

const hold = Type.Object(
  {
    id: uuid,
    about: Type.Enum(holdAbouts),
    thing: Type.String({ description: 'Id of the tenant, study or key, or alias of the subject' }),
    kind: Type.Enum(holdKinds),
    until: Type.Union([time, Type.Null()], { description: 'null: until it is released' }),
    state: Type.Enum(['placed', 'ended', 'released'], {
      description: 'ended: its date has passed; released: people ended it before',
    }),
    placedAt: time,
    placedBy: Type.Union([Type.String(), Type.Null()]),
  },
  closed,
);

/** Holds: what must not be destroyed or erased, and until when. */
export const holdOperations = {
  'holds.place': define({
    id: 'holds.place',
    summary: 'Keep a key, subject, study or the whole tenant from being destroyed or erased',
    method: 'POST',
    path: '/v1/holds',
    input: Type.Object(
      {
        ...thing,
        kind: Type.Enum(holdKinds),
        until: Type.Optional(
          Type.Integer({ ...time, description: 'When it ends by itself; required for retention' }),
        ),
        reason,
      },
      closed,
    ),
    output: hold,
    permission: 'holds:place',
    effect: 'change',
    record: 'entry',
    recorded: ['study', 'subject', 'key', 'kind', 'until', 'reason'],
    reason: 'required',
    errors: [
      'study.unknown',
      'subject.unknown',
      'key.unknown',
      'hold.until',
      'key.unusable',
      'hold.several_things',
      'hold.too_many',
      'date.past',
    ],
    requirements: ['URS-006'],
  }),
  'holds.release': define({
    id: 'holds.release',
    summary: 'End a hold before its date, so that what it kept may be destroyed',
    method: 'POST',
    path: '/v1/holds/{hold}/release',
    input: Type.Object({ hold: uuid, reason }, closed),
    output: hold,
    permission: 'holds:release',
    approval: { people: 2, withinDays: 7 },
    effect: 'change',
    record: 'entry',
    recorded: ['hold', 'reason'],
    reason: 'required',
    errors: ['hold.unknown', 'hold.ended'],
    requirements: ['URS-006', 'URS-010'],
  }),
  'holds.list': define({
    id: 'holds.list',
    summary: 'List the holds of the tenant that keep something now, and those that did',
    method: 'GET',
    path: '/v1/holds',
    input: Type.Object({ state: Type.Optional(Type.Enum(['placed', 'all'])) }, closed),
    output: Type.Object({ holds: Type.Array(hold) }, closed),
    permission: 'holds:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-006'],
  }),
} as const;

/** Holds of one tenant that keep something at once. */
export const maxHolds = 10_000;
