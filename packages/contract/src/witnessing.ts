import { Type } from 'typebox';
import { define } from './operation.ts';
import { closed, reason, sha256Hex, time } from './schemas.ts';

/** What becomes of results of key use while the policy is not met: they are given all the same, or withheld. */
export const witnessingModes = ['background', 'required'] as const;

/** Longest policy, in bytes: 26 witnesses with ML-DSA-44 keys, and far more with Ed25519. */
export const maxPolicyBytes = 48_000;
/** Most mirrors of one log. */
export const maxMirrors = 4;

const mirror = Type.Object(
  {
    name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$', description: 'Names it here' }),
    key: Type.String({ minLength: 1, maxLength: 2400, description: "The mirror's verifier key (vkey)" }),
    url: Type.String({
      minLength: 1,
      maxLength: 500,
      description: 'Its submission prefix (C2SP tlog-mirror)',
    }),
  },
  closed,
);
const mirrors = Type.Array(mirror, {
  maxItems: maxMirrors,
  description: 'Who keeps whole copies (C2SP tlog-mirror); tlog-policy has no line for them',
});
const policy = Type.String({
  minLength: 1,
  maxLength: maxPolicyBytes,
  description: "C2SP tlog-policy; a witness's URL is its submission prefix",
});
const boundSeconds = Type.Integer({
  minimum: 5,
  maximum: 86_400,
  description: 'How old an entry without the quorum may become before results of key use are withheld',
});

const optionalTime = Type.Union([time, Type.Null()]);
const cosigner = Type.Object(
  {
    name: Type.String(),
    key: Type.String({ description: 'Key name and key id, as in its signature lines' }),
    url: Type.Union([Type.String(), Type.Null()]),
    size: Type.Integer({
      minimum: 0,
      description: 'Entries under its newest cosignature; 0 where there is none',
    }),
    cosignedAt: Type.Union([time, Type.Null()], { description: "By the cosigner's clock" }),
    failure: Type.Union([Type.String(), Type.Null()], { description: 'Why the last attempt failed' }),
    failingSince: optionalTime,
  },
  closed,
);
const view = Type.Object(
  {
    policy: Type.Union([Type.String(), Type.Null()], { description: 'null where none was ever set' }),
    hash: Type.Union([sha256Hex, Type.Null()]),
    version: Type.Integer({ minimum: 0 }),
    mode: Type.Enum(witnessingModes),
    boundSeconds: Type.Union([boundSeconds, Type.Null()]),
    size: Type.Integer({ minimum: 0, description: 'Entries of the log' }),
    witnessedSize: Type.Integer({
      minimum: 0,
      description: 'Entries under a checkpoint that meets the quorum',
    }),
    withheld: Type.Boolean({ description: 'Whether results of key use are withheld now' }),
    withheldSince: optionalTime,
    witnesses: Type.Array(cosigner),
    mirrors: Type.Array(cosigner),
  },
  closed,
);

/** Who cosigns the checkpoints of a log, and what happens while they do not. */
export const witnessingOperations = {
  'witnessing.set-policy': define({
    id: 'witnessing.set-policy',
    summary: 'Say which witnesses and mirrors cosign this ledger, and whether results wait for them',
    method: 'POST',
    path: '/v1/witnessing/policy',
    input: Type.Object(
      { policy, mirrors: Type.Optional(mirrors), mode: Type.Enum(witnessingModes), boundSeconds, reason },
      closed,
    ),
    output: view,
    permission: 'witnessing:manage',
    approval: { people: 2, withinDays: 7 },
    effect: 'change',
    record: 'entry',
    recorded: ['policy', 'mirrors', 'mode', 'boundSeconds', 'reason'],
    reason: 'required',
    errors: ['witnessing.policy_invalid'],
    requirements: ['URS-010', 'URS-034', 'URS-080'],
  }),
  'witnessing.show': define({
    id: 'witnessing.show',
    summary: 'Show the witnessing policy, how far each witness and mirror has come, and what keeps it',
    method: 'GET',
    path: '/v1/witnessing',
    input: Type.Object({}, closed),
    output: view,
    permission: 'ledger:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-034', 'URS-080'],
  }),
} as const;
