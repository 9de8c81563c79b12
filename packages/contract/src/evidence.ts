import { Type } from 'typebox';
import { question } from './conditions.ts';
import { define } from './operation.ts';
import { alias, closed, cursor, label, nextCursor, sha256Hex, time, uuid } from './schemas.ts';

/** What an evidence document can be about (docs/formats/evidence-document.md). */
export const evidenceKinds = [
  'audit.review',
  'key.destruction',
  'key.inventory',
  'ledger.answer',
  'revocation.drill',
  'root.ceremony',
  'study.erasure',
  'subject.erasure',
  'tenant.exit',
] as const;
export type EvidenceKind = (typeof evidenceKinds)[number];

const evidence = Type.Object(
  {
    id: uuid,
    kind: Type.Enum(evidenceKinds),
    hash: sha256Hex,
    actor: Type.String({ description: 'Id of the credential or person that asked for it' }),
    madeAt: time,
  },
  closed,
);

/** Evidence documents: what leaves for an inspector. */
export const evidenceOperations = {
  'evidence.make': define({
    id: 'evidence.make',
    summary:
      'Make an evidence document: the answer to a question, the certificate of an erasure, of a subject or a whole study, of the destruction of a key, or of the exit of a tenant, an audit-trail review, a drill, the inventory of keys, or the minutes of a key ceremony. The ledger takes up the hash of its content',
    method: 'POST',
    path: '/v1/evidence',
    input: Type.Object(
      {
        kind: Type.Enum(evidenceKinds),
        title: Type.Optional(label),
        question: Type.Optional(question),
        study: Type.Optional(uuid),
        subject: Type.Optional(alias),
        review: Type.Optional(uuid),
        key: Type.Optional(uuid),
        drill: Type.Optional(uuid),
        ceremony: Type.Optional(uuid),
        asOf: Type.Optional(time),
        system: Type.Optional(uuid),
      },
      closed,
    ),
    output: evidence,
    permission: 'evidence:make',
    effect: 'change',
    keepsEpoch: true,
    record: 'entry',
    recorded: [
      'kind',
      'title',
      'question',
      'study',
      'subject',
      'key',
      'review',
      'drill',
      'ceremony',
      'asOf',
      'system',
    ],
    reason: 'none',
    errors: [
      'study.unknown',
      'subject.unknown',
      'evidence.not_erased',
      'evidence.not_destroyed',
      'evidence.not_copied',
      'key.unknown',
      'review.unknown',
      'review.not_closed',
      'drill.unknown',
      'entry.unknown',
      'payload.withheld',
      'drill.running',
      'evidence.too_many_keys',
      'inventory.future',
      'inventory.before_ledger',
      'inventory.archived',
      'question.times',
      'question.too_long',
      'question.indexing',
    ],
    requirements: ['URS-037', 'URS-038', 'URS-039', 'URS-040', 'URS-005', 'URS-007', 'URS-079', 'URS-084'],
  }),
  'evidence.list': define({
    id: 'evidence.list',
    summary: 'List the evidence documents that were made, a page at a time',
    method: 'GET',
    path: '/v1/evidence',
    input: Type.Object({ cursor: Type.Optional(cursor) }, closed),
    output: Type.Object({ documents: Type.Array(evidence), next: nextCursor }, closed),
    permission: 'ledger:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-079', 'URS-084'],
  }),
  'evidence.fetch': define({
    id: 'evidence.fetch',
    summary:
      'Fetch an evidence document as PDF/A-3, with the content, its proof and the newest signatures of the checkpoint in it',
    method: 'GET',
    path: '/v1/evidence/{evidence}',
    input: Type.Object({ evidence: uuid }, closed),
    output: Type.String({ contentEncoding: 'binary' }),
    produces: 'bytes',
    permission: 'ledger:read',
    effect: 'read',
    record: 'entry',
    recorded: ['evidence'],
    reason: 'none',
    errors: ['evidence.unknown', 'evidence.not_covered', 'ledger.unwitnessed'],
    requirements: ['URS-039', 'URS-079', 'URS-084'],
  }),
} as const;
