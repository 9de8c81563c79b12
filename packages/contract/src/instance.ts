import { Type } from 'typebox';
import { define } from './operation.ts';
import { closed, label, uuid } from './schemas.ts';

const tenant = Type.Object(
  {
    id: uuid,
    account: Type.String({
      pattern: '^[0-9]{12}$',
      description: 'Twelve digits, the account part of key names',
    }),
    name: label,
    origin: Type.String({ description: "The origin line of the tenant's ledger" }),
    verifierKey: Type.String({ description: 'The key that verifies its checkpoints, as a signed-note vkey' }),
  },
  closed,
);

export const instanceOperations = {
  'instance.status': define({
    id: 'instance.status',
    summary: 'Say whether the server is up, in which profile, and what its promises exclude',
    method: 'GET',
    path: '/v1/status',
    input: Type.Object({}, closed),
    output: Type.Object(
      {
        state: Type.Enum(['ready', 'recovery']),
        profile: Type.Enum(['evaluation', 'regulated']),
        version: Type.String(),
        rootOfTrust: Type.String(),
        limits: Type.Array(Type.String(), { description: 'What the present configuration cannot promise' }),
      },
      closed,
    ),
    permission: 'public',
    effect: 'read',
    record: 'access-log',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-080', 'URS-085'],
  }),
  'instance.openapi': define({
    id: 'instance.openapi',
    summary: 'Read the OpenAPI 3.1 document of this API',
    method: 'GET',
    path: '/openapi.json',
    input: Type.Object({}, closed),
    output: Type.Unknown(),
    permission: 'public',
    effect: 'read',
    record: 'access-log',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-070'],
  }),
  'tenants.create': define({
    id: 'tenants.create',
    summary: 'Make a tenant with its own key hierarchy, ledger and first custodian',
    method: 'POST',
    path: '/v1/tenants',
    input: Type.Object({ name: label }, closed),
    output: Type.Object(
      {
        tenant,
        custodian: Type.Object(
          { id: uuid, secret: Type.String({ description: 'The credential; shown this once' }) },
          closed,
        ),
      },
      closed,
    ),
    permission: 'tenants:manage',
    effect: 'change',
    record: 'entry',
    recorded: ['name'],
    reason: 'none',
    errors: ['tenant.exists'],
    requirements: ['URS-049'],
  }),
  'tenants.list': define({
    id: 'tenants.list',
    summary: 'List the tenants of this installation',
    method: 'GET',
    path: '/v1/tenants',
    input: Type.Object({}, closed),
    output: Type.Object({ tenants: Type.Array(tenant) }, closed),
    permission: 'tenants:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-049'],
  }),
} as const;
