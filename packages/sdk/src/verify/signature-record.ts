import { signatureMeanings } from '@trialkeep/contract';
import type { SignatureRecord } from '@trialkeep/contract';
import {
  parseCanonicalObject,
  hasShape,
  isOperationId,
  isSha256Hex,
  isTime,
  isUuid,
} from '@trialkeep/ledger';
import { isLine } from '../line.ts';

/** A line of an export: the record and its document, both as the exact text whose UTF-8 bytes were hashed. */
export interface SignatureLine {
  readonly record: string;
  readonly document: string | null;
}

/** Canonical JSON too: the members stand in the order of their names. */
export function formatSignatureLine({ document, record }: SignatureLine): string {
  return `${JSON.stringify({ document, record })}\n`;
}

/** A line without its line feed; undefined where it is none. */
export function parseSignatureLine(text: string): SignatureLine | undefined {
  const line = parseCanonicalObject(text);
  const isText = (value: unknown) => typeof value === 'string';
  const fits =
    line !== undefined &&
    hasShape(line, { document: (value) => value === null || isText(value), record: isText });
  return fits ? (line as unknown as SignatureLine) : undefined;
}

/** A record of version 1; undefined for everything else. */
export function parseSignatureRecord(text: string): SignatureRecord | undefined {
  const record = parseCanonicalObject(text);
  const isOfReview = record?.['meaning'] === 'review';
  const fits =
    record !== undefined &&
    hasShape(record, {
      [isOfReview ? 'review' : 'approval']: isUuid,
      components: (value) => JSON.stringify(value) === '["password","totp"]',
      hash: isSha256Hex,
      meaning: (value) => signatureMeanings.some((meaning) => meaning === value),
      name: isLine,
      operation: isOperationId,
      origin: isLine,
      person: isUuid,
      signature: isUuid,
      time: isTime,
      utc: (value) => isTime(record['time']) && value === new Date(record['time'] as number).toISOString(),
      v: (value) => value === 1,
    });
  return fits ? (record as unknown as SignatureRecord) : undefined;
}

/** What an entry of the log says about the signature that was given with it. */
export interface SignedEntry {
  /** SHA-256 of the record, hexadecimal. */
  readonly signature: string;
  readonly actor: unknown;
  readonly hash: unknown;
  readonly operation: unknown;
  readonly outcome: unknown;
  readonly time: unknown;
}

/** The time of an entry, ms since 1970; 0 where it is no entry of this product. */
export function timeOfEntry(entry: Uint8Array | undefined): number {
  const time = parseCanonicalObject(Buffer.from(entry ?? []).toString('utf8'))?.['time'];
  return isTime(time) ? (time as number) : 0;
}

/** The name of the member as canonical JSON writes it; inside a string, the quotation marks would be escaped. */
const signatureMember = Buffer.from('"signature":"');

/** What an entry says about a signature; undefined where it has none, or is no entry of this product. */
export function signedEntryOf(entry: Uint8Array): SignedEntry | undefined {
  const bytes = Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength);
  if (!bytes.includes(signatureMember)) return undefined;
  const content = parseCanonicalObject(bytes.toString('utf8'));
  const { signature, actor, hash, operation, outcome, time } = content ?? {};
  if (!isSha256Hex(signature)) return undefined;
  return { signature: signature as string, actor, hash, operation, outcome, time };
}
