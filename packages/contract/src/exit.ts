import { Type } from 'typebox';
import { define } from './operation.ts';
import { closed, reason, sha256Hex, time, uuid } from './schemas.ts';

export const exitStates = [
  'copying',
  'copied',
  'confirmed',
  'waiting',
  'cancelled',
  'shredding',
  'shredded',
] as const;
export type ExitState = (typeof exitStates)[number];

const exit = Type.Object(
  {
    exit: uuid,
    state: Type.Enum(exitStates, {
      description:
        'copying; copied: the manifest is made; confirmed: the recipient has opened all of it; waiting: its keys go when that is due; shredding, shredded',
    }),
    uses: Type.Enum(['process', 'none'], {
      description: 'Whether keys still open what they protected; until shredding',
    }),
    recipient: Type.String({ description: 'Id of the escrow key, 64 hexadecimal digits' }),
    pages: Type.Integer({ minimum: 0 }),
    manifest: Type.Union([sha256Hex, Type.Null()]),
    dueAt: Type.Union([time, Type.Null()]),
    changedAt: time,
  },
  closed,
);

const changed = {
  output: exit,
  permission: 'keys:manage',
  method: 'POST',
  effect: 'change',
  record: 'entry',
} as const;

/** The leaving of a tenant: a complete copy out, verified by who gets it, and only then the destruction of its keys. */
export const exitOperations = {
  'tenants.exit': define({
    ...changed,
    id: 'tenants.exit',
    summary:
      'Begin to leave: nothing is changed or protected any more, and a complete copy can be taken, sealed to an escrow key',
    path: '/v1/exit',
    input: Type.Object(
      {
        recipient: Type.String({
          minLength: 1,
          maxLength: 16_384,
          description: 'The public file of the escrow key',
        }),
        uses: Type.Optional(Type.Enum(['process', 'none'], { description: '`process` by default' })),
        reason,
      },
      closed,
    ),
    approval: { people: 2, withinDays: 7 },
    recorded: ['recipient', 'uses', 'reason'],
    reason: 'required',
    errors: ['exit.state', 'exit.recipient_invalid'],
    requirements: ['URS-010', 'URS-050'],
  }),
  'tenants.exit-state': define({
    id: 'tenants.exit-state',
    summary: 'Say how far the leaving of the tenant is',
    method: 'GET',
    path: '/v1/exit',
    input: Type.Object({}, closed),
    output: exit,
    permission: 'keys:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: ['exit.unknown'],
    requirements: ['URS-050'],
  }),
  'tenants.copy-exit': define({
    ...changed,
    id: 'tenants.copy-exit',
    summary: 'Take the next page of the copy, sealed to the escrow key; behind the last, the manifest',
    path: '/v1/exit/{exit}/pages',
    input: Type.Object(
      {
        exit: uuid,
        page: Type.Integer({ minimum: 0, maximum: 65_536, description: '0 begins anew' }),
      },
      closed,
    ),
    output: Type.Object(
      {
        page: Type.Union([Type.String({ description: 'Sealed, base64' }), Type.Null()]),
        manifest: Type.Union([Type.String(), Type.Null()], { description: 'Behind the last page' }),
      },
      closed,
    ),
    recorded: ['exit', 'page'],
    reason: 'none',
    errors: ['exit.unknown', 'exit.state', 'exit.page', 'exit.too_large'],
    requirements: ['URS-050'],
  }),
  'tenants.confirm-exit': define({
    ...changed,
    id: 'tenants.confirm-exit',
    summary:
      'Show, with the receipt that only who opens every page can make, that the copy is whole and opens',
    path: '/v1/exit/{exit}/confirm',
    input: Type.Object(
      {
        exit: uuid,
        opened: sha256Hex,
        signature: Type.String({ pattern: '^[A-Za-z0-9+/]{86}==$', description: 'Ed25519, base64' }),
      },
      closed,
    ),
    recorded: ['exit', 'opened', 'signature'],
    reason: 'none',
    errors: ['exit.unknown', 'exit.state', 'exit.receipt_wrong'],
    requirements: ['URS-050'],
  }),
  'tenants.shred': define({
    ...changed,
    id: 'tenants.shred',
    summary: 'Have every key of the tenant destroyed after a waiting period, once the copy is confirmed',
    path: '/v1/exit/{exit}/shred',
    input: Type.Object(
      {
        exit: uuid,
        waitingDays: Type.Optional(
          Type.Integer({ minimum: 7, maximum: 30, description: 'From the approval on; 30 by default' }),
        ),
        reason,
      },
      closed,
    ),
    approval: { people: 2, withinDays: 7 },
    recorded: ['exit', 'waitingDays', 'reason'],
    reason: 'required',
    errors: ['exit.unknown', 'exit.state', 'hold.applies'],
    requirements: ['URS-006', 'URS-010', 'URS-050'],
  }),
  'tenants.cancel-exit': define({
    ...changed,
    id: 'tenants.cancel-exit',
    urgent: true,
    summary: 'Stay: call the leaving off, at any time before the keys go',
    path: '/v1/exit/{exit}/cancel',
    input: Type.Object({ exit: uuid, reason }, closed),
    recorded: ['exit', 'reason'],
    reason: 'required',
    errors: ['exit.unknown', 'exit.state'],
    requirements: ['URS-050'],
  }),
} as const;
