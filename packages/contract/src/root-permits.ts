import { Type } from 'typebox';
import { define } from './operation.ts';
import { closed, reason, time, uuid } from './schemas.ts';

/** What is done to roots of trust on the machine, by `trialkeep self root`. */
export const rootChanges = ['add-standby', 'activate', 'retire', 'replace'] as const;
export type RootChange = (typeof rootChanges)[number];

const permit = Type.Object(
  {
    id: uuid,
    change: Type.Enum(rootChanges),
    root: Type.Union([uuid, Type.Null()], {
      description: 'The root of trust that it is about, where that is there already',
    }),
    grantedAt: time,
    expiresAt: time,
    usedAt: Type.Union([time, Type.Null()]),
  },
  closed,
);

/** Dual control over changes of roots of trust, which are made offline. */
export const rootPermitOperations = {
  'roots.permit-change': define({
    id: 'roots.permit-change',
    summary: 'Permit one change of a root of trust to be made on the machine, within three days',
    method: 'POST',
    path: '/v1/root-permits',
    input: Type.Object({ change: Type.Enum(rootChanges), root: Type.Optional(uuid), reason }, closed),
    output: permit,
    permission: 'roots:manage',
    approval: { people: 2, withinDays: 7 },
    effect: 'change',
    record: 'entry',
    recorded: ['change', 'root', 'reason'],
    reason: 'required',
    errors: ['root_permit.root'],
    requirements: ['URS-009', 'URS-010'],
  }),
  'roots.list-permits': define({
    id: 'roots.list-permits',
    summary: 'List the changes of roots of trust that people have permitted, and which of them were made',
    method: 'GET',
    path: '/v1/root-permits',
    input: Type.Object({}, closed),
    output: Type.Object({ permits: Type.Array(permit) }, closed),
    permission: 'roots:manage',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-010'],
  }),
} as const;
