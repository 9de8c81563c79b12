import { Type } from 'typebox';
import { define } from './operation.ts';
import type { Role } from './roles.ts';
import { instancePersonRoles, roles, tenantPersonRoles } from './roles.ts';
import { closed, label, login, oneTimeCode, password, reason, time, uuid } from './schemas.ts';

export const personStates = ['invited', 'active', 'left'] as const;

const heldRoles = Type.Array(Type.Enum([...tenantPersonRoles, ...instancePersonRoles]), {
  minItems: 1,
  maxItems: 10,
  uniqueItems: true,
  description: 'Roles that do not conflict with one another',
});
const person = Type.Object(
  {
    id: uuid,
    name: label,
    login,
    state: Type.Enum(personStates),
    roles: Type.Array(Type.Enum(Object.keys(roles) as Role[])),
    createdAt: time,
  },
  closed,
);
const session = Type.Object(
  {
    id: uuid,
    level: Type.Integer({
      minimum: 1,
      maximum: 3,
      description: 'Authentication assurance level (SP 800-63B): 2 is two independent factors',
    }),
    expiresAt: time,
  },
  closed,
);
const invitation = Type.Object(
  { secret: Type.String({ description: 'For the invited person alone; shown this once' }), expiresAt: time },
  closed,
);

const changed = { method: 'POST', effect: 'change', record: 'entry' } as const;

/** People: how they come in, prove who they are, and leave. */
export const peopleOperations = {
  'people.invite': define({
    ...changed,
    id: 'people.invite',
    summary: 'Invite one named person and say what they may do; the invitation is shown once',
    path: '/v1/people',
    input: Type.Object({ name: label, login, roles: heldRoles }, closed),
    output: Type.Object({ person, invitation }, closed),
    permission: 'people:manage',
    recorded: ['name', 'login', 'roles'],
    reason: 'none',
    errors: ['person.exists', 'person.generic_name', 'roles.conflict', 'roles.foreign'],
    requirements: ['URS-019', 'URS-020', 'URS-024'],
  }),
  'people.list': define({
    id: 'people.list',
    summary: 'List the people with their roles and states',
    method: 'GET',
    path: '/v1/people',
    input: Type.Object({}, closed),
    output: Type.Object({ people: Type.Array(person) }, closed),
    permission: 'people:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-021', 'URS-024'],
  }),
  'people.set-roles': define({
    ...changed,
    id: 'people.set-roles',
    summary: 'Give a person other roles; what the old ones allowed ends with the answer',
    path: '/v1/people/{person}/roles',
    input: Type.Object({ person: uuid, roles: heldRoles, reason }, closed),
    output: person,
    permission: 'people:manage',
    recorded: ['roles', 'reason'],
    reason: 'required',
    errors: ['person.unknown', 'person.self', 'person.left', 'roles.conflict', 'roles.foreign'],
    requirements: ['URS-004', 'URS-019', 'URS-020', 'URS-021'],
  }),
  'people.reinvite': define({
    ...changed,
    id: 'people.reinvite',
    summary: 'End what a person signs in with, lost or not, and invite them to set it up anew',
    path: '/v1/people/{person}/reinvite',
    input: Type.Object({ person: uuid, reason }, closed),
    output: Type.Object({ person, invitation }, closed),
    permission: 'people:manage',
    recorded: ['reason'],
    reason: 'required',
    errors: ['person.unknown', 'person.self', 'person.left'],
    requirements: ['URS-024', 'URS-028'],
  }),
  'people.leave': define({
    ...changed,
    id: 'people.leave',
    urgent: true,
    summary: 'End everything that a person may do, their sessions included',
    path: '/v1/people/{person}/leave',
    input: Type.Object({ person: uuid, reason }, closed),
    output: person,
    permission: 'people:manage',
    recorded: ['reason'],
    reason: 'required',
    errors: ['person.unknown', 'person.self'],
    requirements: ['URS-004', 'URS-024'],
  }),
  'enrolment.begin': define({
    ...changed,
    id: 'enrolment.begin',
    summary: 'Accept an invitation: get a generator of one-time codes, not yet in force',
    path: '/v1/enrolment',
    input: Type.Object({}, closed),
    output: Type.Object(
      {
        person,
        totp: Type.Object(
          {
            secret: Type.String({ description: 'Base32 (RFC 4648); shown this once' }),
            uri: Type.String({ description: 'otpauth:// address for authenticator apps' }),
          },
          closed,
        ),
      },
      closed,
    ),
    permission: 'enrolment',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-024', 'URS-026'],
  }),
  'enrolment.finish': define({
    ...changed,
    id: 'enrolment.finish',
    summary: 'Set a password and confirm the generator with a code of it; from then on both are needed',
    path: '/v1/enrolment/finish',
    input: Type.Object({ password, code: oneTimeCode }, closed),
    output: person,
    permission: 'enrolment',
    recorded: [],
    reason: 'none',
    errors: ['enrolment.not_begun', 'enrolment.code_wrong', 'password.weak'],
    requirements: ['URS-024', 'URS-025', 'URS-026'],
  }),
  'sessions.create': define({
    ...changed,
    id: 'sessions.create',
    urgent: true,
    summary: 'Sign in with password and one-time code; the session is shown once',
    path: '/v1/sessions',
    input: Type.Object(
      {
        tenant: Type.Optional(uuid),
        login,
        password,
        code: oneTimeCode,
      },
      closed,
    ),
    output: Type.Object({ session, secret: Type.String({ description: 'Shown this once' }), person }, closed),
    permission: 'sign-in',
    recorded: [],
    reason: 'none',
    errors: ['auth.failed', 'auth.locked'],
    requirements: ['URS-024', 'URS-026', 'URS-027'],
  }),
  'sessions.current': define({
    id: 'sessions.current',
    summary: 'Say who is signed in, with which roles, and until when',
    method: 'GET',
    path: '/v1/sessions/current',
    input: Type.Object({}, closed),
    output: Type.Object({ session, person }, closed),
    permission: 'self',
    effect: 'read',
    record: 'access-log',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-024'],
  }),
  'sessions.end': define({
    ...changed,
    id: 'sessions.end',
    summary: 'Sign out',
    path: '/v1/sessions/end',
    input: Type.Object({}, closed),
    output: session,
    permission: 'self',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-024', 'URS-027'],
  }),
} as const;
