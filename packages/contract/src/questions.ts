import { Type } from 'typebox';
import {
  comparedMembers,
  conditionsObject,
  entryKinds,
  periods,
  question,
  questionFields,
} from './conditions.ts';
import { define } from './operation.ts';
import { closed, cursor, label, nextCursor, time, uuid } from './schemas.ts';

export const maxPageEntries = 1000;
const index = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Position in the log, from 0',
});
const size = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const kindCounts = Type.Object(
  {
    'key-released': size,
    'decryption-observed': size,
    'decryption-attested': size,
    'encryption-observed': size,
    'encryption-attested': size,
    'use-denied': size,
    other: size,
  },
  closed,
);
const saved = Type.Object(
  {
    id: uuid,
    name: label,
    owner: Type.String({ description: 'Id of the person or credential' }),
    question,
    createdAt: time,
  },
  closed,
);

export const questionOperations = {
  'questions.answer': define({
    id: 'questions.answer',
    summary:
      'Ask the ledger, and get an answer that can be recomputed: entries, counts of each kind, and the checkpoint up to which nothing is missing',
    method: 'POST',
    path: '/v1/questions/answer',
    input: Type.Object(
      {
        ...questionFields,
        saved: Type.Optional(uuid),
        size: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: Number.MAX_SAFE_INTEGER,
            description: 'Answer as of an earlier checkpoint of this size; otherwise as of a new one',
          }),
        ),
        cursor: Type.Optional(cursor),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maxPageEntries, default: 100 })),
      },
      closed,
    ),
    output: Type.Object(
      {
        asked: Type.Object(
          {
            at: time,
            question: conditionsObject,
            period: Type.Optional(Type.Enum(periods)),
            saved: Type.Optional(uuid),
          },
          closed,
        ),
        bound: Type.Object(
          {
            origin: Type.String(),
            size,
            root: Type.String(),
            checkpoint: Type.String(),
            first: Type.Integer({
              minimum: 0,
              description: 'Entries before this one are archived, and not in the answer',
            }),
          },
          closed,
        ),
        counts: Type.Union([kindCounts, Type.Null()], { description: 'On the first page' }),
        entries: Type.Array(
          Type.Object(
            {
              index,
              kind: Type.Enum(entryKinds),
              entry: Type.String({ description: 'Canonical JSON, as hashed' }),
            },
            closed,
          ),
        ),
        statement: Type.Array(Type.String()),
        next: nextCursor,
      },
      closed,
    ),
    permission: 'ledger:read',
    effect: 'read',
    record: 'entry',
    recorded: [
      ...comparedMembers,
      'device',
      'kinds',
      'from',
      'to',
      'period',
      'saved',
      'size',
      'cursor',
      'limit',
    ],
    reason: 'none',
    errors: ['question.unknown', 'question.times', 'question.indexing', 'checkpoint.unknown'],
    requirements: ['URS-032', 'URS-038', 'URS-039'],
  }),
  'questions.save': define({
    id: 'questions.save',
    summary: 'Keep a question under a name, to be asked again',
    method: 'POST',
    path: '/v1/questions',
    input: Type.Object({ name: label, question }, closed),
    output: saved,
    permission: 'ledger:read',
    effect: 'change',
    keepsEpoch: true,
    record: 'entry',
    recorded: ['name', 'question'],
    reason: 'none',
    errors: ['question.exists', 'question.times', 'question.too_many'],
    requirements: ['URS-039'],
  }),
  'questions.list': define({
    id: 'questions.list',
    summary: 'List the saved questions',
    method: 'GET',
    path: '/v1/questions',
    input: Type.Object({}, closed),
    output: Type.Object({ questions: Type.Array(saved) }, closed),
    permission: 'ledger:read',
    effect: 'read',
    record: 'entry',
    recorded: [],
    reason: 'none',
    errors: [],
    requirements: ['URS-039'],
  }),
  'questions.show': define({
    id: 'questions.show',
    summary: 'Show a saved question',
    method: 'GET',
    path: '/v1/questions/{saved}',
    input: Type.Object({ saved: uuid }, closed),
    output: saved,
    permission: 'ledger:read',
    effect: 'read',
    record: 'entry',
    recorded: ['saved'],
    reason: 'none',
    errors: ['question.unknown'],
    requirements: ['URS-039'],
  }),
  'questions.remove': define({
    id: 'questions.remove',
    summary: 'Remove a saved question: its owner, or who manages people',
    method: 'POST',
    path: '/v1/questions/{saved}/remove',
    input: Type.Object({ saved: uuid }, closed),
    output: saved,
    permission: 'ledger:read',
    effect: 'change',
    keepsEpoch: true,
    record: 'entry',
    recorded: ['saved'],
    reason: 'none',
    errors: ['question.unknown', 'question.foreign'],
    requirements: ['URS-039'],
  }),
} as const;
