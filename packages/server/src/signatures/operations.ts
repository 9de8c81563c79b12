import type { OperationId } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import { sha256Hex } from '../platform/canonical.ts';
import type { Context, Implementations, Log } from '../platform/implementation.ts';
import type { Facts } from '../platform/facts.ts';
import type { SignatureRecord } from './sign.ts';
import * as store from './store.ts';

export type SignatureOperationId = Extract<OperationId, `signatures.${string}`>;

export interface SignatureParts {
  readonly hierarchy: Hierarchy;
  /** The document of a request for approval as it is now; undefined where it is gone, or does not open. */
  documentOf(facts: Facts, log: Log, approval: string): Promise<Uint8Array | undefined>;
}

const signaturesPerPage = 100;

/** Binds the operations on electronic signatures to their behaviour. */
export function signatureImplementations(parts: SignatureParts): Implementations<SignatureOperationId> {
  return { 'signatures.list': (context) => list(parts, context) };
}

async function list(
  { documentOf, hierarchy }: SignatureParts,
  { input, caller, facts }: Context<'signatures.list'>,
) {
  const after = input.cursor === undefined ? { createdAt: -1, id: '' } : placeOf(input.cursor);
  const rows = await facts.read((snapshot) =>
    store.listSignatures(snapshot, caller.log.id, after, signaturesPerPage),
  );
  const rowKey = await hierarchy.rowKey(caller.log.tenant);
  const signatures = [];
  for (const row of rows) {
    const text = Buffer.from(row.record).toString('utf8');
    const { approval, meaning, name, hash } = JSON.parse(text) as SignatureRecord;
    const document = await documentOf(facts, caller.log, approval);
    signatures.push({
      id: row.id,
      person: row.person,
      name,
      meaning,
      signedAt: row.created_at,
      record: text,
      document: document === undefined ? null : Buffer.from(document).toString('utf8'),
      // That the record is the one of its entry, the export shows without us.
      valid:
        store.isAsWritten(rowKey, row) &&
        sha256Hex(row.record) === row.hash &&
        document !== undefined &&
        sha256Hex(document) === hash,
    });
  }
  const last = rows.at(-1);
  const isFull = rows.length === signaturesPerPage && last !== undefined;
  return { signatures, next: isFull ? `${last.created_at.toString(36)}_${last.id}` : null };
}

/** A cursor is the time of the last signature of the page before, in base 36, and its id. */
function placeOf(cursor: string): { createdAt: number; id: string } {
  const [, time, id] = /^([0-9a-z]{1,11})_([0-9a-f-]{36})$/.exec(cursor) ?? [];
  const createdAt = time === undefined ? NaN : parseInt(time, 36);
  if (id === undefined || !Number.isSafeInteger(createdAt) || createdAt.toString(36) !== time) {
    throw new OperationError('request.invalid', { field: '/cursor' });
  }
  return { createdAt, id };
}
