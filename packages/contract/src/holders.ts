import { Type } from 'typebox';
import { define } from './operation.ts';
import { thing } from './holds.ts';
import { closed, label, reason, time, uuid } from './schemas.ts';

/** The kinds of places that have keys, or copies of the store of keys to forget. */
export const holderKinds = ['backup', 'site', 'mirror', 'escrow', 'client-cache', 'export', 'node'] as const;
export type HolderKind = (typeof holderKinds)[number];
/** Which keys a place has: all of the tenant (of every tenant, where the instance registered it), or those of one thing. */
export const holderAbouts = ['all', 'study', 'subject', 'key'] as const;
export type HolderAbout = (typeof holderAbouts)[number];

const holder = Type.Object(
  {
    id: uuid,
    kind: Type.Enum(holderKinds),
    name: Type.String(),
    contact: Type.String({ description: 'Who answers for it' }),
    about: Type.Enum(holderAbouts),
    thing: Type.Union([Type.String(), Type.Null()], {
      description: 'Id of the study or key, or alias of the subject; null where it has all',
    }),
    scope: Type.Enum(['tenant', 'instance'], { description: 'Whose keys it has where it has all' }),
    state: Type.Enum(['registered', 'expired', 'ended'], {
      description:
        'expired: what it had is gone by its date; ended: somebody attested that it has nothing any more',
    }),
    registeredAt: time,
    expiresAt: Type.Union([time, Type.Null()]),
  },
  closed,
);

/** The registry of every place that has keys: an erasure is complete when none of them has the key any more. */
export const holderOperations = {
  'holders.register': define({
    id: 'holders.register',
    summary: 'Register a place that has keys, or a copy of the store of keys to forget',
    method: 'POST',
    path: '/v1/holders',
    input: Type.Object(
      {
        kind: Type.Enum(holderKinds),
        name: label,
        contact: label,
        ...thing,
        expiresAt: Type.Optional(time),
      },
      closed,
    ),
    output: holder,
    permission: 'holders:manage',
    effect: 'change',
    keepsEpoch: true,
    record: 'entry',
    recorded: ['kind', 'name', 'contact', 'study', 'subject', 'key', 'expiresAt'],
    reason: 'none',
    errors: [
      'study.unknown',
      'subject.unknown',
      'key.unknown',
      'hold.several_things',
      'holder.too_many',
      'date.past',
    ],
    requirements: ['URS-006'],
  }),
  'holders.attest': define({
    id: 'holders.attest',
    summary: 'Attest that a place has the key of a thing no more, or no key at all where none is named',
    method: 'POST',
    path: '/v1/holders/{holder}/attest',
    input: Type.Object({ holder: uuid, ...thing, reason }, closed),
    output: holder,
    permission: 'holders:manage',
    personOnly: true,
    effect: 'change',
    keepsEpoch: true,
    record: 'entry',
    recorded: ['holder', 'study', 'subject', 'key', 'reason'],
    reason: 'required',
    errors: [
      'holder.unknown',
      'holder.ended',
      'holder.key_in_use',
      'study.unknown',
      'subject.unknown',
      'key.unknown',
      'hold.several_things',
    ],
    requirements: ['URS-006'],
  }),
  'holders.list': define({
    id: 'holders.list',
    summary: 'List the places that have keys of the tenant',
    method: 'GET',
    path: '/v1/holders',
    input: Type.Object({}, closed),
    output: Type.Object({ holders: Type.Array(holder) }, closed),
    permission: 'holders:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-006'],
  }),
} as const;

/** Places that one tenant, or the instance, registers at most. */
export const maxHolders = 1000;
