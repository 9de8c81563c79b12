import { Type } from 'typebox';
import { define, signatureMeanings } from './operation.ts';
import { closed, cursor, nextCursor, reason, sha256Hex, signatureComponents, time, uuid } from './schemas.ts';

/** `expired` follows from the date; the others are stored. */
export const approvalStates = [
  'pending',
  'approved',
  'executed',
  'denied',
  'cancelled',
  'expired',
  'failed',
] as const;

const vote = Type.Object(
  {
    person: uuid,
    decision: Type.Enum(['approve', 'deny']),
    votedAt: time,
    signature: Type.String({ description: 'Id of the electronic signature' }),
  },
  closed,
);
const approval = Type.Object(
  {
    id: uuid,
    operation: Type.String(),
    hash: sha256Hex,
    requester: uuid,
    state: Type.Enum(approvalStates),
    needed: Type.Integer({
      minimum: 1,
      description: 'People who have to approve, none of them the requester',
    }),
    votes: Type.Array(vote),
    requestedAt: time,
    expiresAt: time,
    failure: Type.Union([Type.String(), Type.Null()], {
      description: 'Why what was approved could not be done',
    }),
  },
  closed,
);

const decision = {
  method: 'POST',
  output: approval,
  permission: 'approvals:decide',
  effect: 'change',
  record: 'entry',
} as const;

/** Dual control, and the signatures under it. */
export const approvalOperations = {
  'approvals.list': define({
    id: 'approvals.list',
    summary: 'List what waits, or has waited, for the approval of people, a page at a time',
    method: 'GET',
    path: '/v1/approvals',
    input: Type.Object(
      { state: Type.Optional(Type.Enum(approvalStates)), cursor: Type.Optional(cursor) },
      closed,
    ),
    output: Type.Object({ approvals: Type.Array(approval), next: nextCursor }, closed),
    permission: 'approvals:read',
    effect: 'read',
    record: 'entry',
    recorded: ['state'],
    reason: 'none',
    errors: [],
    requirements: ['URS-010'],
  }),
  'approvals.show': define({
    id: 'approvals.show',
    summary: 'Show one request for approval with the document whose hash people approve',
    method: 'GET',
    path: '/v1/approvals/{approval}',
    input: Type.Object({ approval: uuid }, closed),
    output: Type.Object(
      { approval, document: Type.String({ description: 'Canonical JSON; its SHA-256 is the hash' }) },
      closed,
    ),
    permission: 'approvals:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: ['approval.unknown'],
    requirements: ['URS-010'],
  }),
  'approvals.approve': define({
    ...decision,
    id: 'approvals.approve',
    summary: 'Approve a request, and sign that; the last approval that it needs has it run',
    path: '/v1/approvals/{approval}/approve',
    input: Type.Object(
      { approval: uuid, hash: sha256Hex, signature: Type.Optional(signatureComponents) },
      closed,
    ),
    signature: { meaning: 'approval' },
    recorded: [],
    reason: 'none',
    errors: ['approval.unknown', 'approval.own', 'approval.closed', 'approval.decided', 'approval.changed'],
    requirements: ['URS-010', 'URS-029', 'URS-030', 'URS-031'],
  }),
  'approvals.deny': define({
    ...decision,
    id: 'approvals.deny',
    summary: 'Deny a request, and sign that; one denial ends it',
    path: '/v1/approvals/{approval}/deny',
    input: Type.Object(
      { approval: uuid, hash: sha256Hex, reason, signature: Type.Optional(signatureComponents) },
      closed,
    ),
    signature: { meaning: 'rejection' },
    recorded: ['reason'],
    reason: 'required',
    errors: ['approval.unknown', 'approval.own', 'approval.closed', 'approval.decided', 'approval.changed'],
    requirements: ['URS-010', 'URS-029', 'URS-030', 'URS-031'],
  }),
  'approvals.cancel': define({
    ...decision,
    id: 'approvals.cancel',
    permission: 'self',
    summary: 'Take back a request of your own that has not run yet',
    path: '/v1/approvals/{approval}/cancel',
    input: Type.Object({ approval: uuid, reason }, closed),
    recorded: ['reason'],
    reason: 'required',
    errors: ['approval.unknown', 'approval.foreign', 'approval.closed'],
    requirements: ['URS-010'],
  }),
  'signatures.list': define({
    id: 'signatures.list',
    summary:
      'List electronic signatures: who signed what, when, with what meaning, and whether each still holds',
    method: 'GET',
    path: '/v1/signatures',
    input: Type.Object({ cursor: Type.Optional(cursor) }, closed),
    output: Type.Object(
      {
        signatures: Type.Array(
          Type.Object(
            {
              id: uuid,
              person: uuid,
              name: Type.Union([Type.String(), Type.Null()], {
                description: 'null where the record was altered',
              }),
              meaning: Type.Union([Type.Enum(signatureMeanings), Type.Null()]),
              signedAt: time,
              record: Type.String({ description: "Canonical JSON; its SHA-256 is in the ledger's entry" }),
              document: Type.Union([Type.String(), Type.Null()], {
                description: 'What was signed, as it is now; null where it is gone',
              }),
              valid: Type.Boolean({ description: 'Whether the document is still the one that was signed' }),
            },
            closed,
          ),
        ),
        next: nextCursor,
      },
      closed,
    ),
    permission: 'signatures:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-029', 'URS-030'],
  }),
} as const;
