import { Type } from 'typebox';
import { define } from './operation.ts';
import { closed, reason, time, uuid } from './schemas.ts';

/** How long old and new keys of a log sign together where nobody says otherwise, and at most; days. */
export const rotationOverlapDays = { usual: 30, maximum: 400 } as const;
/** Entries that are younger are never pruned, days: an auditor who comes once a year finds them on the server. */
export const minimumPruneAgeDays = 365;
/** Entries in a bundle; a log is pruned by whole bundles. */
const bundleEntries = 256;

const size = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Number of entries',
});
const verifierKeys = Type.Array(Type.String(), { description: 'Signed-note vkeys' });
const keyIds = Type.Array(Type.String(), { description: 'Key ids of the vkeys, 8 hexadecimal digits' });

/** Keys, proofs and extent of a log. */
export const ledgerUpkeepOperations = {
  'ledger.rotate-key': define({
    id: 'ledger.rotate-key',
    summary: "Give the log new signing keys; the old ones sign beside them until the overlap's end",
    method: 'POST',
    path: '/v1/ledger/keys/rotate',
    input: Type.Object(
      {
        overlapDays: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: rotationOverlapDays.maximum,
            default: rotationOverlapDays.usual,
          }),
        ),
        reason,
      },
      closed,
    ),
    output: Type.Object(
      { begins: verifierKeys, ends: keyIds, endsAt: Type.Integer({ description: 'Unix time, ms' }) },
      closed,
    ),
    permission: 'ledger:manage',
    effect: 'change',
    record: 'entry',
    recorded: ['overlapDays', 'reason'],
    reason: 'required',
    errors: ['log_key.rotating'],
    requirements: ['URS-003', 'URS-033'],
  }),
  'ledger.retire-key': define({
    id: 'ledger.retire-key',
    summary: "End the overlap now: the log's old signing keys stop, and are destroyed",
    method: 'POST',
    path: '/v1/ledger/keys/retire',
    input: Type.Object({ reason }, closed),
    output: Type.Object({ ends: keyIds }, closed),
    permission: 'ledger:manage',
    effect: 'change',
    record: 'entry',
    recorded: ['reason'],
    reason: 'required',
    errors: ['log_key.not_rotating'],
    requirements: ['URS-003', 'URS-033'],
  }),
  'ledger.proof': define({
    id: 'ledger.proof',
    summary: 'Prove that an entry is in the log (C2SP tlog-proof), by its id or its index',
    method: 'POST',
    path: '/v1/ledger/proof',
    input: Type.Object(
      {
        entry: Type.Optional(uuid),
        index: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER - 1 })),
      },
      closed,
    ),
    output: Type.String(),
    produces: 'text',
    permission: 'ledger:read',
    effect: 'read',
    record: 'access-log',
    recorded: [],
    reason: 'none',
    errors: ['entry.unknown', 'ledger.unwitnessed'],
    requirements: ['URS-033'],
  }),
  'ledger.consistency': define({
    id: 'ledger.consistency',
    summary: 'Prove that the log of one size begins with the log of another (RFC 6962 section 2.1.2)',
    method: 'POST',
    path: '/v1/ledger/consistency',
    input: Type.Object({ from: size, to: Type.Optional(size) }, closed),
    output: Type.Object(
      {
        from: Type.Integer(),
        to: Type.Integer({ description: 'Where none was asked for, the size of the newest checkpoint' }),
        hashes: Type.Array(Type.String(), { description: 'base64, in the order of the RFC' }),
      },
      closed,
    ),
    permission: 'ledger:read',
    effect: 'read',
    record: 'access-log',
    recorded: [],
    reason: 'none',
    errors: ['proof.out_of_range'],
    requirements: ['URS-033'],
  }),
  'ledger.bounds': define({
    id: 'ledger.bounds',
    summary: "Read the log's size, and the lowest index whose entry is still on the server",
    method: 'GET',
    path: '/v1/ledger/bounds',
    input: Type.Object({}, closed),
    output: Type.Object(
      {
        minimumIndex: Type.Integer({ description: 'Entries below were pruned once they were archived' }),
        size: Type.Integer(),
      },
      closed,
    ),
    permission: 'ledger:read',
    effect: 'read',
    record: 'access-log',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-033', 'URS-039'],
  }),
  'ledger.prune': define({
    id: 'ledger.prune',
    summary: 'Delete archived entries below an index from the server, with their payloads; every proof stays',
    method: 'POST',
    path: '/v1/ledger/prune',
    input: Type.Object(
      {
        below: Type.Integer({
          minimum: bundleEntries,
          maximum: Number.MAX_SAFE_INTEGER,
          multipleOf: bundleEntries,
          description: 'The first entry that stays; a multiple of 256',
        }),
        checkpoint: Type.String({
          minLength: 1,
          maxLength: 65_536,
          description: "The archive's checkpoint, as it stands in its file",
        }),
        reason,
      },
      closed,
    ),
    output: Type.Object({ minimumIndex: Type.Integer(), prunedAt: time }, closed),
    permission: 'ledger:manage',
    approval: { people: 2, withinDays: 7 },
    effect: 'change',
    record: 'entry',
    recorded: ['below', 'checkpoint', 'reason'],
    reason: 'required',
    errors: ['archive.mismatch', 'prune.out_of_range'],
    requirements: ['URS-010', 'URS-033', 'URS-039'],
  }),
} as const;
