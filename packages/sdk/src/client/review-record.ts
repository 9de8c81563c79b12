import type { Operations, Output } from '@trialkeep/contract';
import { parseCanonicalObject, hasShape, isUuid } from '@trialkeep/ledger';
import { isLine } from '../line.ts';
import { sdkError } from '../errors.ts';

type Shown = Pick<Output<Operations['reviews.show']>, 'review' | 'record' | 'hash'>;

/** The record of an audit-trail review: docs/formats/audit-review.md. */
export interface ReviewRecord {
  readonly conclusion: { readonly hash: string; readonly outcome: string };
  readonly counts: Readonly<Record<'marked' | 'matched' | 'own' | 'presented' | 'questioned', number>>;
  readonly filter: Readonly<Record<string, unknown>>;
  readonly marks: readonly {
    readonly author: string;
    readonly entry: string;
    readonly hash: string;
    readonly index: number;
    readonly mark: string;
    readonly own: boolean;
  }[];
  readonly origin: string;
  readonly plan: {
    readonly id: string;
    readonly name: string;
    readonly risk: string;
    readonly version: number;
  };
  readonly range: {
    readonly first: number;
    readonly from: number;
    readonly root: string;
    readonly to: number;
  };
  readonly review: string;
  readonly reviewer: string;
  readonly sample: { readonly perMille: number };
}

const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * The record of a review, once its SHA-256 has been computed here and is the hash that a signature would name. Whoever signs has to
 * have seen this and nothing else. Undefined where nothing is concluded yet.
 *
 * @throws TrialkeepError `client.document_altered`
 */
export async function checkedReviewRecord({
  review,
  record,
  hash,
}: Shown): Promise<ReviewRecord | undefined> {
  if (record === null) return undefined;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(record)));
  const computed = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (computed !== hash) throw sdkError('client.document_altered', { detail: 'its hash' });
  const content = parseCanonicalObject(record);
  const isRecord =
    content !== undefined &&
    hasShape(content, {
      conclusion: isObject,
      counts: isObject,
      filter: isObject,
      marks: Array.isArray,
      openedAt: (time) => time === review.openedAt,
      origin: isLine,
      plan: isObject,
      range: isObject,
      review: (id) => id === review.id,
      reviewer: isUuid,
      sample: isObject,
      v: (version) => version === 1,
    });
  if (!isRecord) throw sdkError('client.document_altered', { detail: 'its form, or what it is about' });
  return content as unknown as ReviewRecord;
}
