import { randomBytes } from 'node:crypto';
import { CryptoError, compactKeyVersionId, openCompact, sealCompact } from '@trialkeep/crypto';
import type { CompactKey } from '@trialkeep/crypto';
import { payloadKey } from '../audit/index.ts';
import type { TransparencyLog } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import { canonicalBytes, sha256Hex } from '../platform/canonical.ts';

/** What a person wrote about a plan, an entry or a review: docs/formats/audit-review.md, "Texts". */
export interface Written {
  /** Id of the plan, the mark or the review. */
  readonly of: string;
  readonly text: string;
  readonly followUp?: string | undefined;
}

/** A text at rest, and the hash by which the record knows it. */
export interface SealedText {
  readonly ciphertext: Uint8Array;
  readonly hash: string;
}

const blindingBytes = 32;

/** @param key the log's payload key, or that of the subject that the text is about */
export function sealText(key: CompactKey, origin: string, { of, text, followUp }: Written): SealedText {
  const blinding = randomBytes(blindingBytes).toString('base64');
  const plaintext = canonicalBytes({ blinding, of, text, v: 1, ...(followUp !== undefined && { followUp }) });
  const ciphertext = sealCompact({ ...key, context: contextOf(origin, of), plaintext });
  return { ciphertext, hash: sha256Hex(plaintext) };
}

/**
 * The document as canonical JSON; undefined where its key was destroyed, or where it is not the one of the hash.
 *
 * @param subject whose key it was sealed under, where it was not the log's
 */
export async function openText(
  hierarchy: Hierarchy,
  log: TransparencyLog,
  stored: SealedText & { readonly of: string; readonly subject?: string | null },
): Promise<string | undefined> {
  const { ciphertext, hash, of, subject } = stored;
  try {
    const isOwn = Buffer.compare(compactKeyVersionId(ciphertext), log.payloadKey.keyVersionId) === 0;
    const key = isOwn ? log.payloadKey : await payloadKey(hierarchy, log, subject ?? undefined);
    const plaintext = openCompact({ ...key, context: contextOf(log.origin, of), ciphertext });
    return sha256Hex(plaintext) === hash ? Buffer.from(plaintext).toString('utf8') : undefined;
  } catch (error) {
    if (error instanceof CryptoError) return undefined;
    throw error;
  }
}

/** The text of a document that {@link openText} gave. */
export function textOf(document: string): string {
  return (JSON.parse(document) as { readonly text: string }).text;
}

function contextOf(origin: string, of: string): Record<string, string> {
  return { 'trialkeep:origin': origin, 'trialkeep:review': of };
}
