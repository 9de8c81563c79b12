import { signatureMeanings } from '@trialkeep/contract';
import type { OperationId, SignatureRecord } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import { sha256Hex } from '../platform/canonical.ts';
import { cursorBehind, placeOfCursor } from '../platform/cursor.ts';
import type { Context, Implementations, Log } from '../platform/implementation.ts';
import type { Facts } from '../platform/facts.ts';
import * as store from './store.ts';

export type SignatureOperationId = Extract<OperationId, `signatures.${string}`>;

export interface SignatureParts {
  readonly hierarchy: Hierarchy;
  /** The signed document as it is now; undefined where it is gone, or does not open. */
  documentOf(facts: Facts, log: Log, signed: SignatureRecord): Promise<Uint8Array | undefined>;
}

const signaturesPerPage = 100;

/** Undefined for what is no record: somebody altered it, and the other signatures are still to be read. */
function readRecord(text: string): SignatureRecord | undefined {
  try {
    const record = JSON.parse(text) as Partial<SignatureRecord> | null;
    const { approval, review, hash, meaning, name } = record ?? {};
    const isRecord = [approval ?? review, hash, name].every((member) => typeof member === 'string');
    return isRecord && signatureMeanings.some((each) => each === meaning)
      ? (record as SignatureRecord)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Binds the operations on electronic signatures to their behaviour. */
export function signatureImplementations(parts: SignatureParts): Implementations<SignatureOperationId> {
  return { 'signatures.list': (context) => list(parts, context) };
}

async function list(
  { documentOf, hierarchy }: SignatureParts,
  { input, caller, facts }: Context<'signatures.list'>,
) {
  const after = placeOfCursor(input.cursor);
  const rows = await facts.read((snapshot) =>
    store.listSignatures(snapshot, caller.log.id, after, signaturesPerPage),
  );
  const rowKey = await hierarchy.rowKey(caller.log.tenant);
  const signatures = [];
  for (const row of rows) {
    const text = Buffer.from(row.record).toString('utf8');
    const said = readRecord(text);
    const document = said && (await documentOf(facts, caller.log, said));
    signatures.push({
      id: row.id,
      person: row.person,
      name: said?.name ?? null,
      meaning: said?.meaning ?? null,
      signedAt: row.created_at,
      record: text,
      document: document === undefined ? null : Buffer.from(document).toString('utf8'),
      // That the record is the one of its entry, the export shows without us.
      valid:
        store.isAsWritten(rowKey, row) &&
        sha256Hex(row.record) === row.hash &&
        document !== undefined &&
        sha256Hex(document) === said?.hash,
    });
  }
  const next = cursorBehind(rows, signaturesPerPage, ({ created_at, id }) => ({ time: created_at, id }));
  return { signatures, next };
}
