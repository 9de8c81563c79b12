import type { OperationId } from '@trialkeep/contract';
import { cursorBehind, placeOfCursor } from '../platform/cursor.ts';
import type { Context, Implementations } from '../platform/implementation.ts';
import { fetchDocument, makeDocument } from './documents.ts';
import type { EvidenceParts } from './documents.ts';
import * as store from './store.ts';

export type EvidenceOperationId = Extract<OperationId, `evidence.${string}`>;

const documentsPerPage = 100;

/** Binds the operations on evidence documents to their behaviour. */
export function evidenceImplementations(parts: EvidenceParts): Implementations<EvidenceOperationId> {
  return {
    'evidence.make': (context) => makeDocument(parts, context),
    'evidence.list': (context) => list(parts, context),
    'evidence.fetch': (context) => fetchDocument(parts, context),
  };
}

async function list({ hierarchy }: EvidenceParts, { input, caller, facts }: Context<'evidence.list'>) {
  const rowKey = await hierarchy.rowKey(caller.log.tenant);
  const after = placeOfCursor(input.cursor);
  const rows = await facts.read((snapshot) =>
    store.listEvidence(snapshot, rowKey, caller.log.id, after, documentsPerPage),
  );
  const next = cursorBehind(rows, documentsPerPage, ({ made_at, id }) => ({ time: made_at, id }));
  return {
    documents: rows.map(({ id, kind, hash, actor, made_at }) => ({ id, kind, hash, actor, madeAt: made_at })),
    next,
  };
}
